"""The rule for outputs of all commands and functions: nothing is lost that this call was not told to replace.

Never replaced, not even with `force`: inputs, and files of data sets, runs and models other than the named target. A
folder that is written as a whole is replaced with `force` if every file in it was written by this program. A single
file is replaced if it has this program's mark, another one with `force`. Two outputs of one call are two files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from fer_lmdb.errors import OutputError
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.io.folder_kinds import DATA_SET, RUN, FolderKind
from fer_lmdb.io.identity import FileSet, identities
from fer_lmdb.io.marks import MODEL_FORMAT, NAME, has_mark, safetensors_format

AnyPath = str | os.PathLike[str]


class OutputGuard:
    """Check of the files that one call writes.

    Args:
        inputs: Files that the call reads, models included.
        force: Whether to replace files without this program's mark.
    """

    def __init__(self, inputs: Iterable[AnyPath] = (), *, force: bool = False) -> None:
        self.inputs = FileSet(inputs)
        self._force = force
        self._outputs = FileSet()

    def is_taken(self, path: Path) -> bool:
        """Return whether an output of this call is this file already."""
        return path in self._outputs

    def check(self, path: Path, suffix: str | None = None, source: Path | None = None) -> Path:
        """Return the path of an output if it may be written.

        Args:
            path: File to write.
            suffix: Suffix of the files that it may replace; None takes that of the path.
            source: Input file that the output belongs to.

        Raises:
            OutputError: If it would replace an input, another output of this call, a file of a data set or run, a
                model, or (without `force`) a file without a mark; or if it is no regular file.
        """
        name = printable_path(path)
        if path in self.inputs or (source is not None and path in FileSet([source])):
            raise OutputError(f"{name}: would overwrite an input file; choose another file or folder")
        if path in self._outputs:
            raise OutputError(f"{name}: two outputs are this one file; choose another name for one of them")
        _check_owner(path, name)
        _check_existing(path, name, self._force, path.suffix if suffix is None else suffix)
        self._outputs.add(path)
        return path


def check_file(
    path: AnyPath, inputs: Iterable[AnyPath] = (), *, force: bool = False, suffix: str | None = None
) -> Path:
    """Return the path of the only output of a call if it may be written; see `OutputGuard.check`."""
    return OutputGuard(inputs, force=force).check(Path(path), suffix)


def check_folder(target: Path, kind: FolderKind, inputs: Iterable[AnyPath] = (), *, force: bool = False) -> None:
    """Check the target of a folder that is written as a whole.

    Args:
        target: Resolved path of the folder.
        kind: Kind of the new folder; an existing one must be of the same kind.
        inputs: Files and folders that the call reads.
        force: Whether to replace an existing folder.

    Raises:
        OutputError: If the target is or contains an input, contains a file that this program did not write, is not a
            folder of the kind, or exists (without `force`).
    """
    name = printable_path(target)
    for path in inputs:
        inside = Path(os.path.realpath(path))
        if inside == target or target in inside.parents or (target.exists() and _same(path, target)):
            raise OutputError(
                f"{name}: is or contains an input, {printable_path(path)}, which would be deleted; "
                "choose another folder for the output"
            )
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir() or not kind.is_at(target):
        raise OutputError(
            f"{name} exists and was not created by {NAME} (it has no {kind.marker}); choose another folder"
        )
    foreign = kind.find_foreign(target)
    if foreign is not None:
        raise OutputError(
            f"{name}: {printable_path(foreign)} in this {kind.name} was not created by {NAME} and would be deleted; "
            "move it or choose another folder"
        )
    if not force:
        raise OutputError(f"{name} exists; replace it with --force or choose another folder")


def _check_owner(path: Path, name: str) -> None:
    """Reject the names of files of a data set or run, as other files there are results."""
    real = Path(os.path.realpath(path))
    for kind in (DATA_SET, RUN):
        folder = kind.owner(real)
        if folder is not None and not (real.suffix.lower() == ".png" and (not real.exists() or has_mark(real))):
            raise OutputError(f"{name}: is a file of the {kind.name} {printable_path(folder)}; choose another file")


def _check_existing(path: Path, name: str, force: bool, suffix: str) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:  # ValueError: a NUL byte
        raise OutputError(f"{name}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{name}: is a folder; expected a file")
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{name}: is a pipe, socket or device; expected a regular file")
    found = safetensors_format(path)
    if found is not None and found.startswith(NAME) and not (found.startswith(MODEL_FORMAT) and _is_model(suffix)):
        raise OutputError(f'{name}: is a file of {NAME} ("{found}") of another kind; choose another file')
    if not force and not has_mark(path, suffix):
        raise OutputError(
            f"{name}: exists and was not written by {NAME}; replace it with --force or choose another file"
        )


def _is_model(suffix: str) -> bool:
    return suffix.lower() == ".safetensors"


def _same(one: AnyPath, other: Path) -> bool:
    return not set(identities(one)).isdisjoint(identities(other))
