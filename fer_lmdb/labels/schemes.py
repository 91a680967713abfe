"""Label schemes: the classes of data sets and models, and their order."""

from __future__ import annotations

from dataclasses import dataclass

from fer_lmdb.errors import DataSetError, FerLmdbError, SourceError


@dataclass(frozen=True)
class LabelScheme:
    """Ordered class names.

    Attributes:
        name: Name on the command line and in files.
        classes: Class names; the index is the label.
        fer2013: Label of each of FER2013's seven classes in this scheme, None for excluded classes; None if the scheme
            cannot be derived from FER2013's labels.
    """

    name: str
    classes: tuple[str, ...]
    fer2013: tuple[int | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.classes)


FER2013 = LabelScheme(
    "fer2013",
    ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    fer2013=(0, 1, 2, 3, 4, 5, 6),
)
MERGED = LabelScheme(
    "merged",
    ("angry", "fear", "happy", "sad", "surprise", "neutral"),
    fer2013=(0, 0, 1, 2, 3, 4, 5),
)
WITHOUT_DISGUST = LabelScheme(
    "without-disgust",
    ("angry", "fear", "happy", "sad", "surprise", "neutral"),
    fer2013=(0, None, 1, 2, 3, 4, 5),
)
FERPLUS = LabelScheme(
    "ferplus",
    ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
)

SCHEMES = {scheme.name: scheme for scheme in (FER2013, MERGED, WITHOUT_DISGUST, FERPLUS)}


def get_scheme(name: str) -> LabelScheme:
    """Return a scheme by name.

    Raises:
        SourceError: If there is no such scheme.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        known = ", ".join(SCHEMES)
        raise SourceError(f'unknown label scheme "{name}"; expected one of: {known}') from None


def require_same(
    found: LabelScheme,
    expected: LabelScheme,
    context: str,
    remedy: str,
    error: type[FerLmdbError] = DataSetError,
) -> None:
    """Raise an error if two label schemes differ.

    Args:
        found: The scheme to check.
        expected: The scheme that it has to equal.
        context: Beginning of the message, e.g. the two objects that do not fit together.
        remedy: End of the message: what to do, in the imperative.
        error: Class of the error.

    Raises:
        FerLmdbError: If the classes, their order or their meaning differ.
    """
    if why := explain_mismatch(found, expected):
        raise error(f"{context}: {why}; {remedy}")


def explain_mismatch(one: LabelScheme, other: LabelScheme) -> str | None:
    """Return why two label schemes differ, for an error message; None if they are equal."""
    if one.classes != other.classes:
        what = "different order of classes" if set(one.classes) == set(other.classes) else "different classes"
        return f"{what}, {format_scheme(one)} and {format_scheme(other)}"
    if one.name != other.name and {one.name, other.name} <= SCHEMES.keys():
        return f"same names for different classes, {_describe_mapping(one.name)} and {_describe_mapping(other.name)}"
    return None


def format_scheme(scheme: LabelScheme) -> str:
    """Return the name of a scheme and its classes in label order."""
    return f"{scheme.name} ({', '.join(scheme.classes)})"


def _describe_mapping(name: str) -> str:
    """Describe which FER2013 classes a scheme excludes or merges."""
    scheme = SCHEMES[name]
    targets = scheme.fer2013 or ()
    changes = [
        f"excludes {old}" if label is None else f"maps {old} to {scheme.classes[label]}"
        for old, label in zip(FER2013.classes, targets, strict=False)
        if label is None or scheme.classes[label] != old
    ]
    return f"{name} {' and '.join(changes) or 'has all classes'}"
