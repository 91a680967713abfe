"""Damaged, hostile and unreadable image files."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.io.images import decode_image, read_image
from tests.fer_lmdb.io.image_files import png_file, save


def test_damaged_exif_is_ignored(tmp_path: Path, colors: np.ndarray) -> None:
    path = save(tmp_path / "odd.jpg", Image.fromarray(colors), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff rubbish")
    assert read_image(path).shape == (20, 30, 3)


def bomb(width: int, height: int) -> bytes:
    return png_file(struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"")


@pytest.mark.parametrize("side", [10_001, 60_000, 2_000_000])
def test_decompression_bombs_are_rejected_before_decoding(side: int) -> None:
    with pytest.raises(ImageError, match=r"limit .*100 million"):
        decode_image(bomb(side, side), "bomb.png")


def test_the_limit_can_be_changed(tmp_path: Path, colors: np.ndarray) -> None:
    path = save(tmp_path / "image.png", Image.fromarray(colors))
    assert read_image(path, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(ImageError, match=r"30 x 20, 0\.0006 million pixels; the limit is 0\.000599"):
        read_image(path, max_pixels=599)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tiff", "gif", "webp", "avif"])
def test_truncated_files(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"cut.{suffix}", Image.fromarray(noise))
    content = path.read_bytes()
    for fraction in (0.02, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * fraction)])
        with pytest.raises(ImageError, match=rf"cut\.{suffix}: is (damaged|not an image)"):
            read_image(path)


def test_flipped_bytes_raise_image_errors_only(colors: np.ndarray, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for suffix in ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "tga", "jp2"):
        content = np.frombuffer(save(tmp_path / f"x.{suffix}", Image.fromarray(colors)).read_bytes(), np.uint8)
        for _ in range(40):
            damaged = content.copy()
            damaged[random.integers(0, len(content), 6)] = random.integers(0, 256, 6)
            try:
                assert decode_image(damaged.tobytes()).ndim == 3
            except ImageError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"hello, this is text", "is not an image: unknown format"),
        (b"<!DOCTYPE html><html>404", "is not an image: found a web page"),
        (b"<svg xmlns='x'/>", "is not an image: SVG"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "is not an image: found a video"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
    ],
)
def test_files_that_are_not_images(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"face\.jpg: {message}"):
        read_image(path)


def test_missing_folder_and_pipe(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg: does not exist"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match=r"cannot be read: .*embedded null"):
        read_image("a\0b.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="is not a regular file"):
        read_image(tmp_path / "pipe.jpg")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(ImageError, match=r"secret\.jpg: cannot be read: Permission denied"):
        read_image(tmp_path / "secret.jpg")


def test_file_names_that_are_not_utf8(tmp_path: Path, colors: np.ndarray) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.png"))
    try:
        save(path, Image.fromarray(colors))
    except OSError:
        pytest.skip("this file system accepts UTF-8 names only")
    np.testing.assert_array_equal(read_image(path), colors)
    path.write_bytes(b"rubbish")
    with pytest.raises(ImageError, match=r"caf\\xe9\\n\.png: is not an image") as caught:
        read_image(path)
    str(caught.value).encode("utf-8")
