"""Background threads preserve order and errors, and bound the memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.runtime.background import BackgroundWorker, latest_only, prefetch


def test_prefetch_preserves_the_order() -> None:
    assert list(prefetch(iter(range(100)))) == list(range(100))
    assert list(prefetch(iter([]))) == []


def test_prefetch_yields_none_items() -> None:
    assert list(prefetch(iter([None, 1, None]))) == [None, 1, None]


def test_at_most_one_item_is_prefetched() -> None:
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


def test_errors_are_raised_in_order() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("later")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="later"):
        next(items)


def test_calls_run_in_order_and_are_complete_at_the_end() -> None:
    done: list[int] = []
    with BackgroundWorker(max_pending=2) as worker:
        for number in range(50):
            worker.submit(done.append, number)
    assert done == list(range(50))


def test_submit_blocks_if_too_many_calls_are_pending() -> None:
    gate, started = threading.Event(), []
    with BackgroundWorker(max_pending=2) as worker:
        for _ in range(2):
            worker.submit(gate.wait, 10)
        waiting = threading.Thread(
            target=lambda: (started.append("submitting"), worker.submit(started.append, "called"))
        )
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        gate.set()
        waiting.join(5)
    assert started == ["submitting", "called"]


def test_an_error_of_a_call_is_raised() -> None:
    def fail() -> None:
        raise ValueError("disk full")

    with pytest.raises(ValueError, match="disk full"), BackgroundWorker() as worker:
        worker.submit(fail)


def test_an_error_of_the_caller_takes_precedence() -> None:
    def fail() -> None:
        raise ValueError("disk full")

    with pytest.raises(KeyboardInterrupt), BackgroundWorker() as worker:
        worker.submit(fail)
        raise KeyboardInterrupt


def test_latest_only_skips_outdated_items() -> None:
    arrived = threading.Event()

    def numbers() -> Iterator[int]:
        yield 0
        arrived.wait(5)
        yield from range(1, 100)

    items = latest_only(numbers())
    assert next(items) == 0
    arrived.set()
    time.sleep(0.3)
    rest = list(items)
    assert rest[-1] == 99
    assert len(rest) < 99


def test_latest_only_raises_errors_of_the_source() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ImageError("unplugged")

    with pytest.raises(ImageError, match="unplugged"):
        list(latest_only(broken()))


def test_closing_latest_only_ends_its_thread() -> None:
    def endless() -> Iterator[int]:
        while True:
            time.sleep(0.001)
            yield 1

    items = latest_only(endless())
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "latest-only"]
