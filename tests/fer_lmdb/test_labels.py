"""Label schemes and the words that name their classes."""

from __future__ import annotations

import pytest

from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013, FERPLUS, MERGED, SCHEMES, WITHOUT_DISGUST, find_label, get_scheme


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_every_class_finds_itself(scheme) -> None:
    for label, name in enumerate(scheme.classes):
        assert find_label(name, scheme) == find_label(name.upper(), scheme) == find_label(str(label), scheme) == label
        assert find_label(f"{label}_{name}", scheme) == label


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
    assert find_label(word, FER2013) == FER2013.classes.index(name)
    assert find_label(word, FERPLUS) is not None


@pytest.mark.parametrize("word", ["", "bored", "7", "-1", "happy faces", "contempt", "²"])
def test_words_that_name_no_class(word: str) -> None:
    assert find_label(word, FER2013) is None


def test_schemes_of_six_classes() -> None:
    named = {
        scheme.name: [None if to is None else scheme.classes[to] for to in scheme.fer2013]
        for scheme in (MERGED, WITHOUT_DISGUST)
    }
    assert named["merged"] == ["angry", "angry", "fear", "happy", "sad", "surprise", "neutral"]
    assert named["without-disgust"] == ["angry", None, "fear", "happy", "sad", "surprise", "neutral"]


def test_unknown_scheme() -> None:
    with pytest.raises(SourceError, match='no label scheme is called "fer"; there are: fer2013, merged'):
        get_scheme("fer")
