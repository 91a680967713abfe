"""Atomic writes of files and directories.

A file or directory is written beside its target under a hidden name, flushed to disk, then renamed to the target. If
the process is killed, the target is the old one or the new one, never a mixture, and the next call removes what the
killed process left of a directory.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from fer_lmdb.errors import DataSetError, OutputError
from fer_lmdb.io.file_names import printable_path, sibling
from fer_lmdb.io.folder_kinds import DATA_SET, FolderKind
from fer_lmdb.io.outputs import check_folder
from fer_lmdb.runtime.locks import FileLock
from fer_lmdb.runtime.posix import fsync, is_windows, lock_for_append, sync_all
from fer_lmdb.runtime.signals import TerminationGuard

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
MANY_FILES = 1000


class AtomicFile:
    """A file that is written under a temporary name and appears under its own name when it is committed.

    A link at the target is replaced, not followed.

    Args:
        path: Target; its folder must exist.
        sync: Whether to flush the content to disk before the rename. Without it a power failure, though not a killed
            process, can leave an empty file; enough for results that can be computed again.

    Attributes:
        partial: Path of the temporary file, in the same folder and empty at first.
    """

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self.path = path
        self.partial = sibling(path, ".", f".{uuid.uuid4().hex[:12]}.partial")
        self._sync = sync
        self.partial.touch()
        self._mode = stat.S_IMODE(self.partial.stat().st_mode)

    def commit(self) -> None:
        """Rename the temporary file to the target."""
        self.partial.chmod(self._mode)  # safetensors creates files that only their owner may read
        if self._sync:
            fsync(self.partial)
        self.partial.replace(self.path)

    def discard(self) -> None:
        """Remove the temporary file; no-op after `commit`."""
        self.partial.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary file to write; it replaces `path` if the block ends without an error.

    Args:
        path: Target; its folder must exist.
        sync: Whether to flush the content to disk before the rename; see `AtomicFile`.
    """
    file = AtomicFile(path, sync=sync)
    try:
        yield file.partial
        file.commit()
    finally:
        file.discard()


def atomic_write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def atomic_append(path: Path, text: str) -> None:
    """Append to a UTF-8 text file, all of the text or nothing; safe with several processes at once."""
    content = text.encode()
    with path.open("ab", buffering=0) as file:
        lock_for_append(file.fileno())
        size = file.seek(0, os.SEEK_END)
        try:
            if file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(size)
            raise
        os.fsync(file.fileno())


@contextmanager
def atomic_directory(
    target: Path,
    *,
    kind: FolderKind = DATA_SET,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str]] = (),
) -> Iterator[Path]:
    """Yield an empty directory to fill; it becomes `target` if the block ends without an error.

    Args:
        target: Directory to create.
        kind: Kind of the directory; an existing one of another kind, or with other files in it, is never replaced.
        force: Whether to replace an existing one.
        inputs: Files and folders that are read to fill it; a directory that contains one is never replaced.

    Raises:
        OutputError: If the target must not be replaced, see `fer_lmdb.io.outputs`, or is being built by another
            process.
        DataSetError: If it cannot be written.
        SystemExit: If SIGTERM or SIGHUP arrives before the directory is complete; the temporary one is removed.
    """
    target = Path(target).resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(_beside(target, "lock"), remove=True) as lock:
            if not lock.acquire():
                raise OutputError(
                    f"{printable_path(target)} is being built by another process; wait until it finishes or choose "
                    "another folder"
                )
            _clean_up(target)
            check_folder(target, kind, inputs, force=force)
            with _filled(target) as building:
                yield building
    except OSError as error:
        raise DataSetError(_explain(error, target)) from error


@contextmanager
def _filled(target: Path) -> Iterator[Path]:
    building = _beside(target, "building")
    with TerminationGuard() as termination:
        building.mkdir()
        try:
            yield building
            fsync_tree(building)
            termination.defer()
            _replace(building, target)
        finally:
            termination.defer()
            shutil.rmtree(building, ignore_errors=True)
            shutil.rmtree(_beside(target, "old"), ignore_errors=True)


def fsync_tree(folder: Path) -> None:
    """Flush a directory and everything below it to disk."""
    paths = [Path(root) / name for root, _, files in os.walk(folder) for name in [*files, ""]]
    if len(paths) > MANY_FILES and sync_all():  # a hundred thousand single calls take minutes
        return
    for path in paths:
        fsync(path)


def _clean_up(target: Path) -> None:
    """Remove what a killed process left; restore the old directory if the target is missing."""
    old = _beside(target, "old")
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    building = _beside(target, "building")
    if building.exists():
        shutil.rmtree(building)


def _replace(building: Path, target: Path) -> None:
    """Rename the new directory to the target; one step if the system can exchange two names."""
    if not target.exists() or not any(target.iterdir()):
        if target.exists() and is_windows():
            target.rmdir()  # only POSIX renames to an empty folder
        building.rename(target)
    elif not _exchange(building, target):
        # If the process is killed between these two lines, `_clean_up` restores the old directory.
        target.rename(_beside(target, "old"))
        building.rename(target)
    fsync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step (Linux's renameat2); return False if the system or file system cannot."""
    rename = _load_renameat2()
    if rename is None:
        return False
    return rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


@cache
def _load_renameat2() -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None


def _beside(target: Path, what: str) -> Path:
    return sibling(target, ".", f".fer-lmdb-{what}")


def _explain(error: OSError, target: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space left on the disk while building {printable_path(target)}; the previous state is unchanged"
    place = f" ({printable_path(error.filename)})" if error.filename else ""
    return f"cannot write {printable_path(target)}: {error.strerror or error}{place}"
