"""Names of output files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_lmdb.errors import OutputError
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.inference.output_paths import OutputNames, any_exist
from fer_lmdb.io.outputs import OutputGuard


def test_empty_outputs_cannot_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "z.png").write_bytes(b"z")
    assert not any_exist([tmp_path / "empty", tmp_path / "new", tmp_path / "new.csv"])
    assert any_exist([tmp_path / "empty", tmp_path / "full"])
    assert any_exist([tmp_path / "full" / "z.png"])

    def deny(path: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", deny)
    assert any_exist([tmp_path / "empty"])


def test_output_names_are_unique() -> None:
    names = OutputNames(Path("out"))
    file = InputFile(Path("x/a.b.jpg"), Path("s/a.b.jpg"))
    chosen = [names.choose(file, "-1", ".png").as_posix() for _ in range(2)]
    assert chosen == ["out/s/a.b-1.png", "out/s/a.b-1-2.png"]


def test_copies_and_crops_in_one_folder_have_different_names() -> None:
    guard = OutputGuard()
    copies, crops = OutputNames(Path("out"), guard), OutputNames(Path("out"), guard)
    assert copies.choose(InputFile(Path("x/a-1.png"), Path("a-1.png"))) == Path("out/a-1.png")
    assert crops.choose(InputFile(Path("x/a.png"), Path("a.png")), "-1", ".png") == Path("out/a-1-2.png")


def test_a_result_never_overwrites_its_own_input(tmp_path: Path) -> None:
    """This holds even if the output did not exist when the command started."""
    (tmp_path / "z.png").write_bytes(b"z")
    file = InputFile(tmp_path / "z.png", Path("z.png"))
    with pytest.raises(OutputError, match="would overwrite an input file"):
        OutputNames(tmp_path, OutputGuard(force=True)).choose(file)
    assert OutputNames(tmp_path).choose(InputFile(Path("gone.png"), Path("gone.png"))) == tmp_path / "gone.png"
