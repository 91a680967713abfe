"""Invalid samples are all reported before a face is detected."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data.build import build
from fer_lmdb.data.build import collect as collecting
from fer_lmdb.errors import SourceError
from fer_lmdb.io.images import write_image
from fer_lmdb.labels import FER2013


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, name in enumerate(FER2013.classes):
        for number in range(5):
            write_image(tmp_path / "photos" / name / f"{number}.png", np.full((48, 48), 30 * label + number, np.uint8))
    return tmp_path / "photos"


@pytest.mark.parametrize("detector", ["haar", "none"])
def test_all_invalid_files_are_listed(photos: Path, tmp_path: Path, monkeypatch, caplog, detector: str) -> None:
    detected: list[object] = []
    monkeypatch.setattr(
        collecting.FacePreprocessor, "__call__", lambda self, images: detected.append(images) or pytest.fail("detected")
    ) if detector == "haar" else None
    for name in ("happy/1.png", "sad/2.png", "fear/3.png"):
        (photos / name).write_bytes(b"not an image")
    with caplog.at_level(logging.WARNING), pytest.raises(SourceError) as error:
        build(photos, tmp_path / "data", detector=detector)
    assert str(error.value) == (
        "found 3 invalid samples, listed above; repair them or use --skip-invalid to skip and list such samples"
    )
    assert [Path(record.getMessage().split(":")[0]).name for record in caplog.records] == ["3.png", "1.png", "2.png"]
    assert not detected and not (tmp_path / "data").exists()


def test_a_single_one_is_the_error(photos: Path, tmp_path: Path) -> None:
    (photos / "happy" / "1.png").write_bytes(b"not an image")
    with pytest.raises(SourceError, match=r"happy/1.png: .* \(use --skip-invalid to skip and list such samples\)"):
        build(photos, tmp_path / "data", detector="haar")
    assert build(photos, tmp_path / "data", detector="haar", skip_invalid=True).manifest["unreadable"] == 1
