"""Label schemes and class names."""

from __future__ import annotations

import pytest

from fer_lmdb.errors import SourceError
from fer_lmdb.labels import (
    FER2013,
    FERPLUS,
    MERGED,
    SCHEMES,
    WITHOUT_DISGUST,
    LabelScheme,
    explain_mismatch,
    get_scheme,
    parse_label,
)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_class_names_and_numbers_are_parsed(scheme) -> None:
    for label, name in enumerate(scheme.classes):
        assert (
            parse_label(name, scheme) == parse_label(name.upper(), scheme) == parse_label(str(label), scheme) == label
        )
        assert parse_label(f"{label}_{name}", scheme) == label


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("anger", "angry"),
        ("Disgusted", "disgust"),
        ("fearful", "fear"),
        ("Happiness", "happy"),
        ("sadness", "sad"),
        ("surprised", "surprise"),
        ("00 - neutral", "neutral"),
    ],
)
def test_synonyms(word: str, name: str) -> None:
    assert parse_label(word, FER2013) == FER2013.classes.index(name)
    assert parse_label(word, FERPLUS) is not None


@pytest.mark.parametrize("word", ["", "bored", "7", "-1", "happy faces", "contempt", "²"])
def test_unknown_class_names(word: str) -> None:
    assert parse_label(word, FER2013) is None


def test_schemes_of_six_classes() -> None:
    named = {
        scheme.name: [None if to is None else scheme.classes[to] for to in scheme.fer2013]
        for scheme in (MERGED, WITHOUT_DISGUST)
    }
    assert named["merged"] == ["angry", "angry", "fear", "happy", "sad", "surprise", "neutral"]
    assert named["without-disgust"] == ["angry", None, "fear", "happy", "sad", "surprise", "neutral"]


def test_unknown_scheme() -> None:
    with pytest.raises(SourceError, match='unknown label scheme "fer"; expected one of: fer2013, merged'):
        get_scheme("fer")


def test_a_scheme_equals_its_copy() -> None:
    for scheme in SCHEMES.values():
        assert explain_mismatch(scheme, LabelScheme(scheme.name, scheme.classes)) is None
    assert explain_mismatch(FER2013, LabelScheme("custom", FER2013.classes)) is None


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (FER2013, FERPLUS, "different classes, fer2013 (angry, disgust"),
        (FER2013, MERGED, "different classes"),
        (FER2013, LabelScheme("mine", FER2013.classes[::-1]), "different order of classes"),
        (MERGED, WITHOUT_DISGUST, "merged maps disgust to angry and without-disgust excludes disgust"),
    ],
)
def test_differences_of_schemes_are_explained(one, other, why) -> None:
    assert why in explain_mismatch(one, other)
    assert explain_mismatch(other, one) is not None
