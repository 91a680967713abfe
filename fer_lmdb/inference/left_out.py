"""Paths that a search of folders and patterns leaves out, counted by reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fer_lmdb.io.heif import HEIF_SUFFIXES, has_heif

MAX_SUFFIXES = 5
HIDDEN = "hidden"
LINKED_FOLDER = "links to folders"
OUTPUT = "in an output folder"
NEEDS_HEIF = "HEIC, which needs: pip install 'fer-lmdb[heif]'"
FIRST_FRAME = "animations, of which the first frame was read; name them alone for all frames"
SUFFIX = "by their suffix"
SINGULAR = {
    SUFFIX: "by its suffix",
    LINKED_FOLDER: "link to a folder",
    FIRST_FRAME: "animation, of which the first frame was read; name it alone for all frames",
}
"""Reasons whose words differ for one path."""


class LeftOut:
    """Counts of paths by reason.

    Attributes:
        reasons: Number of paths by reason.
        suffixes: Number of paths that are neither an image nor a video by their suffix, by suffix.
    """

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.suffixes: Counter[str] = Counter()

    def add(self, reason: str) -> None:
        """Count a path."""
        self.reasons[reason] += 1

    def add_other(self, path: Path) -> None:
        """Count a file whose suffix is not that of a file to read."""
        if path.suffix.lower() in HEIF_SUFFIXES and not has_heif():
            self.add(NEEDS_HEIF)
        else:
            self.suffixes[path.suffix.lower() or "no suffix"] += 1

    def to_lines(self) -> list[str]:
        """Return one line per kind of path, for the user."""
        partly = self.reasons[FIRST_FRAME]
        lines = [_counted(count, reason) for reason, count in self.reasons.items() if reason != FIRST_FRAME]
        if self.suffixes:
            common = [suffix for suffix, _ in self.suffixes.most_common(MAX_SUFFIXES)]
            more = ", ..." if len(self.suffixes) > MAX_SUFFIXES else ""
            lines.append(f"{_counted(self.suffixes.total(), SUFFIX)} ({', '.join(common)}{more})")
        left_out = [f"Left out: {'; '.join(lines)}."] if lines else []
        return left_out + ([f"{_counted(partly, FIRST_FRAME)}."] if partly else [])


def _counted(count: int, reason: str) -> str:
    return f"{count:,} {SINGULAR.get(reason, reason) if count == 1 else reason}"
