"""Label schemes: which expressions there are and the order of their classes.

Nowhere else in this project is an order written down. FER2013 and FER+ number
the same words differently, so a bare class number means nothing without its scheme.
"""

from __future__ import annotations

from dataclasses import dataclass

from fer_lmdb.errors import DataSetError, FerLmdbError, SourceError


@dataclass(frozen=True)
class LabelScheme:
    """Names of the classes; the position of a name is its label.

    Attributes:
        name: how the scheme is called on the command line and in files.
        classes: class names, index = label.
        fer2013: label of each of FER2013's seven classes in this scheme, None where the class is left out;
            None as a whole where the scheme does not come from FER2013's labels.
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

SCHEMES = {scheme.name: scheme for scheme in (FER2013, MERGED, WITHOUT_DISGUST, FERPLUS)}


def get_scheme(name: str) -> LabelScheme:
    """Return the scheme of that name.

    Raises:
        SourceError: there is no such scheme; the message lists those there are.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        known = ", ".join(SCHEMES)
        raise SourceError(f'no label scheme is called "{name}"; there are: {known}') from None


def parse_label(word: str, scheme: LabelScheme) -> int | None:
    """Return the class that a word names, as the folders of a data set do.

    Args:
        word: a class name, a common synonym, a label's number, or a number and a name (``3_happy``); any case.
        scheme: the classes to choose from.
    Returns:
        the label, None where the word names no class of the scheme.
    """
    if word.isdecimal():
        return int(word) if int(word) < len(scheme) else None
    name = word.lstrip("0123456789").lstrip(" ._-").lower()
    meaning = _MEANING.get(name, name)
    for label, class_name in enumerate(scheme.classes):
        if meaning == _MEANING.get(class_name, class_name):
            return label
    return None


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
    """Say why the labels of two schemes do not mean the same.

    Returns:
        one sentence for an error message; None where they do.
    """
    if one.classes != other.classes:
        what = "the same classes in another order" if set(one.classes) == set(other.classes) else "other classes"
        return f"{what}: {format_scheme(one)} against {format_scheme(other)}"
    if one.name != other.name and {one.name, other.name} <= SCHEMES.keys():
        return f"the same names for other faces: {_describe_mapping(one.name)}, {_describe_mapping(other.name)}"
    return None


def format_scheme(scheme: LabelScheme) -> str:
    """Return a scheme's name and its classes in label order."""
    return f"{scheme.name} ({', '.join(scheme.classes)})"


def _describe_mapping(name: str) -> str:
    """Say what a scheme makes of the classes of FER2013 that it has not kept apart."""
    scheme = SCHEMES[name]
    targets = scheme.fer2013 or ()
    changes = [
        f"leaves {old} out" if label is None else f"counts {old} as {scheme.classes[label]}"
        for old, label in zip(FER2013.classes, targets, strict=False)
        if label is None or scheme.classes[label] != old
    ]
    return f"{name} {' and '.join(changes) or 'keeps all classes apart'}"
