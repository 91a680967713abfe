"""From the names of folders to labels."""

from __future__ import annotations

import pytest

from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013, FERPLUS, LABEL_ORDERS, SCHEMES, check_class_words, parse_label, read_labels


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_class_names_are_parsed(scheme) -> None:
    for label, name in enumerate(scheme.classes):
        assert parse_label(name, scheme) == parse_label(name.upper(), scheme) == label
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


@pytest.mark.parametrize("word", ["", "bored", "7", "3", "-1", "happy faces", "contempt", "²", "3_", "3_3"])
def test_words_without_a_class(word: str) -> None:
    assert parse_label(word, FER2013) is None


@pytest.mark.parametrize(
    ("order", "number", "name"),
    [
        ("fer2013", 3, "happy"),
        ("ferplus", 0, "neutral"),
        ("affectnet", 1, "happy"),
        ("affectnet", 6, "angry"),
        ("rafdb", 1, "surprise"),
        ("rafdb", 7, "neutral"),
        ("ckplus", 7, "surprise"),
        ("alphabetical", 4, "neutral"),
    ],
)
def test_numbers_have_the_meaning_of_their_order(order: str, number: int, name: str) -> None:
    assert parse_label(str(number), FER2013, LABEL_ORDERS[order]) == FER2013.classes.index(name)
    assert parse_label(f"0{number}", FER2013, LABEL_ORDERS[order]) == FER2013.classes.index(name)


def test_numbers_of_other_classes_have_no_label() -> None:
    assert parse_label("7", FER2013, LABEL_ORDERS["affectnet"]) is None  # contempt
    assert parse_label("7", FERPLUS, LABEL_ORDERS["affectnet"]) == FERPLUS.classes.index("contempt")
    assert parse_label("0", FER2013, LABEL_ORDERS["rafdb"]) is None


def test_numbers_without_an_order_are_an_error_with_the_orders_that_have_them() -> None:
    with pytest.raises(SourceError) as caught:
        check_class_words([str(number) for number in range(1, 8)], None, "raf")
    message = str(caught.value)
    assert message.startswith("raf: the classes are numbers, which mean different expressions in different data sets:")
    assert "found 1, 2, 3, 4, 5, 6, 7, expected names; set --label-order to rafdb (1 surprise, 2 fear, " in message
    assert "affectnet (0 neutral, 1 happy, " in message
    assert "fer2013 (" not in message
    with pytest.raises(SourceError, match=r"found 2021, expected names; set --label-order to fer2013 \(0 angry"):
        check_class_words(["happy", "2021"], None, "photos")
    for order in LABEL_ORDERS.values():
        check_class_words(["happy", "1", "2"], order, "photos")


@pytest.mark.parametrize(
    "words",
    [
        ["happy", "sad", "bored"],
        ["0_angry", "3_happy", "6-neutral"],  # FER2013
        ["1_happy", "0_neutral"],  # AffectNet
        ["1_Surprise", "4_Happiness", "7_Neutral"],  # RAF-DB
        ["1_angry", "4_happy"],  # FER2013 from 1
        ["01.angry", "02.disgust", "03.fear", "04.happy", "05.neutral", "06.sad", "07.surprise"],
        ["1_person", "happy"],
    ],
)
def test_numbered_names_that_agree(words: list[str]) -> None:
    check_class_words(words, None, "photos")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["3_sad", "4_happy"], "3 sad, 4 happy"),
        (["0_angry", "3_sad", "4_happy"], "0 angry, 3 sad, 4 happy"),
        (["3_happy", "1_happy"], "1 happy, 3 happy"),
        (["3_happy", "3_sad"], "3 happy, 3 sad"),
        (["9_happiness"], "9 happy"),
    ],
)
def test_numbered_names_that_disagree(words: list[str], found: str) -> None:
    with pytest.raises(SourceError) as caught:
        check_class_words(words, None, "photos")
    message = str(caught.value)
    assert f"photos: numbers and names of the classes disagree: found {found}, expected fer2013 (0 angry" in message
    assert "\n" not in message


def test_numbered_names_follow_the_order_that_is_set() -> None:
    check_class_words(["3_sad", "4_happy"], read_labels("3 sad, 4 happy"), "photos")
    with pytest.raises(SourceError, match=r"found 3 happy, expected rafdb \(1 surprise"):
        check_class_words(["3_happy"], LABEL_ORDERS["rafdb"], "photos")
