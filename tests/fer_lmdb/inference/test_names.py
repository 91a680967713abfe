"""Names in Chinese and emoji on annotated images and in plots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_lmdb import Recognizer
from fer_lmdb.inference.files import predict_files
from fer_lmdb.inference.output_paths import OutputPaths
from fer_lmdb.inference.timeline import Timeline
from fer_lmdb.io.images import read_image, write_image
from fer_lmdb.io.video_writer import VideoWriter
from fer_lmdb.results import FacePrediction, FramePrediction
from fer_lmdb.visualization.annotate import annotate

CLASSES = ("高兴", "😀 happy", "悲伤 😢", "👩‍👩‍👧 family", "سعيد")
"""Chinese, emoji, both, emoji joined to one, and Arabic, which is written from right to left."""
ODD = "家庭 😀 聚会"


def face(name: str, number: int | None = None) -> FacePrediction:
    probabilities = {each: 0.6 if each == name else 0.1 for each in CLASSES}
    return FacePrediction((120.0, 100.0, 150.0, 160.0), 0.9, None, name, probabilities, number)


@pytest.mark.parametrize("same_size", [True, False])
@pytest.mark.parametrize("name", CLASSES)
def test_class_names_on_annotated_images(name: str, same_size: bool) -> None:
    image = np.full((480, 640, 3), 90, np.uint8)
    found = annotate(image, [face(name)], same_size=same_size, note=ODD)
    assert found.shape[0] >= 480 and found.shape[1] >= 640
    assert not np.array_equal(found[:480, :640], annotate(image, [face("高兴")], same_size=same_size)[:480, :640])


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_names_in_plots_over_time(tmp_path: Path, suffix: str) -> None:
    line = Timeline(CLASSES)
    for index in range(4):
        line.add(FramePrediction(f"{ODD}.mp4", index, index / 25, (face(CLASSES[index], 1),)))
    line.draw(tmp_path / f"{ODD}{suffix}", f"{ODD}.mp4")
    assert (tmp_path / f"{ODD}{suffix}").stat().st_size > 1000


def test_file_names_of_all_results(trained, tmp_path: Path) -> None:
    source, out = tmp_path / ODD, tmp_path / f"结果 {ODD}"
    write_image(source / f"{ODD}.png", np.full((60, 50, 3), 90, np.uint8))
    with VideoWriter(source / "视频 🎬.mp4") as video:
        for index in range(3):
            video.add(np.full((60, 50, 3), 90, np.uint8), index / 25)
    outputs = OutputPaths(save=out / "图", crops=out / "脸 😀", table=out / "表.csv", plot=out / "曲线 📈")
    recognizer = Recognizer(trained.run.path, detector="none", device="cpu")
    results = list(predict_files([str(source)], recognizer, outputs))
    assert [result.error for result in results] == [None] * 5  # an image, three frames, and the summary of the video
    assert read_image(out / "图" / f"{ODD}.png").size
    assert (out / "图" / "视频 🎬.mp4").stat().st_size
    assert read_image(out / "曲线 📈" / "视频 🎬.png").size
    assert f"{ODD}.png" in (out / "表.csv").read_text(encoding="utf-8")
