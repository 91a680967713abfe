"""The page and the files beside it."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fer_lmdb import reporting
from fer_lmdb.reporting.elements import (
    Chart,
    Fact,
    Group,
    ImageGrid,
    Missing,
    Report,
    Section,
    TableElement,
    Text,
    Tile,
    try_element,
)
from fer_lmdb.reporting.html import data_uri, render
from fer_lmdb.visualization.plots import draw_distribution, single_figure


class Reader(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def found(drawn_data, drawn_csv) -> Report:
    return reporting.report(drawn_data, faces=True, source=drawn_csv)


@pytest.fixture(scope="module")
def written(found, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report"
    return out, reporting.write(found, out, "fer-lmdb report x")


@pytest.fixture(scope="module")
def page(written) -> str:
    return (written[0] / "index.html").read_text(encoding="utf-8")


def small(*parts, title="A <b>run</b>") -> Report:
    return Report("run", title, "of <i>drawn</i> faces", [Fact("N", "3", "<note>")], [Section("One & two", parts)])


def test_the_page_refers_to_nothing_outside_of_itself(page) -> None:
    reader = read(page)
    links = reader.values("src") + reader.values("href") + reader.values("xlink:href")
    assert len(links) > 100
    assert [link[:60] for link in links if not link.startswith(("data:image/png;base64,", "#"))] == []
    assert not re.search(r"url\((?!#)|@import|<script|<link", page)
    targets = {link[1:] for link in links if link.startswith("#")}
    assert targets <= set(reader.values("id"))


def test_identifiers_are_unique_and_every_image_is_described(page) -> None:
    reader = read(page)
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    assert all(attributes.get("alt") for tag, attributes in reader.tags if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in reader.tags if tag == "svg")


def test_charts_take_the_color_of_the_page(page) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 3
    assert all("currentColor" in chart and "#000000" not in chart for chart in charts)


def test_the_page_has_a_dark_theme_and_a_printed_form_and_fits_a_phone(page) -> None:
    assert "@media (prefers-color-scheme: dark)" in page
    assert "@media print" in page
    assert 'name="viewport" content="width=device-width' in page


def test_every_part_is_a_file_that_can_be_opened(written) -> None:
    out, document = written
    assert document["missing"] == {}
    assert "contact-sheet.png" in document["files"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*document["files"], "index.html", "report.json"])
    for name in document["files"]:
        if name.endswith(".png"):
            assert np.asarray(Image.open(out / name).convert("L")).std() > 5
        else:
            text = (out / name).read_text(encoding="utf-8")
            assert '<rect width="100%" height="100%" fill="#ffffff"/>' in text
            assert len(text) > 5000
    assert json.loads((out / "report.json").read_text())["kind"] == "data set"


def test_texts_are_shown_as_they_are() -> None:
    parts = [TableElement("T", ["<a>"], [["<b>"]], "<c>"), Text("<d>", "<e>"), Missing("<f>", "<g>")]
    page = render(small(*parts), "fer-lmdb report '<h>'")
    for letter in "abcdefgh":
        assert f"&lt;{letter}&gt;" in page
    assert "&lt;note&gt;" in page
    assert "A &lt;b&gt;run&lt;/b&gt;" in page


def test_what_is_missing_stands_at_the_top_once_for_each_reason() -> None:
    page = render(small(Missing("One", "the data set is gone"), Missing("Two", "the data set is gone")), "x")
    top = page[page.index("<aside>") : page.index("</aside>")]
    assert "<strong>One, Two</strong>: the data set is gone" in top
    assert "<aside>" not in render(small(), "x")


def test_an_image_survives_its_way_into_the_page() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = base64.b64decode(data_uri(image).removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(data))), image)


def test_a_group_without_faces_says_so(tmp_path) -> None:
    face = np.zeros((4, 4), np.uint8)
    faces = ImageGrid("f", "F", [Group("sad", []), Group("happy", [Tile(face, ("one", "two"))])], "caption")
    found = small(
        faces, Chart("c", "C", single_figure(draw_distribution, "val", {"count": 0, "per_class": {"sad": 0}}))
    )
    document = reporting.write(found, tmp_path / "out", "x")
    assert document["files"] == ["f.png", "f.svg", "c.png", "c.svg"]
    assert '<p class="none">none</p>' in (tmp_path / "out" / "index.html").read_text()


def test_a_report_takes_the_place_of_an_older_one(tmp_path) -> None:
    reporting.write(small(Text("a", "b"), title="First"), tmp_path / "out", "x")
    (tmp_path / "out" / "old.png").write_text("old")
    reporting.write(small(title="Second"), tmp_path / "out", "x")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.html", "report.json"]
    assert "Second" in (tmp_path / "out" / "index.html").read_text()


def test_only_expected_errors_become_a_note() -> None:
    def fails() -> Text:
        raise FileNotFoundError(2, "No such file", "x.png")

    assert try_element("T", fails) == Missing("T", "[Errno 2] No such file: 'x.png'")
    with pytest.raises(ZeroDivisionError):
        try_element("T", lambda: Text("a", str(1 / 0)))
