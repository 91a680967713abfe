"""Files and folders that appear whole or not at all.

A folder is filled beside its target under a hidden name, brought onto the disk and then takes the target's place in
one step. Whenever the process is killed, the target is the old folder or the new one, never a mixture, and the
next call removes what the killed one left.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fer_lmdb.errors import DataSetError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
MANY_FILES = 1000


@contextmanager
def atomic_directory(target: Path, *, force: bool = False, marker: str = "manifest.json") -> Iterator[Path]:
    """Give an empty folder to fill; it becomes `target` when the block ends without an error.

    Args:
        target: the folder to make.
        force: replace it where it exists.
        marker: a file that every such folder holds; a folder without it was not made by us and is never replaced.
    Raises:
        DataSetError: the target exists (without `force`) or is not ours, somebody else is building it at
            this moment, or the place cannot be written.
        SystemExit: SIGTERM or SIGHUP came while it was filled; what was begun is removed.
    """
    target = Path(target).resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target):
            _clean_up(target)
            _check_target(target, force, marker)
            building = _beside(target, "building")
            with _ended_by_signals() as hold_on:
                building.mkdir()
                try:
                    yield building
                    fsync_tree(building)
                    hold_on()
                    _take_place(building, target)
                finally:
                    hold_on()
                    shutil.rmtree(building, ignore_errors=True)
                    shutil.rmtree(_beside(target, "old"), ignore_errors=True)
    except OSError as error:
        raise DataSetError(_explain(error, target)) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`; put it in its place when it is complete and on the disk."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.touch()
        mode = stat.S_IMODE(partial.stat().st_mode)
        yield partial
        partial.chmod(mode)  # safetensors makes files that their owner alone may read
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file, complete or not at all."""
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def atomic_append(path: Path, text: str) -> None:
    """Append to a text file, all of it or nothing; several processes may do so at once."""
    content = text.encode()
    with path.open("ab", buffering=0) as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        try:
            if file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(size)
            raise
        os.fsync(file.fileno())


def fsync_tree(folder: Path) -> None:
    """Bring every file and folder below (and the folder itself) onto the disk."""
    paths = [Path(root) / name for root, _, files in os.walk(folder) for name in [*files, ""]]
    if len(paths) > MANY_FILES:
        os.sync()  # everything at once: a hundred thousand single calls would take minutes
        return
    for path in paths:
        _fsync(path)


def _check_target(target: Path, force: bool, marker: str) -> None:
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir() or not (target / marker).is_file():
        raise DataSetError(
            f"{target} exists and was not made by this program (it has no {marker}); choose another place"
        )
    if not force:
        raise DataSetError(f"{target} exists; replace it with --force or choose another place")


def _clean_up(target: Path) -> None:
    """Remove what a killed process left; bring the old folder back where the target is missing."""
    old = _beside(target, "old")
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    building = _beside(target, "building")
    if building.exists():
        shutil.rmtree(building)


def _take_place(building: Path, target: Path) -> None:
    """Put the new folder in the target's place; one step where the system can exchange two names."""
    if not target.exists() or not any(target.iterdir()):
        building.rename(target)
    elif not _exchange(building, target):
        # Killed between these two lines, the old folder waits under its hidden name for `_clean_up`.
        target.rename(_beside(target, "old"))
        building.rename(target)
    _fsync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step (Linux's renameat2); False where the system or file system cannot."""
    rename: Callable[..., int] | None = None
    if sys.platform == "linux":
        rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Hold the right to build `target`; the system takes it back when the process ends, however it ends."""
    path = _beside(target, "lock")
    descriptor = _open_locked(path, target)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open_locked(path: Path, target: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DataSetError(
                f"{target} is being built by another process; wait for it or choose another place"
            ) from None
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)  # its holder removed the file between our open and our lock


@contextmanager
def _ended_by_signals() -> Iterator[Callable[[], None]]:
    """Let SIGTERM and SIGHUP end the block with an exception: by default they would leave everything lying.

    Gives a function after whose call they have to wait until the block is left. A program that handles these
    signals itself keeps its own way.
    """
    ours: list[int] = []
    if threading.current_thread() is threading.main_thread():
        ours = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    received: list[int] = []
    held = False

    def end(number: int, _frame: object) -> None:
        received.append(number)
        if not held and len(received) == 1:
            raise SystemExit(128 + number)

    def hold_on() -> None:
        nonlocal held
        held = True

    for number in ours:
        signal.signal(number, end)
    try:
        yield hold_on
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
    if received:
        raise SystemExit(128 + received[0])


def _beside(target: Path, what: str) -> Path:
    return target.parent / f".{target.name}.{what}"


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError, target: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space left on the disk while building {target}; the place is as it was before"
    return f"cannot write {target}: {error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
