"""Words for the same expression in different data sets."""

from __future__ import annotations

_SYNONYMS = {
    "angry": ("angry", "anger"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "fearful", "afraid", "scared"),
    "happy": ("happy", "happiness", "joy"),
    "sad": ("sad", "sadness"),
    "surprise": ("surprise", "surprised"),
    "neutral": ("neutral", "neutrality"),
    "contempt": ("contempt", "contemptuous"),
}
_MEANING = {word: meaning for meaning, words in _SYNONYMS.items() for word in words}


def meaning(word: str) -> str:
    """Return the common name of an expression, e.g. "happy" for "Happiness"; another word in lower case."""
    return _MEANING.get(word.lower(), word.lower())


def is_expression(word: str) -> bool:
    """Return whether a word names an expression."""
    return word.lower() in _MEANING
