"""Update rules and learning-rate policies."""
