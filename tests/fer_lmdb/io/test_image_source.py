"""Images in the forms of Python callers: the same pixels as their files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.io.image_source import load_image
from fer_lmdb.io.images import decode_image

MODES = {
    "1": "png", "L": "png", "LA": "png", "P": "png", "PA": "", "RGB": "png", "RGBA": "png", "RGBX": "", "CMYK": "jpeg",
    "YCbCr": "jpeg", "LAB": "tiff", "HSV": "", "I": "tiff", "I;16": "png", "F": "tiff", "La": "", "RGBa": "",
}  # fmt: skip
"""Mode of a Pillow image -> a format that keeps it; "" if there is none."""


def of_mode(colors: np.ndarray, mode: str) -> Image.Image:
    image = Image.fromarray(colors)
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
    return image.convert("RGBA").convert(mode) if mode in ("La", "RGBa") else image.convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_looks_like_the_image(colors: np.ndarray, mode: str) -> None:
    pixels = load_image(of_mode(colors, mode)).astype(int)
    expected = colors if mode not in ("1", "L", "LA", "La", "I", "I;16", "F") else np.asarray(of_mode(colors, "L"))
    limit = 40 if mode in ("1", "P", "PA") else 4  # dithered
    assert abs(pixels.mean() - expected.mean()) < limit
    assert pixels.shape == (20, 30, 3)


@pytest.mark.parametrize(("mode", "kind"), [(mode, kind) for mode, kind in MODES.items() if kind])
def test_a_pillow_image_equals_its_file(colors: np.ndarray, mode: str, kind: str) -> None:
    file = BytesIO()
    of_mode(colors, mode).save(file, kind)
    expected = decode_image(file.getvalue())
    image = Image.open(file)
    np.testing.assert_array_equal(load_image(image), expected)
    np.testing.assert_array_equal(load_image(image), expected)  # the caller's image is unchanged
    np.testing.assert_array_equal(load_image(image.copy()), expected)
    np.testing.assert_array_equal(load_image(file.getvalue()), expected)
    file.seek(0)
    np.testing.assert_array_equal(load_image(file), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_the_orientation_is_applied_once(colors: np.ndarray, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    Image.fromarray(colors).save(file, kind, exif=exif)
    expected = decode_image(file.getvalue())
    assert expected.shape == ((20, 30, 3) if orientation < 5 else (30, 20, 3))
    image = Image.open(file)
    np.testing.assert_array_equal(load_image(image), expected)
    np.testing.assert_array_equal(load_image(image.convert("RGB")), expected)


def test_transparent_palettes_are_blended_with_white() -> None:
    image = Image.new("P", (4, 4))
    image.info["transparency"] = 0
    assert load_image(image).min() == 255


def test_a_read_only_array_is_copied(colors: np.ndarray) -> None:
    colors.flags.writeable = False
    pixels = load_image(colors)
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, colors)


def test_the_name_of_a_file_object_is_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff")
    with (tmp_path / "x.jpg").open("rb") as file, pytest.raises(ImageError, match=r"x\.jpg: is"):
        load_image(file)
