"""Image formats, modes and damaged files."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.io.images import decode_image, printable_path, read_image, write_image

EXACT = ["png", "bmp", "tiff", "ppm", "tga"]
LOSSY = ["jpg", "webp", "avif", "jp2", "gif"]


@pytest.fixture
def colors() -> np.ndarray:
    """Return a smooth 20 x 30 image with four different corners."""
    rows, columns = np.mgrid[0:20, 0:30]
    return np.stack([rows * 12, columns * 8, 255 - rows * 6 - columns * 4], axis=2).astype(np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


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


def png_file(header: bytes, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


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


def test_damaged_exif_is_ignored(tmp_path: Path, colors: np.ndarray) -> None:
    path = save(tmp_path / "odd.jpg", Image.fromarray(colors), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff rubbish")
    assert read_image(path).shape == (20, 30, 3)


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for suffix in ("gif", "png", "webp"):
        path = save(tmp_path / f"moving.{suffix}", frames[0], save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(read_image(path)[4, 4], [255, 0, 0], atol=6)


def test_format_is_determined_by_content(tmp_path: Path, colors: np.ndarray) -> None:
    path = save(tmp_path / "image.png", Image.fromarray(colors)).rename(tmp_path / "image.jpg")
    np.testing.assert_array_equal(read_image(path), colors)


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
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is not an image: HEIC"),
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
