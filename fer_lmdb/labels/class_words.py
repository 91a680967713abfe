"""Labels of class words: names of class folders, or labels in a list.

A word is a class name or a synonym of it, a number, or a number and a name (``3_happy``). A number counts only in a
known label order. A number and a name have to agree.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from fer_lmdb.errors import SourceError
from fer_lmdb.labels.orders import LABEL_ORDERS, LabelOrder
from fer_lmdb.labels.schemes import LabelScheme
from fer_lmdb.labels.synonyms import is_expression, meaning

_NUMBER_AND_NAME = re.compile(r"(?P<number>[0-9]{1,7})[ ._-]*(?P<name>\D.*)")


def parse_label(word: str, scheme: LabelScheme, order: LabelOrder | None = None) -> int | None:
    """Return the label of a class word.

    Args:
        word: A class name or a common synonym, a number, or a number and a name, in any case.
        scheme: Label scheme of the result.
        order: Meaning of numbers; without it, a number is not a class.

    Returns:
        The label, or None if the word is not a class of the scheme.
    """
    name = class_name(word, order)
    for label, class_word in enumerate(scheme.classes):
        if name is not None and meaning(name) == meaning(class_word):
            return label
    return None


def class_name(word: str, order: LabelOrder | None) -> str | None:
    """Return the class name in a class word; None for a number without a meaning."""
    if _is_number(word):
        return order.names.get(int(word)) if order is not None else None
    found = _NUMBER_AND_NAME.fullmatch(word)
    return found["name"] if found else word


def check_class_words(words: Collection[str], order: LabelOrder | None, where: str) -> None:
    """Check that no label would be guessed.

    Args:
        words: All class words of a data set.
        order: Meaning of numbers, if it is known.
        where: Name of the data set, for messages.

    Raises:
        SourceError: If there are numbers and no order, or numbers and names that belong together in no known order.
    """
    numbers = {int(word) for word in words if _is_number(word)}
    if numbers and order is None:
        found = ", ".join(map(str, sorted(numbers)))
        fitting = [each for each in LABEL_ORDERS.values() if each.names.keys() >= numbers]
        known = _describe(sorted(fitting, key=lambda each: len(each.names)))
        raise SourceError(
            f"{where}: the classes are numbers, which mean different expressions in different data sets: found {found},"
            f" expected names; set --label-order to {known}, or the names with --labels"
        )
    pairs = _numbered_names(words)
    if not any(_agree(pairs, each) for each in ([order] if order is not None else _known_orders())):
        found = ", ".join(f"{number} {name}" for number, name in sorted(pairs))
        known = _describe([order] if order is not None else LABEL_ORDERS.values())
        raise SourceError(
            f"{where}: numbers and names of the classes disagree: found {found}, expected {known};"
            " rename the classes, or set numbers and names with --labels"
        )


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal()


def _numbered_names(words: Collection[str]) -> set[tuple[int, str]]:
    """Return number and expression of each word that has both."""
    found = filter(None, map(_NUMBER_AND_NAME.fullmatch, words))
    return {(int(match["number"]), meaning(match["name"])) for match in found if is_expression(match["name"])}


def _known_orders() -> Iterator[LabelOrder]:
    """Yield the known orders, also with the first number 1 instead of 0."""
    for order in LABEL_ORDERS.values():
        yield order
        if 0 in order.names:
            yield LabelOrder(order.name, {number + 1: name for number, name in order.names.items()})


def _agree(pairs: Iterable[tuple[int, str]], order: LabelOrder) -> bool:
    return all(meaning(order.names.get(number, "")) == name for number, name in pairs)


def _describe(orders: Iterable[LabelOrder]) -> str:
    """Return the orders for a message; all known ones if there are none."""
    return ", ".join(map(str, orders)) or _describe(LABEL_ORDERS.values())
