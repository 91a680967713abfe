"""Files of tensors on a full disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors import SafetensorError
from safetensors.torch import load_file

from fer_lmdb.io.tensors import save_tensors

FULL = "Error while serializing: I/O error: No space left on device (os error 28)"


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let safetensors write half a file and fail as on a full disk."""

    def fail(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise SafetensorError(FULL)

    monkeypatch.setattr("fer_lmdb.io.tensors.save_file", fail)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let the system reject writes beyond a size in bytes; Python ignores the signal."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_tensors_of_any_layout_are_written(tmp_path: Path) -> None:
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3).T
    save_tensors(tmp_path / "a.safetensors", {"a": tensor.requires_grad_()})
    assert torch.equal(load_file(tmp_path / "a.safetensors")["a"], tensor)


def test_on_a_full_disk_the_older_file_survives(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"a": torch.zeros(3)})
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="No space left on device") as caught:
        save_tensors(path, {"a": torch.ones(3)})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert torch.equal(load_file(path)["a"], torch.zeros(3))
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_system_itself_is_an_os_error(tmp_path: Path) -> None:
    with file_size_limit(100_000), pytest.raises(OSError, match="File too large") as caught:
        save_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(100_000)})
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_safetensors_remain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tensors: object, path: Path, metadata: object) -> None:
        raise SafetensorError("Error while serializing: invalid header")

    monkeypatch.setattr("fer_lmdb.io.tensors.save_file", fail)
    with pytest.raises(SafetensorError, match="invalid header"):
        save_tensors(tmp_path / "a.safetensors", {})


@pytest.mark.usefixtures("full_disk")
def test_export_ends_in_one_line(tmp_path: Path) -> None:
    from fer_lmdb.cli import cli

    out = tmp_path / "out.safetensors"
    result = CliRunner().invoke(cli, ["export", "fer_mini", "--format", "safetensors", "--out", str(out)])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"Error: [Errno 28] No space left on device: '{out}'"
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
