"""The HTML page and the image files of a report."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.reporting.elements import (
    Chart,
    Fact,
    Group,
    ImageGrid,
    Missing,
    Page,
    Section,
    TableElement,
    Text,
    Tile,
    try_element,
)
from fer_lmdb.reporting.html import data_uri, render
from fer_lmdb.reporting.report import Report, report
from fer_lmdb.visualization.plots import draw_distribution, single_figure


class Reader(HTMLParser):
    """Collects tags and attributes of a page."""

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
    return report(drawn_data, faces=True, source=drawn_csv)


@pytest.fixture(scope="module")
def written(found, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report"
    return out, found.write(out)


@pytest.fixture(scope="module")
def page(written) -> str:
    return (written[0] / "index.html").read_text(encoding="utf-8")


def small(*elements, title="A <b>run</b>") -> Page:
    sections = [Section("One & two", elements)]
    return Page("run", title, "of <i>synthetic</i> faces", [Fact("N", "3", "<note>")], sections)


def write(page: Page, out: Path) -> dict:
    return Report(page, out.parent, "x").write(out)


def test_page_is_self_contained(page) -> None:
    reader = read(page)
    links = reader.values("src") + reader.values("href") + reader.values("xlink:href")
    assert len(links) > 100
    assert [link[:60] for link in links if not link.startswith(("data:image/png;base64,", "#"))] == []
    assert not re.search(r"url\((?!#)|@import|<script|<link", page)
    targets = {link[1:] for link in links if link.startswith("#")}
    assert targets <= set(reader.values("id"))


def test_ids_are_unique_and_images_have_descriptions(page) -> None:
    reader = read(page)
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    assert all(attributes.get("alt") for tag, attributes in reader.tags if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in reader.tags if tag == "svg")


def test_charts_use_the_text_color_of_the_page(page) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 3
    assert all("currentColor" in chart and "#000000" not in chart for chart in charts)


def test_styles_for_dark_theme_print_and_phones(page) -> None:
    assert "@media (prefers-color-scheme: dark)" in page
    assert "@media print" in page
    assert 'name="viewport" content="width=device-width' in page


def test_each_chart_is_written_to_files(written) -> None:
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


def test_texts_are_escaped() -> None:
    elements = [TableElement("T", ["<a>"], [["<b>"]], "<c>"), Text("<d>", "<e>"), Missing("<f>", "<g>")]
    page = render(small(*elements), "fer-lmdb report '<h>'")
    for letter in "abcdefgh":
        assert f"&lt;{letter}&gt;" in page
    assert "&lt;note&gt;" in page
    assert "A &lt;b&gt;run&lt;/b&gt;" in page


def test_missing_elements_are_listed_by_reason() -> None:
    page = render(small(Missing("One", "the data set is gone"), Missing("Two", "the data set is gone")), "x")
    top = page[page.index("<aside>") : page.index("</aside>")]
    assert "<strong>One, Two</strong>: the data set is gone" in top
    assert "<aside>" not in render(small(), "x")


def test_data_uri_preserves_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = base64.b64decode(data_uri(image).removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(data))), image)


def test_empty_group(tmp_path) -> None:
    face = np.zeros((4, 4), np.uint8)
    faces = ImageGrid("f", "F", [Group("sad", []), Group("happy", [Tile(face, ("one", "two"))])], "caption")
    found = small(
        faces, Chart("c", "C", single_figure(draw_distribution, "val", {"count": 0, "per_class": {"sad": 0}}))
    )
    document = write(found, tmp_path / "out")
    assert document["files"] == ["f.png", "f.svg", "c.png", "c.svg"]
    assert '<p class="none">none</p>' in (tmp_path / "out" / "index.html").read_text()


def test_older_report_is_replaced(tmp_path) -> None:
    write(small(Text("a", "b"), title="First"), tmp_path / "out")
    listed = tmp_path / "out" / "report.json"
    listed.write_text(json.dumps(json.loads(listed.read_text()) | {"files": ["old.png"]}))
    (tmp_path / "out" / "old.png").write_text("old")
    write(small(title="Second"), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.html", "report.json"]
    assert "Second" in (tmp_path / "out" / "index.html").read_text()


def test_only_expected_errors_become_missing_elements() -> None:
    def fails() -> Text:
        raise FileNotFoundError(2, "No such file", "x.png")

    assert try_element("T", fails) == Missing("T", "[Errno 2] No such file: 'x.png'")
    with pytest.raises(ZeroDivisionError):
        try_element("T", lambda: Text("a", str(1 / 0)))
