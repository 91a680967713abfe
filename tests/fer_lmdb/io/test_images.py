"""Image formats and modes, reading and writing."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.io.images import decode_image, printable_path, read_image, write_image
from tests.fer_lmdb.io.image_files import png_file, save

EXACT = ["png", "bmp", "tiff", "ppm", "tga"]
LOSSY = ["jpg", "webp", "avif", "jp2", "gif"]


@pytest.mark.parametrize("suffix", EXACT)
def test_lossless_formats_are_read_exactly(tmp_path: Path, colors: np.ndarray, suffix: str) -> None:
    found = read_image(save(tmp_path / f"image.{suffix}", Image.fromarray(colors)))
    np.testing.assert_array_equal(found, colors)
    assert found.dtype == np.uint8
    assert found.flags.writeable
    assert found.flags.c_contiguous


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_formats_are_read_approximately(tmp_path: Path, colors: np.ndarray, suffix: str) -> None:
    found = read_image(save(tmp_path / f"image.{suffix}", Image.fromarray(colors)))
    assert found.shape == (20, 30, 3)
    assert np.abs(found.astype(int) - colors).mean() < 12


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "bmp", "webp"])
def test_gray_is_repeated(tmp_path: Path, suffix: str) -> None:
    gray = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (20, 1))
    found = read_image(save(tmp_path / f"gray.{suffix}", Image.fromarray(gray)))
    assert found.shape == (20, 30, 3)
    assert np.abs(found[:, :, 0].astype(int) - gray).max() <= 6
    assert np.abs(found[:, :, 0].astype(int) - found[:, :, 2]).max() <= 3


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_blended_with_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (3, 1))
    for column, alpha in enumerate((0, 128, 255)):
        image.putpixel((column, 0), (100, 100, 100, alpha))
    found = read_image(save(tmp_path / "alpha.png", image.convert(mode)))
    np.testing.assert_allclose(found[0, :, 0], [255, 177, 100], atol=1)


def test_palette_with_a_transparent_color(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    found = read_image(save(tmp_path / "palette.gif", image, transparency=0))
    assert found[0].tolist() == [[255, 255, 255], [200, 100, 50]]


def test_a_transparent_color_of_an_rgb_file(tmp_path: Path) -> None:
    image = Image.fromarray(np.uint8([[[1, 2, 3], [9, 9, 9]]]))
    found = read_image(save(tmp_path / "key.png", image, transparency=(1, 2, 3)))
    assert found[0].tolist() == [[255, 255, 255], [9, 9, 9]]


def test_black_and_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[True, False]]))
    assert image.mode == "1"
    assert read_image(save(tmp_path / "bits.png", image))[0, :, 1].tolist() == [255, 0]


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_sixteen_bit_gray_is_scaled(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16))
    found = read_image(save(tmp_path / f"deep.{suffix}", image))
    assert found[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_color_is_scaled() -> None:
    values = np.array([[0, 32896, 65535], [257, 514, 65278]], dtype=">u2")
    data = png_file(struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0), b"\0" + values.tobytes())
    np.testing.assert_allclose(decode_image(data)[0], [[0, 128, 255], [1, 2, 254]], atol=1)


@pytest.mark.parametrize(
    ("largest", "expected"), [(1.0, [0, 128, 255]), (255.0, [0, 128, 255]), (1000.0, [0, 128, 255])]
)
def test_floating_point(tmp_path: Path, largest: float, expected: list[int]) -> None:
    image = Image.fromarray(np.float32([[0, 0.5 * largest, largest]]))
    assert read_image(save(tmp_path / "float.tiff", image))[0, :, 0].tolist() == expected


def test_not_a_number_is_black(tmp_path: Path) -> None:
    image = Image.fromarray(np.float32([[np.nan, np.inf, 1]]))
    assert read_image(save(tmp_path / "nan.tiff", image))[0, :, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_cmyk(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK")
    found = read_image(save(tmp_path / f"print.{suffix}", image))
    np.testing.assert_allclose(found[8, 8], [200, 40, 90], atol=8)


def stored_for(orientation: int, upright: np.ndarray) -> np.ndarray:
    """Return the pixels of an upright image as stored by a camera with an EXIF orientation (EXIF 2.3, tag 0x0112)."""
    turned = {
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.transpose(1, 0, 2),
        6: lambda image: image.transpose(1, 0, 2)[::-1],
        7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    }
    return np.ascontiguousarray(turned[orientation](upright))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path: Path, colors: np.ndarray, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(stored_for(orientation, colors))
    found = read_image(save(tmp_path / f"turned.{suffix}", stored, exif=exif))
    np.testing.assert_array_equal(found, colors)


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for suffix in ("gif", "png", "webp"):
        path = save(tmp_path / f"moving.{suffix}", frames[0], save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(read_image(path)[4, 4], [255, 0, 0], atol=6)


def test_format_is_determined_by_content(tmp_path: Path, colors: np.ndarray) -> None:
    path = save(tmp_path / "image.png", Image.fromarray(colors)).rename(tmp_path / "image.jpg")
    np.testing.assert_array_equal(read_image(path), colors)


def test_printable_path_preserves_letters() -> None:
    assert printable_path("Gesichter/größe 1.png") == "Gesichter/größe 1.png"


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
@pytest.mark.parametrize("shape", [(9, 7, 3), (9, 7)])
def test_written_images_are_read_exactly(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    write_image(tmp_path / "new" / f"p.{suffix}", image)
    expected = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, 2)
    np.testing.assert_array_equal(read_image(tmp_path / "new" / f"p.{suffix}"), expected)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"p.{suffix}"]


def test_unknown_extension_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r'extension "\.xyz"; use one of \.bmp \.gif \.jpeg'):
        write_image(tmp_path / "p.xyz", np.zeros((2, 2, 3), np.uint8))


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.png"
    write_image(path, np.zeros((2, 2), np.uint8))
    before = path.read_bytes()

    def disk_full(self: Path, data: bytes) -> int:
        self.open("wb").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(ImageError, match=r"p\.png: cannot be written: No space left"):
        write_image(path, np.ones((2, 2), np.uint8))
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


def test_concurrent_reads(tmp_path: Path, colors: np.ndarray) -> None:
    path = save(tmp_path / "p.png", Image.fromarray(colors))
    wrong: list[object] = []

    def read() -> None:
        for _ in range(50):
            if not np.array_equal(read_image(path), colors):
                wrong.append(path)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
