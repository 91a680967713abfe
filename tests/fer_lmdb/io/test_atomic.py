"""Atomic writes. Kills are tested with `build`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_lmdb.errors import OutputError
from fer_lmdb.io import atomic
from fer_lmdb.io.atomic import atomic_directory


def make(target: Path, text: str, force: bool = False) -> None:
    with atomic_directory(target, force=force) as folder:
        assert folder != target
        assert list(folder.iterdir()) == []
        (folder / "mean.binaryproto").write_text(text)
        (folder / "manifest.json").write_text('{"format": "fer-lmdb data set 1"}')


def text_of(target: Path) -> str:
    return (target / "mean.binaryproto").read_text()


@pytest.mark.parametrize("can_exchange", [True, False])
def test_create_and_replace(tmp_path: Path, monkeypatch, can_exchange: bool) -> None:
    if not can_exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    make(tmp_path / "deep" / "data", "first")
    make(tmp_path / "deep" / "data", "second", force=True)
    assert text_of(tmp_path / "deep" / "data") == "second"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["data"]


def test_an_error_keeps_the_old_directory(tmp_path: Path) -> None:
    make(tmp_path / "data", "first")
    with pytest.raises(ZeroDivisionError), atomic_directory(tmp_path / "data", force=True) as folder:
        (folder / "text").write_text(str(1 / 0))
    assert text_of(tmp_path / "data") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_empty_directory_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    make(tmp_path / "data", "first")
    assert text_of(tmp_path / "data") == "first"


def test_a_link_to_a_directory_is_followed(tmp_path: Path) -> None:
    make(tmp_path / "disk" / "data", "first")
    (tmp_path / "data").symlink_to(tmp_path / "disk" / "data")
    make(tmp_path / "data", "second", force=True)
    assert (tmp_path / "data").is_symlink()
    assert text_of(tmp_path / "disk" / "data") == "second"


@pytest.mark.parametrize("force", [True, False])
def test_other_directories_are_never_replaced(tmp_path: Path, force: bool) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="was not created by fer-lmdb"):
        make(tmp_path / "data", "first", force)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_many_files(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(atomic, "MANY_FILES", 1)
    make(tmp_path / "data", "first")
    assert text_of(tmp_path / "data") == "first"


def test_the_lock_is_released_after_an_error(tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), atomic_directory(tmp_path / "data"):
            _ = 1 / 0
    make(tmp_path / "data", "first")
