"""HEIC images: with the extra they are read, without it the message names the extra."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.io import heif
from fer_lmdb.io.images import decode_image, read_image

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (HEIC, True),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", True),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", False),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf", False),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isomavc1", False),
        (b"\xff\xd8\xff", False),
        (b"", False),
    ],
)
def test_heic_is_detected_by_its_brands(head: bytes, expected: bool) -> None:
    assert heif.is_heif(head) is expected


def test_without_the_extra_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif, "has_heif", lambda: False)
    (tmp_path / "a.jpg").write_bytes(HEIC)
    with pytest.raises(ImageError, match=r"a\.jpg: HEIC needs pillow-heif, .* run: pip install 'fer-lmdb\[heif\]'"):
        read_image(tmp_path / "a.jpg")


def test_with_the_extra_heic_is_read(colors: np.ndarray) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif: pip install 'fer-lmdb[heif]'")
    large = np.repeat(np.repeat(colors, 4, axis=0), 4, axis=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(large)).save(file, quality=-1, exif=exif.tobytes())
    pixels = decode_image(file.getvalue())
    assert pixels.shape == (120, 80, 3)
    np.testing.assert_allclose(pixels, np.rot90(large, -1), atol=8)
    with pytest.raises(ImageError, match="image: is damaged"):
        decode_image(HEIC)
