"""The name that somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest_match(name: str, known: Iterable[str]) -> str | None:
    """The most similar known name, or None where none is similar; capitals do not count."""
    by_lower = {word.lower(): word for word in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message: ``; did you mean "..."?``, or the known names where they are few, or nothing."""
    known = list(known)
    found = closest_match(name, known)
    if found is not None:
        return f'; did you mean "{found}"?'
    return f"; known are {', '.join(known)}" if 0 < len(known) <= 12 else ""
