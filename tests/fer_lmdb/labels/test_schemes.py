"""Label schemes."""

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
)


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
