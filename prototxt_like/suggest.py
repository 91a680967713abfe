"""Suggestions for misspelled names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest_match(name: str, known: Iterable[str], max_difference: int | None = None) -> str | None:
    """Return the most similar known name, ignoring case, or None if none is similar.

    Args:
        name: Misspelled name.
        known: Known names.
        max_difference: Maximum difference in length; None = any. A much longer name is another name, not a misspelling.
    """
    limit = len(name) if max_difference is None else max_difference
    by_lower = {word.lower(): word for word in known if abs(len(word) - len(name)) <= limit}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a suffix for an error message.

    Returns:
        ``; did you mean "..."?``, or the list of up to 12 known names, or an empty string.
    """
    known = list(known)
    found = closest_match(name, known)
    if found is not None:
        return f'; did you mean "{found}"?'
    return f"; expected one of {', '.join(known)}" if 0 < len(known) <= 12 else ""
