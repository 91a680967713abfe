"""Video files for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from PIL import Image

from fer_lmdb.data.sources.synthetic import draw_face
from fer_lmdb.io.video_writer import VideoWriter


def image(value: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Return an image with a gray left half of that value and a black right half."""
    image = np.full((height, width, 3), value, np.uint8)
    image[:, width // 2 :] = 0
    return image


def write(path: Path, count: int = 30, times: list[float] | None = None, **size: int) -> Path:
    with VideoWriter(path, 25) as video:
        for index in range(count):
            video.add(image(40 + 5 * index % 200, **size), times[index] if times else index / 25)
    return path


def face(expression: str, seed: int, side: int = 160) -> np.ndarray:
    """Return a synthetic face with context around it, (1.5 side, 1.5 side, 3) uint8 RGB."""
    gray, _ = draw_face(expression, np.random.default_rng(seed), side)
    return np.repeat(np.pad(gray, side // 4, mode="edge")[:, :, None], 3, axis=2)


def encode(
    path: Path, frames: Sequence[np.ndarray], rate: int = 25, aspect: Fraction | None = None, kind: str | None = None
) -> Path:
    """Write frames of equal size with H.264; `aspect` is the width of a pixel divided by its height."""
    with av.open(str(path), "w", format=kind) as file:
        stream = file.add_stream("libx264", rate=rate, options={"crf": "14", "preset": "superfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        file.mux(stream.encode(None))
    return path


def add_cover(path: Path) -> Path:
    """Insert a cover image before the tracks of an mp4 with its index at the end (moov/udta/meta/ilst/covr)."""
    image = BytesIO()
    Image.new("RGB", (64, 36), (90, 20, 20)).save(image, "PNG")
    data = _atom(b"data", struct.pack(">II", 14, 0) + image.getvalue())
    handler = _atom(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    cover = _atom(b"udta", _atom(b"meta", bytes(4) + handler + _atom(b"ilst", _atom(b"covr", data))))
    content = path.read_bytes()
    start = content.index(b"moov") - 4  # the last atom, so that no offset changes
    first_track = content.index(b"trak", start) - 4
    moov = content[start + 8 : first_track] + cover + content[first_track:]
    path.write_bytes(content[:start] + _atom(b"moov", moov))
    return path


def _atom(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data
