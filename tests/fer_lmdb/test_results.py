"""Prediction results as tables and as HTML for notebooks."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from fer_lmdb import results
from fer_lmdb.errors import MissingExtra
from fer_lmdb.results import FacePrediction, FramePrediction, ImagePrediction, to_frame, to_rows

FACE = FacePrediction((10.0, 20.0, 30.0, 40.0), 0.9, None, "happy", {"happy": 0.75, "<sad>": 0.25})
IMAGE = ImagePrediction("a.jpg", 80, 90, (FACE, FACE))
EMPTY = ImagePrediction("empty.jpg", 80, 90, ())
BROKEN = ImagePrediction("broken.jpg", 0, 0, (), "broken.jpg: is damaged & <short>")


def test_rows_of_faces_images_and_frames() -> None:
    assert [row["face"] for row in to_rows(IMAGE)] == [1, 2]
    assert to_rows(EMPTY) == [{"path": "empty.jpg", "error": None}]
    assert to_rows(BROKEN) == [{"path": "broken.jpg", "error": BROKEN.error}]
    (row,) = to_rows(FramePrediction("clip.mp4", 3, 0.12345, (replace(FACE, id=7),)))
    assert (row["frame"], row["time_s"], row["face"]) == (3, 0.1235, 7)
    assert list(to_rows(FACE)[0]) == ["face", "x", "y", "width", "height", "score", "expression", "happy", "<sad>"]


def test_a_frame_has_one_row_per_face_or_per_image_without_faces() -> None:
    pytest.importorskip("pandas")
    frame = to_frame(iter([EMPTY, IMAGE, BROKEN]))
    columns = ["path", "face", "x", "y", "width", "height", "score", "expression", "happy", "<sad>", "error"]
    assert list(frame.columns) == columns
    assert frame["path"].tolist() == ["empty.jpg", "a.jpg", "a.jpg", "broken.jpg"]
    assert frame["happy"].isna().tolist() == [True, False, False, True]
    assert frame["error"].tolist()[3] == BROKEN.error


def test_frames_of_single_results_and_of_none() -> None:
    pytest.importorskip("pandas")
    assert to_frame(IMAGE).equals(to_frame([IMAGE]))
    assert len(to_frame([FACE, FACE])) == 2
    assert "path" not in to_frame(FACE)
    assert list(to_frame([]).columns) == list(results.FACE_COLUMNS)
    assert {"frame", "time_s"} <= set(to_frame([FramePrediction("clip.mp4", 0, 0.0, ())]).columns)


def test_without_pandas_a_frame_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(results, "import_module", import_module)
    with pytest.raises(MissingExtra, match="to_frame requires pandas, which is not installed; run: pip install pandas"):
        to_frame([IMAGE])


def test_a_face_is_a_table_of_bars_in_a_notebook() -> None:
    table = ElementTree.fromstring(FACE._repr_html_())
    assert [row[0].text for row in table.iter("tr")] == ["happy", "<sad>"]
    assert [row[2].text for row in table.iter("tr")] == ["75%", "25%"]
    assert [bar.get("style").rsplit(":")[-1] for bar in table.iter("div")] == ["75.0%", "25.0%"]


def test_an_image_is_annotated_in_a_notebook() -> None:
    image = replace(IMAGE, image=np.zeros((90, 80, 3), np.uint8))
    page = ElementTree.fromstring(f"<div>{image._repr_html_()}</div>")
    svg = page.find("svg")
    assert svg.get("viewBox") == "0 0 80 90"
    assert [box.get("x") for box in svg.iter("rect")] == ["10.0", "10.0"]
    assert [label.text for label in svg.iter("text")] == ["1  happy 75%", "2  happy 75%"]
    assert len(page.findall(".//table")) == 2


def test_a_large_image_is_embedded_in_reduced_size() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), dtype=np.uint8)
    html = ImagePrediction("a.jpg", 3000, 2000, (), image=noise)._repr_html_()
    assert 'viewBox="0 0 3000 2000" width="1024"' in html
    assert len(html) < 2_000_000


def test_results_without_pixels_and_errors_in_a_notebook() -> None:
    assert "<svg" not in IMAGE._repr_html_()
    assert "a.jpg: 2 faces" in IMAGE._repr_html_()
    assert BROKEN._repr_html_() == "<p>broken.jpg: is damaged &amp; &lt;short&gt;</p>"
    assert "clip.mp4, frame 3, 0.12 s: no face" in FramePrediction("clip.mp4", 3, 0.12, ())._repr_html_()


def test_pixels_are_not_part_of_comparison_and_repr() -> None:
    image = replace(IMAGE, image=np.zeros((90, 80, 3), np.uint8))
    assert image == IMAGE
    assert "array" not in repr(image)
