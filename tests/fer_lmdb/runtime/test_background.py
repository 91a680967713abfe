"""Work in the background keeps its order, its errors and its bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fer_lmdb.runtime.background import BackgroundWorker, prefetch


def test_items_keep_their_order() -> None:
    assert list(prefetch(iter(range(100)))) == list(range(100))
    assert list(prefetch(iter([]))) == []


def test_none_is_an_item() -> None:
    assert list(prefetch(iter([None, 1, None]))) == [None, 1, None]


def test_at_most_one_item_is_read_ahead() -> None:
    made = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    items = prefetch(numbers())
    for _ in range(3):
        next(items)
    items.close()
    assert len(made) <= 4


def test_errors_come_out_where_they_happen() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("later")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="later"):
        next(items)


def test_calls_happen_in_order_and_are_done_at_the_end() -> None:
    done: list[int] = []
    with BackgroundWorker(waiting=2) as behind:
        for number in range(50):
            behind.submit(done.append, number)
    assert done == list(range(50))


def test_callers_wait_when_too_many_calls_do() -> None:
    gate, started = threading.Event(), []
    with BackgroundWorker(waiting=2) as behind:
        for _ in range(2):
            behind.submit(gate.wait, 10)
        waiting = threading.Thread(target=lambda: (started.append("asked"), behind.submit(started.append, "called")))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        gate.set()
        waiting.join(5)
    assert started == ["asked", "called"]


def test_an_error_of_a_call_is_not_lost() -> None:
    def fail() -> None:
        raise ValueError("disk full")

    with pytest.raises(ValueError, match="disk full"), BackgroundWorker() as behind:
        behind.submit(fail)


def test_an_error_of_the_caller_wins() -> None:
    def fail() -> None:
        raise ValueError("disk full")

    with pytest.raises(KeyboardInterrupt), BackgroundWorker() as behind:
        behind.submit(fail)
        raise KeyboardInterrupt
