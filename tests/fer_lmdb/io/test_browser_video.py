"""Annotated videos with audio play in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av
import numpy as np
import pytest

from fer_lmdb.io.video_writer import VideoWriter

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
TIMEOUT_S = 120

PAGE = """<!doctype html><video id="v" muted src="CLIP"></video><script>
const v = document.getElementById("v");
const report = (values) => fetch("/report?values=" + encodeURIComponent(JSON.stringify(values)));
v.onerror = () => report({error: v.error.message});
v.onended = () => report({
  width: v.videoWidth, height: v.videoHeight, seconds: v.duration,
  audio: v.webkitAudioDecodedByteCount, frames: v.getVideoPlaybackQuality().totalVideoFrames});
v.play().catch((error) => report({error: String(error)}));
</script>"""


class Handler(SimpleHTTPRequestHandler):
    """Serve files, and collect what the page reports."""

    reports: Queue[dict[str, Any]]

    def do_GET(self) -> None:
        if self.path.startswith("/report"):
            self.reports.put(json.loads(parse_qs(urlsplit(self.path).query)["values"][0]))
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None: ...


def play(clip: Path, profile: Path) -> dict[str, Any]:
    """Play a video to its end in the browser and return the properties of the video element."""
    (clip.parent / "page.html").write_text(PAGE.replace("CLIP", clip.name))
    reports: Queue[dict[str, Any]] = Queue()
    handler = type("Here", (Handler,), {"reports": reports})
    with ThreadingHTTPServer(("127.0.0.1", 0), lambda *words: handler(*words, directory=str(clip.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        address = f"http://127.0.0.1:{server.server_port}/page.html"
        browser = subprocess.Popen(
            [BROWSER, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return reports.get(timeout=TIMEOUT_S)
        except Empty:
            pytest.fail(f"the browser reports nothing in {TIMEOUT_S} s")
        finally:
            browser.terminate()
            browser.wait(timeout=30)
            server.shutdown()


def with_audio(path: Path) -> Path:
    """Write half a second of audio with one frame."""
    tone = (8000 * np.sin(np.arange(24_000) / 15)).astype(np.int16)
    with av.open(str(path), "w") as file:
        image, track = file.add_stream("libx264", rate=25), file.add_stream("aac", rate=48_000, layout="mono")
        image.width, image.height, image.pix_fmt = 64, 48, "yuv420p"
        file.mux(image.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        file.mux(image.encode(None))
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = 48_000
        file.mux([*track.encode(frame), *track.encode(None)])
    return path


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_browser_plays_the_video(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    source = with_audio(tmp_path / "audio.mp4")
    with VideoWriter(folder / f"clip{suffix}", 25, audio_from=source) as video:
        for index in range(13):
            video.add(np.full((120, 161, 3), 15 * index, np.uint8), index / 25)
    values = play(folder / f"clip{suffix}", tmp_path / "profile")
    assert "error" not in values
    assert (values["width"], values["height"]) == (162, 120)
    assert values["seconds"] == pytest.approx(0.52, abs=0.1)
    assert values["audio"] > 0
    assert values["frames"] > 5
