"""The web page in a real browser: a photo results in boxes and bars, and nothing is loaded from other hosts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
TIMEOUT_MS = 60_000

if not BROWSER:
    pytest.skip("requires chromium: apt-get install chromium", allow_module_level=True)
httpx = pytest.importorskip("httpx", reason='requires the extra "web"')
playwright = pytest.importorskip("playwright.sync_api", reason="requires the package playwright")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", *CAMERA])
        yield browser
        browser.close()


class Visit:
    """The page opened at a given width; records errors and requests to other hosts."""

    def __init__(self, browser, url: str, width: int, scheme: str = "light") -> None:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        context.set_default_timeout(TIMEOUT_MS)
        self.foreign_requests: list[str] = []
        self.errors: list[str] = []
        self.page = context.new_page()
        self.page.on("request", lambda request: self._record_request(request.url, url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.goto(url)
        self.page.wait_for_selector("[data-do=choose]")

    def _record_request(self, address: str, url: str) -> None:
        if not address.startswith((url, "data:", "blob:")):
            self.foreign_requests.append(address)

    def bars(self) -> dict[str, str]:
        self.page.wait_for_selector(".fer-card")
        rows = self.page.locator(".fer-card").first.locator("dl > div").all()
        return {row.locator("dt").inner_text(): row.locator("dd").nth(1).inner_text() for row in rows}

    def close(self) -> None:
        self.page.context.close()


@pytest.fixture
def visit(browser, service) -> Iterator[Visit]:
    visit = Visit(browser, service.url, 1280)
    yield visit
    visit.close()


def test_photo_results_in_boxes_and_bars(visit: Visit, service, astronaut: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(astronaut)
    visit.page.set_input_files("[data-part=file]", tmp_path / "photo.png")
    answer = httpx.post(f"{service.url}/v1/predict", content=astronaut, timeout=60).json()
    (face,) = answer["faces"]
    assert visit.bars() == {name: f"{probability:.0%}" for name, probability in face["probabilities"].items()}
    image = visit.page.locator(".fer-image img")
    assert image.evaluate("image => image.complete && image.naturalWidth") == 512
    outer, inner = image.bounding_box(), visit.page.locator(".fer-box").bounding_box()
    assert inner["x"] - outer["x"] == pytest.approx(outer["width"] * face["box"][0] / 512, abs=2)
    assert inner["y"] - outer["y"] == pytest.approx(outer["height"] * face["box"][1] / 512, abs=2)
    assert inner["width"] == pytest.approx(outer["width"] * face["box"][2] / 512, abs=2)
    assert visit.page.locator(".fer-box").inner_text().startswith(face["expression"])
    assert "AI Act prohibits" in visit.page.inner_text("body")
    assert (visit.foreign_requests, visit.errors) == ([], [])
    assert service.stored() == []


def test_example_then_invalid_file(visit: Visit, tmp_path: Path) -> None:
    visit.page.click("[data-do=example]")
    assert max(visit.bars(), key=lambda name: int(visit.bars()[name].rstrip("%"))) == "happy"
    (tmp_path / "photo.png").write_text("not an image")
    visit.page.set_input_files("[data-part=file]", tmp_path / "photo.png")
    visit.page.wait_for_selector("[role=alert]")
    assert "not a supported image" in visit.page.inner_text("[role=alert]")
    assert visit.page.locator(".fer-card").count() == 0


def test_camera(visit: Visit) -> None:
    visit.page.click("[data-do=camera]")
    visit.page.wait_for_function("document.querySelector('[data-part=video]').videoWidth > 0")
    visit.page.click("[data-do=shoot]")
    visit.page.wait_for_selector(".fer-count")
    assert "No face found" in visit.page.inner_text(".fer-count"), "chromium's fake camera shows a pie chart"
    assert visit.page.locator("[data-part=camera]").is_hidden()


def test_paste(visit: Visit) -> None:
    visit.page.evaluate(
        """async () => {
            const blob = await (await fetch('example.png')).blob();
            const clipboard = new DataTransfer();
            clipboard.items.add(new File([blob], 'pasted.png', { type: 'image/png' }));
            document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: clipboard, bubbles: true }));
        }"""
    )
    assert len(visit.bars()) == 7


def test_no_horizontal_scrolling_on_phones(browser, service) -> None:
    visit = Visit(browser, service.url, 390, "dark")
    visit.page.click("[data-do=example]")
    visit.bars()
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
    for selector in (".fer-drop", ".fer-image", ".fer-card", ".fer-notice"):
        box = visit.page.locator(selector).first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    assert visit.page.locator("[data-do=choose]").bounding_box()["height"] >= 44
    assert visit.errors == []
    visit.close()


def test_api_documentation_works_offline(browser, service) -> None:
    context = browser.new_context()
    page = context.new_page()
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(f"{service.url}/docs")
    page.locator(".opblock-summary-path", has_text="predict").wait_for(timeout=TIMEOUT_MS)
    assert [address for address in addresses if not address.startswith((service.url, "data:"))] == []
    context.close()
