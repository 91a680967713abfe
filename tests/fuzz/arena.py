"""Worker processes that read mutated files: 5 seconds of CPU time, 1 GB of memory, nothing executed or unpickled.

A worker is forked, writes a line before and after every case, and may die in any way. The case that it was reading is
then a finding, and the next worker continues after it. Target, seed and number identify a case, which can be repeated.
"""

from __future__ import annotations

import faulthandler
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .mutate import mutate
from .targets import EXPECTED_ERRORS, TARGETS

SECONDS = 5
MEMORY = 1 << 30
WALL_SECONDS = 60
"""Limit without CPU time, e.g. for a deadlock. Generous, since the machine may be busy."""

FORBIDDEN = ("exec", "marshal.loads", "pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn",
             "subprocess.Popen", "socket.connect", "ctypes.dlopen")  # fmt: skip
_watching = False
_seen: list[str] = []


@dataclass
class Outcome:
    """Outcome of a number of cases.

    Attributes:
        read: cases that were read to their end.
        rejected: Cases rejected with an expected error.
        finds: number of the case -> what went wrong.
    """

    read: int = 0
    rejected: int = 0
    finds: dict[int, str] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        """Return the number of cases."""
        return self.read + self.rejected + len(self.finds)


def case(target: str, seeds: list[bytes], seed: int, number: int) -> bytes:
    """Return a mutated file, deterministic in the arguments."""
    return mutate(target, seeds, random.Random(f"{target}/{seed}/{number}"))


def try_files(target: str, files: Callable[[int], bytes], first: int, until: Callable[[int], bool]) -> Outcome:
    """Run a target on files until the time or the files are used up.

    Args:
        target: a name of `TARGETS`.
        files: makes file number i.
        first: the first number.
        until: told the next number; True ends it.
    """
    outcome = Outcome()
    while not until(first):
        at = first
        for number, said in _work(target, files, first, until):
            at, first = number, number + 1
            if said == "read":
                outcome.read += 1
            elif said == "rejected":
                outcome.rejected += 1
            else:
                outcome.finds[at] = said
    return outcome


def _work(
    target: str, files: Callable[[int], bytes], first: int, until: Callable[[int], bool]
) -> Iterator[tuple[int, str]]:
    """Fork a worker and yield its result of every case; for the case that killed it, the signal or exit code."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # idle threads of PyTorch take no part
        worker = os.fork()
    if worker == 0:
        os.close(reading)
        _be_worker(target, files, first, until, writing)
    os.close(writing)
    number, last = first, ""
    try:
        for line in _lines(reading, worker):
            word, _, said = line.partition(" ")
            if said == "begins":
                number, last = int(word), said
            else:
                yield int(word), said
                number, last = int(word) + 1, ""
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL) if last else None
        _, status = os.waitpid(worker, 0)
    if last:
        yield number, _how_it_died(status)


def _lines(reading: int, worker: int) -> Iterator[str]:
    buffer = b""
    while True:
        if not select.select([reading], [], [], WALL_SECONDS)[0]:
            os.kill(worker, signal.SIGALRM)
            return
        piece = os.read(reading, 65536)
        if not piece:
            return
        *lines, buffer = (buffer + piece).split(b"\n")
        yield from (line.decode() for line in lines)


def _how_it_died(status: int) -> str:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        words = {"SIGPROF": f"more than {SECONDS} s of work", "SIGALRM": f"nothing done in {WALL_SECONDS} s"}
        return words.get(name, f"died of {name}")
    return f"ended with exit code {os.WEXITSTATUS(status)}"


def _be_worker(
    target: str, files: Callable[[int], bytes], first: int, until: Callable[[int], bool], writing: int
) -> None:
    """Run cases until the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        _limit()
        number = first
        while not until(number):
            data = files(number)
            os.write(writing, b"%d begins\n" % number)
            said = _try(target, data, folder)
            os.write(writing, f"{number} {said}\n".encode())
            number += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _limit() -> None:
    """Limit memory to its present size plus 1 GB, and audit calls."""
    torch.set_num_threads(1)  # other threads did not survive the fork
    faulthandler.disable()
    for standard in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), standard)
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + MEMORY, has + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("exec", "marshal.loads") and sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):
        return  # a module of ours or a library's, imported on first use
    if _watching and event in FORBIDDEN:
        _seen.append(f"{event} {arguments!r}"[:100])


def _try(target: str, data: bytes, folder: Path) -> str:
    """Return "read", "rejected" or a one-line description of the failure."""
    global _watching
    _seen.clear()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    _watching = True
    try:
        TARGETS[target](data, folder)
        said = "read"
    except EXPECTED_ERRORS as error:
        said = "rejected" if str(error) else f"rejected without a message: {error!r}"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {str(error)[:100]} ({Path(frame.filename).name}:{frame.lineno})"
    finally:
        _watching = False
        signal.setitimer(signal.ITIMER_PROF, 0)
    return " ".join((f"called {_seen[0]}" if _seen else said).split())


def warm_up(target: str, seeds: list[bytes]) -> None:
    """Read the valid files once, so that later cases do not include imports.

    Raises:
        any error: a valid file must be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        for data in seeds:
            with suppress(*EXPECTED_ERRORS):
                TARGETS[target](data, Path(folder))


def fuzz(target: str, seeds: list[bytes], seed: int, seconds: float, most: int | None = None) -> Outcome:
    """Run mutated files for a time or a number of cases."""
    ends = time.monotonic() + seconds
    return try_files(
        target,
        lambda number: case(target, seeds, seed, number),
        0,
        lambda number: time.monotonic() > ends or (most is not None and number >= most),
    )


def kinds(outcome: Outcome) -> Counter[str]:
    """Count findings by failure, without numbers and names."""
    return Counter(said.split(" (")[0][:60] + said[said.rfind(" (") :] for said in outcome.finds.values())
