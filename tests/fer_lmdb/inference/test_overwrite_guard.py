"""No file that is looked at is ever written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.inference import InputFile, find_files
from fer_lmdb.inference.overwrite_guard import OverwriteGuard, any_exist


@pytest.fixture
def places(tmp_path: Path) -> Path:
    for name in ("a/x.png", "b/x.png", "b/deep/y.png", "c/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def refused(originals: OverwriteGuard, path: Path, found: InputFile | None = None) -> bool:
    try:
        return originals.check(path, found) != path
    except ImageError as error:
        assert str(error) == f"{path}: this would overwrite the original; save to another name or folder"
        return True


def test_files_to_look_at_are_spared_and_earlier_results_are_not(places: Path) -> None:
    names = [str(places / "a/x.png"), str(places / "b/x.png"), str(places / "b/deep/y.png")]
    originals = OverwriteGuard(find_files(names), [places / "b"])
    assert [refused(originals, places / name) for name in ("b/x.png", "b/deep/y.png")] == [True, True]
    (places / "b" / "earlier.png").write_bytes(b"")
    assert not refused(originals, places / "b" / "earlier.png")
    assert not refused(originals, places / "b" / "new.png")


def test_a_place_may_be_a_file(places: Path) -> None:
    originals = OverwriteGuard(find_files([str(places / "a/x.png"), str(places / "c/z.png")]), [places / "c" / "z.png"])
    assert refused(originals, places / "c" / "z.png")


def test_links_are_followed(places: Path) -> None:
    (places / "album").mkdir()
    (places / "album" / "linked.png").symlink_to(places / "b" / "x.png")
    (places / "out").symlink_to(places / "b")
    originals = OverwriteGuard(find_files([str(places / "album")]), [places / "out"])
    assert refused(originals, places / "out" / "x.png")
    assert refused(originals, places / "b" / "x.png")


def test_a_files_own_result_never_takes_its_place(places: Path) -> None:
    """Also where the place was empty when the command began."""
    found = InputFile(places / "c" / "z.png", Path("z.png"))
    assert refused(OverwriteGuard(), places / "c" / "z.png", found)
    assert not refused(OverwriteGuard(), places / "c" / "y.png", InputFile(Path("gone.png"), Path("gone.png")))


def test_names_that_lead_nowhere(places: Path) -> None:
    originals = OverwriteGuard(
        find_files(["a\0b.png", "https://example.org/a.png", str(places / "gone.png")]), [places]
    )
    assert refused(originals, places / "gone.png")


def test_only_places_that_hold_something_need_care(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "empty").mkdir()
    assert not any_exist([places / "empty", places / "new", places / "new.csv"])
    assert any_exist([places / "empty", places / "c"])
    assert any_exist([places / "c" / "z.png"])

    def refuse(path: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert any_exist([places / "empty"])
