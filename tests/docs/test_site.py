"""The site is built without a warning, has every page, and fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import fer_lmdb

ROOT = Path(__file__).resolve().parents[2]
#: What a browser fetches by itself; `href` of a link is for the reader to follow.
FETCHED = {"src", "srcset", "poster", "data"}
REMOTE_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"']*")
REMOTE_SCRIPT = re.compile(r"[\"'`](?:https?:)?//[^\"'`\s]+\.(?:m?js|css|woff2?)\b")


def is_installed(package: str) -> bool:
    try:
        return bool(distribution(package))
    except PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the site; `strict` in mkdocs.yml makes a broken link, anchor or left-out page an error."""
    missing = [name for name in ("mkdocs", "mkdocs-material", "mkdocstrings-python") if not is_installed(name)]
    if missing:
        pytest.skip(f"needs the extra docs: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


class Assets(HTMLParser):
    """Collects the addresses that a browser fetches for a page, and its styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_fetched = name in FETCHED or (name == "href" and tag in ("link", "use", "image"))
            if is_fetched and re.match(r"\s*(https?:)?//", value or ""):
                self.found.append(f"{tag} {name}={value}")
            if name == "style":
                self.found += REMOTE_STYLE.findall(value or "")


def remote_assets(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".html", ".svg"):
        parser = Assets()
        parser.feed(text)
        yield from parser.found
        for code in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
            yield from REMOTE_SCRIPT.findall(code)
        for style in re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL):
            yield from REMOTE_STYLE.findall(style)
    elif path.suffix == ".css":
        yield from REMOTE_STYLE.findall(text)
    elif path.suffix == ".js" and path.name != "search_index.js":  # the index is text to be found, not code
        yield from REMOTE_SCRIPT.findall(text)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")]
    assert {path.suffix for path in files} == {".html", ".css", ".js", ".svg"}
    assert {str(path.relative_to(site)): found for path in files if (found := list(remote_assets(path)))} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.html", '<link rel="stylesheet" href="https://fonts.example/a.css">'),
        ("page.html", '<script src="//cdn.example/a.js"></script>'),
        ("page.html", "<script>import('https://cdn.example/a.mjs')</script>"),
        ("page.html", '<p style="background: url(https://example.org/a.png)">'),
        ("drawing.svg", '<style>@font-face { src: url("https://fonts.example/a.woff2") }</style>'),
        ("theme.css", '@import "https://fonts.example/a.css";'),
        ("theme.js", 'load("https://cdn.example/a.js")'),
    ],
)
def test_a_remote_asset_would_be_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert len(list(remote_assets(tmp_path / name))) == 1


def test_a_link_to_a_website_is_no_asset(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<a href="https://example.org/a.js">there</a>', encoding="utf-8")
    assert list(remote_assets(tmp_path / "page.html")) == []


def test_pages_outside_of_docs_are_taken_in(site: Path) -> None:
    taken = ["index", "MODEL_CARD", "CHANGELOG", "CONTRIBUTING", "data/index", "runs/index", "docs/index"]
    nets = [path.parent.relative_to(ROOT) / "index" for path in ROOT.glob("prototxt_like/**/README.md")]
    assert [page for page in [*taken, *nets] if not (site / f"{page}.html").is_file()] == []
    card = (site / "docs" / "cards" / "fer_mini.html").read_text(encoding="utf-8")
    assert 'href="../../MODEL_CARD.html#limits"' in card


def test_the_reference_holds_every_public_name(site: Path) -> None:
    page = (site / "docs" / "api" / "fer_lmdb.html").read_text(encoding="utf-8")
    public = [name for name in fer_lmdb.__all__ if not name.startswith("_")]
    assert [name for name in public if f'id="fer_lmdb.{name}"' not in page] == []
    page = (site / "docs" / "api" / "prototxt_like.html").read_text(encoding="utf-8")
    some = ("Net", "Solver", "read_net", "NetError", "zoo")
    assert [name for name in some if f'id="prototxt_like.{name}"' not in page] == []
    assert "NetParameter, or path of a prototxt or caffemodel" in page


def test_the_search_knows_pages_and_names(site: Path) -> None:
    for name in ("search_index.json", "search_index.js"):  # from a server, and from the disk
        index = (site / "search" / name).read_text(encoding="utf-8")
        assert all(place in index for place in ("docs/tutorial.html", "docs/api/prototxt_like.html#prototxt_like.Net"))
