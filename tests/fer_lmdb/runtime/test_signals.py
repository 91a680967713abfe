"""Signals: a stop request for loops, SystemExit for blocks that must clean up."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from fer_lmdb.runtime.signals import TerminationGuard, stop_on_signal


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_requests_a_stop_and_second_interrupts(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_on_signal() as stop:
        assert not stop.is_set()
        send(number)
        assert stop.is_set()
        send(number)
    assert signal.getsignal(number) is before


def test_patient_stop_ignores_further_signals() -> None:
    with stop_on_signal(patient=True) as stop:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert stop.is_set()


def test_no_handler_outside_the_main_thread() -> None:
    found = []

    def body() -> None:
        with stop_on_signal() as stop, TerminationGuard():
            found.append((stop.is_set(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert found == [(False, signal.SIG_DFL)]


def test_termination_raises_system_exit_at_once() -> None:
    with pytest.raises(SystemExit) as caught, TerminationGuard():
        send(signal.SIGTERM)
        raise AssertionError("not reached")
    assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_deferred_termination_is_raised_at_the_end() -> None:
    steps = []
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
    try:
        with pytest.raises(SystemExit) as caught, TerminationGuard() as termination:
            termination.defer()
            send(signal.SIGHUP)
            steps.append("finished")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert steps == ["finished"]
    assert caught.value.code == 128 + signal.SIGHUP


def test_handlers_of_the_program_are_kept() -> None:
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    try:
        with TerminationGuard():
            send(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]
