"""Output paths never overwrite input files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.inference.inputs import InputFile, find_files
from fer_lmdb.inference.output_paths import OutputNames, OverwriteGuard, any_exist


@pytest.fixture
def places(tmp_path: Path) -> Path:
    for name in ("a/x.png", "b/x.png", "b/deep/y.png", "c/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def is_rejected(guard: OverwriteGuard, path: Path, file: InputFile | None = None) -> bool:
    try:
        return guard.check(path, file) != path
    except ImageError as error:
        assert str(error) == f"{path}: would overwrite an input file; choose another file or folder"
        return True


def test_input_files_are_protected_and_earlier_results_are_not(places: Path) -> None:
    names = [str(places / "a/x.png"), str(places / "b/x.png"), str(places / "b/deep/y.png")]
    guard = OverwriteGuard(find_files(names), [places / "b"])
    assert [is_rejected(guard, places / name) for name in ("b/x.png", "b/deep/y.png")] == [True, True]
    (places / "b" / "earlier.png").write_bytes(b"")
    assert not is_rejected(guard, places / "b" / "earlier.png")
    assert not is_rejected(guard, places / "b" / "new.png")


def test_an_output_may_be_a_file(places: Path) -> None:
    guard = OverwriteGuard(find_files([str(places / "a/x.png"), str(places / "c/z.png")]), [places / "c" / "z.png"])
    assert is_rejected(guard, places / "c" / "z.png")


def test_links_are_followed(places: Path) -> None:
    (places / "album").mkdir()
    (places / "album" / "linked.png").symlink_to(places / "b" / "x.png")
    (places / "out").symlink_to(places / "b")
    guard = OverwriteGuard(find_files([str(places / "album")]), [places / "out"])
    assert is_rejected(guard, places / "out" / "x.png")
    assert is_rejected(guard, places / "b" / "x.png")


def test_a_result_never_overwrites_its_own_input(places: Path) -> None:
    """This holds even if the output did not exist when the command started."""
    file = InputFile(places / "c" / "z.png", Path("z.png"))
    assert is_rejected(OverwriteGuard(), places / "c" / "z.png", file)
    assert not is_rejected(OverwriteGuard(), places / "c" / "y.png", InputFile(Path("gone.png"), Path("gone.png")))


def test_invalid_and_missing_inputs(places: Path) -> None:
    guard = OverwriteGuard(find_files(["a\0b.png", "https://example.org/a.png", str(places / "gone.png")]), [places])
    assert is_rejected(guard, places / "gone.png")


def test_empty_outputs_cannot_collide(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "empty").mkdir()
    assert not any_exist([places / "empty", places / "new", places / "new.csv"])
    assert any_exist([places / "empty", places / "c"])
    assert any_exist([places / "c" / "z.png"])

    def deny(path: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", deny)
    assert any_exist([places / "empty"])


def test_output_names_are_unique() -> None:
    names = OutputNames(Path("out"))
    file = InputFile(Path("x/a.b.jpg"), Path("s/a.b.jpg"))
    chosen = [names.choose(file, "-1", ".png").as_posix() for _ in range(2)]
    assert chosen == ["out/s/a.b-1.png", "out/s/a.b-1-2.png"]
