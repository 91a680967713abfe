"""Label orders: what the class numbers of published data sets mean, and lists of class names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_lmdb.errors import SourceError
from fer_lmdb.labels.schemes import FER2013, FERPLUS
from fer_lmdb.labels.synonyms import meaning

LABEL_FILES = ("classes.txt", "labels.txt")
"""Files beside class folders or an image list that contain the class names."""

MAX_FILE_BYTES = 1 << 20
_NUMBERED = re.compile(r"(?P<number>\d{1,7})(?:\s*[:=,]\s*|\s+)(?P<name>\S.*)")


@dataclass(frozen=True)
class LabelOrder:
    """Meaning of class numbers.

    Attributes:
        name: Name on the command line, or the file or option that contains the class names.
        names: Class name by number.
    """

    name: str
    names: Mapping[int, str]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(f'{number} {name}' for number, name in self.names.items())})"

    def classes(self) -> tuple[str, ...]:
        """Return the class names in label order.

        Raises:
            SourceError: If the numbers are not 0, 1, 2, ...
        """
        if sorted(self.names) != list(range(len(self.names))):
            raise SourceError(f"{self}: found gaps in the numbers, expected 0 to {len(self.names) - 1}")
        return tuple(self.names[number] for number in range(len(self.names)))


def _order(name: str, classes: Iterable[str], first: int = 0) -> LabelOrder:
    return LabelOrder(name, dict(enumerate((meaning(word) for word in classes), start=first)))


LABEL_ORDERS = {
    order.name: order
    for order in (
        _order("fer2013", FER2013.classes),
        _order("ferplus", FERPLUS.classes),
        _order(
            "affectnet",
            (
                "neutral",
                "happy",
                "sad",
                "surprise",
                "fear",
                "disgust",
                "angry",
                "contempt",
                "none",
                "uncertain",
                "no-face",
            ),
        ),
        _order("rafdb", ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), first=1),
        _order("ckplus", ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")),
        _order("alphabetical", sorted(FER2013.classes)),
    )
}
"""Orders of published data sets. ExpW has FER2013's; "alphabetical" is what torchvision's ImageFolder assigns."""


def get_label_order(name: str) -> LabelOrder:
    """Return a label order by name.

    Raises:
        SourceError: If there is no such order.
    """
    if name not in LABEL_ORDERS:
        raise SourceError(f'unknown label order "{name}"; expected one of: {", ".join(LABEL_ORDERS)}')
    return LABEL_ORDERS[name]


def read_labels(value: str) -> LabelOrder:
    """Return the class names of a file or a list.

    Args:
        value: Path of a file with one class per line, or names separated by commas. The classes are numbered from 0, or
            all begin with their numbers: ``1 surprise, 2 fear``.

    Raises:
        SourceError: If the file cannot be read, a name is empty or a name or number repeats.
    """
    if "," not in value or Path(value).exists():
        return read_label_file(Path(value))
    return parse_labels(value.split(","), f'labels "{value}"')


def read_label_file(path: Path) -> LabelOrder:
    """Read class names, one per line; see `read_labels`.

    Raises:
        SourceError: If the file cannot be read or is not a list of class names.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{path}: not a text file; expected one class name per line") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot read the class names in {path}: {reason}") from None
    return parse_labels(text.splitlines(), str(path))


def find_label_file(folder: Path) -> LabelOrder | None:
    """Return the class names that a data set brings along in `LABEL_FILES`; None if it has no such file.

    Raises:
        SourceError: If the file is not a list of class names.
    """
    path = next((folder / name for name in LABEL_FILES if (folder / name).is_file()), None)
    return None if path is None else read_label_file(path)


def parse_labels(lines: Iterable[str], name: str) -> LabelOrder:
    """Return the order of class names, numbered from 0 or all with their numbers.

    Args:
        lines: Names, or numbers and names; blank lines at the end are ignored.
        name: Name of the order, for messages.

    Raises:
        SourceError: If a name is empty, or a name or number repeats.
    """
    entries = "\n".join(line.strip() for line in lines).rstrip("\n").split("\n")
    numbered = [_NUMBERED.fullmatch(entry) for entry in entries]
    pairs = list(enumerate(entries))
    if all(numbered):
        pairs = [(int(match["number"]), match["name"].strip()) for match in numbered if match]
    elif any(numbered):
        raise SourceError(f"{name}: only some classes have numbers; number all of them or none")
    if not all(word for _, word in pairs):
        raise SourceError(f"{name}: found an empty class name; expected one name for each class")
    for position, what in enumerate(("number", "name")):
        if repeated := _repeated(str(pair[position]) for pair in pairs):
            raise SourceError(f'{name}: the {what} "{repeated}" repeats; expected each class once')
    return LabelOrder(name, dict(pairs))


def _repeated(words: Iterable[str]) -> str | None:
    """Return a word that occurs twice, compared by its meaning."""
    counts = Counter(map(meaning, words))
    return next((word for word, count in counts.items() if count > 1), None)
