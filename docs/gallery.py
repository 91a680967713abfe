"""Generate the images of README.md and docs/: ``make gallery``.

python docs/gallery.py              # all of them, into docs/images/
python docs/gallery.py terminal     # one

People in the images: NASA's portrait of Eileen Collins (public domain, from scikit-image) and synthetic faces.
Images that need chromium or an optional package that is not installed are skipped and reported.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.style import Style
from rich.text import Text
from skimage import data

from fer_lmdb.io.video import VideoReader
from fer_lmdb.io.video_writer import VideoWriter

IMAGES = Path(__file__).parent / "images"
COLUMNS = 80


class Missing(Exception):
    """A requirement of an image is missing."""


def fer_lmdb(*words: str, columns: int = COLUMNS) -> str:
    """Run a command in the current folder and return its output, with colors."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(columns), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-m", "fer_lmdb", *words], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise Missing(done.stderr.strip().splitlines()[-1])
    return done.stdout


def photograph() -> None:
    """The annotated portrait."""
    Image.fromarray(data.astronaut()).save("astronaut.png")
    fer_lmdb("predict", "astronaut.png", "--save", "annotated.png")
    save_jpeg(Image.open("annotated.png"), "astronaut.jpg")


def terminal() -> None:
    """Output of predict in a terminal."""
    Image.fromarray(data.astronaut()).save("astronaut.png")
    screen("terminal.svg", 56, "predict", "astronaut.png")


def measured() -> None:
    """Output of evaluate, on synthetic faces."""
    run_demo()
    screen("evaluate.svg", COLUMNS, "evaluate", "demo/run", "--data", "demo/data")


def watch() -> None:
    """A frame of a video written by watch, of a moving image."""
    image = data.astronaut()
    with VideoWriter(Path("clip.mp4")) as clip:
        for step in range(16):
            clip.add(np.ascontiguousarray(image[2 * step : 2 * step + 360, :480]), step / 10)
    fer_lmdb("watch", "clip.mp4", "--no-window", "--save", "watched.mp4")
    *_, last = VideoReader("watched.mp4")
    save_jpeg(Image.fromarray(last.image), "watch.jpg")


def report() -> None:
    """The top of a run's report, on synthetic faces."""
    run_demo()
    fer_lmdb("report", "demo/run", "--out", "report")
    with browser_page(1200, 1500) as browser:
        browser.goto(Path("report/index.html").resolve().as_uri())
        shot = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
        shot.quantize(128, dither=Image.Dither.NONE).save(IMAGES / "report.png", optimize=True)


def web_page() -> None:
    """The web page with its example."""
    with serving() as address, browser_page(1180, 930) as browser:
        browser.set_default_timeout(180_000)
        browser.goto(address)
        browser.click("[data-do=example]")
        browser.wait_for_selector(".fer-card")
        browser.wait_for_timeout(1_000)
        save_jpeg(Image.open(io.BytesIO(browser.screenshot())), "web-page.jpg")


MAKERS: dict[str, Callable[[], None]] = {
    "photograph": photograph,
    "terminal": terminal,
    "measured": measured,
    "watch": watch,
    "report": report,
    "web-page": web_page,
}


def run_demo() -> None:
    """Create the folder of the demo, or link to that of ``make demo``."""
    if Path("demo").exists():
        return
    made_before = IMAGES.parents[1] / "demo"
    if (made_before / "curves.png").exists():
        Path("demo").symlink_to(made_before)
    else:
        fer_lmdb("demo")


def screen(name: str, columns: int, *words: str) -> None:
    """Write the output of a command as an image of a terminal."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ fer-lmdb {' '.join(words)}", style="bold"))
    console.print(without_seams(Text.from_ansi(fer_lmdb(*words, columns=columns).rstrip() + "\n"), console))
    image = console.export_svg(title="", unique_id=Path(name).stem)
    # Web fonts would be loaded from the network.
    image = re.sub(r"@font-face \{.*?\}\s*", "", image, flags=re.DOTALL)
    (IMAGES / name).write_text(image, encoding="utf-8")


def without_seams(text: Text, console: Console) -> Text:
    """Return the text with a background color behind full blocks, which have gaps in some fonts."""
    for bar in re.finditer("█+", text.plain):
        color = text.get_style_at_offset(console, bar.start()).color
        text.stylize(Style(bgcolor=color), *bar.span())
    return text


def save_jpeg(image: Image.Image, name: str) -> None:
    """Write a photograph."""
    image.convert("RGB").save(IMAGES / name, quality=88, optimize=True)


@contextmanager
def browser_page(width: int, height: int) -> Iterator[Any]:
    """Open a page in headless chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise Missing("playwright is not installed: pip install playwright") from error
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise Missing("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": width, "height": height})
        browser.close()


@contextmanager
def serving() -> Iterator[str]:
    """Run the web service and yield its URL."""
    words = [sys.executable, "-m", "fer_lmdb", "serve", "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout and server.stderr
        found = re.search(r'"url": "([^"]+)"', server.stdout.readline())
        try:
            if not found:
                raise Missing(server.stderr.read().strip().splitlines()[-1])
            yield found[1]
        finally:
            server.terminate()


def main(names: list[str]) -> int:
    """Generate the images and return the number of failures."""
    failed = 0
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in names or MAKERS:
            try:
                MAKERS[name]()
                print(f"{name}: made")  # noqa: T201
            except Missing as error:
                failed += 1
                print(f"{name}: skipped ({error})")  # noqa: T201
        os.chdir(here)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
