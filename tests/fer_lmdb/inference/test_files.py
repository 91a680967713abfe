"""Inference on files with result files, without the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_lmdb import Recognizer
from fer_lmdb.errors import OutputError
from fer_lmdb.inference.files import VideoSummary, predict_files
from fer_lmdb.inference.output_paths import OutputPaths
from fer_lmdb.io.images import write_image
from fer_lmdb.io.video_writer import VideoWriter
from fer_lmdb.results import FramePrediction, ImagePrediction


@pytest.fixture(scope="module")
def recognizer(trained) -> Recognizer:
    return Recognizer(trained.run.path, detector="none", device="cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image, a video of three frames, an image and a broken video."""
    folder = tmp_path / "in"
    for name in ("a.png", "c.png"):
        write_image(folder / name, np.full((60, 50, 3), 90, np.uint8))
    with VideoWriter(folder / "b.mp4") as video:
        for index in range(3):
            video.add(np.full((60, 50, 3), 90, np.uint8), index / 25)
    (folder / "d.mp4").write_bytes(b"rubbish" * 99)
    return folder


def test_results_are_in_the_order_of_the_files(folder: Path, recognizer: Recognizer) -> None:
    results = list(predict_files([str(folder)], recognizer))
    kinds = [type(result) for result in results]
    video = [FramePrediction] * 3 + [VideoSummary]
    assert kinds == [ImagePrediction, *video, ImagePrediction, FramePrediction, VideoSummary]
    assert [Path(result.path).name for result in results] == ["a.png", *["b.mp4"] * 4, "c.png", *["d.mp4"] * 2]
    assert results[4].timeline.frames == 3
    assert [result.error is None for result in results] == [True] * 6 + [False] * 2


def test_all_result_files_are_written(folder: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    outputs = OutputPaths(tmp_path / "copies", tmp_path / "crops", tmp_path / "faces.csv", tmp_path / "plots")
    for _ in predict_files([str(folder / name) for name in ("a.png", "b.mp4")], recognizer, outputs):
        pass
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    crops = {"crops/a-1.png", *(f"crops/b-{frame:06d}-1.png" for frame in range(3))}
    assert {"copies/a.png", "copies/b.mp4", "faces.csv", "plots/b.png", *crops} <= written
    assert len((tmp_path / "faces.csv").read_text().splitlines()) == 5


def test_an_input_is_not_overwritten(folder: Path, recognizer: Recognizer) -> None:
    before = (folder / "a.png").read_bytes()
    with pytest.raises(OutputError, match=r"a\.png: would overwrite an input file"):
        list(predict_files([str(folder / "a.png")], recognizer, OutputPaths(save=folder)))
    assert (folder / "a.png").read_bytes() == before
