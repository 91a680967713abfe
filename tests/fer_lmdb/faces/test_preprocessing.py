"""Preprocessing from images to face crops."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces import Face
from fer_lmdb.faces.alignment import template, to_original
from fer_lmdb.faces.preprocessing import (
    Preprocessing,
    crop_face,
    crop_full_image,
    detect_faces,
    preprocess_faces,
    to_planes,
)

BOX = np.array([10, 5, 20, 30], np.float32)
TEMPLATE = template(48, Preprocessing().margin, Preprocessing().template)
LANDMARKS = to_original(np.array([[1.5, 0, 0], [0, 1.5, 0]]), TEMPLATE).astype(np.float32)


class OnlyPadded:
    """Detector of one face in images larger than 48 pixels."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        self.seen += [image.shape for image in images]
        return [
            [Face(BOX + np.float32([0, 0, 90, 90]), 0.9, LANDMARKS)] if image.shape[0] > 48 else [] for image in images
        ]


def test_the_astronaut_is_detected_and_aligned() -> None:
    preprocessing = Preprocessing()
    image = skimage.data.astronaut()
    empty = np.full((60, 70, 3), 128, np.uint8)
    found, unaligned = preprocess_faces([image, empty], preprocessing, preprocessing.load_detector())
    assert found.aligned
    assert found.crop.shape == (48, 48)
    assert found.crop.dtype == np.uint8
    placed = found.face.landmarks @ found.transform[:, :2].T + found.transform[:, 2]
    assert np.abs(placed - TEMPLATE).max() < 4
    assert not unaligned.aligned
    assert (unaligned.crop == 128).all()


def test_ninety_percent_of_fer2013_are_detected(shared: Path) -> None:
    strip = cv2.imread(str(shared / "fer2013/pixels/100.webp"), cv2.IMREAD_GRAYSCALE)
    faces = list(strip.reshape(-1, 48, 48))
    detector = Preprocessing().load_detector()
    rates = {
        retry_pad: np.mean(
            [item.aligned for item in preprocess_faces(faces, Preprocessing(retry_pad=retry_pad), detector)]
        )
        for retry_pad in (0.0, 0.25)
    }
    assert rates[0.25] >= 0.88
    assert rates[0.25] - rates[0.0] >= 0.04


def test_detector_none_leaves_images_unaligned() -> None:
    preprocessing = Preprocessing(detector="none")
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    prepared = preprocess_faces(list(faces), preprocessing, preprocessing.load_detector())
    np.testing.assert_array_equal([item.crop for item in prepared], faces)
    np.testing.assert_array_equal(prepared[0].transform, [[1, 0, 0], [0, 1, 0]])
    assert all(item.face is None for item in prepared)


def test_retry_pads_and_maps_back() -> None:
    detector = OnlyPadded()
    (faces,) = detect_faces([np.zeros((48, 48), np.uint8)], Preprocessing(retry_pad=0.25, retry_upscale=2), detector)
    assert detector.seen == [(48, 48), (144, 144)]
    np.testing.assert_allclose(faces[0].landmarks, LANDMARKS / 2 - 12, atol=1e-4)
    np.testing.assert_allclose(faces[0].box, [0, 0, 47, 47])  # clipped to the image


def test_no_retry_for_large_images() -> None:
    detector = OnlyPadded()
    detect_faces([np.zeros((200, 300, 3), np.uint8)], Preprocessing(), detector)
    assert detector.seen == [(200, 300, 3)]
    detect_faces([np.zeros((48, 48, 3), np.uint8)], Preprocessing(retry_pad=0), detector)
    assert detector.seen[1:] == [(48, 48, 3)]


def test_a_face_without_landmarks_is_cropped_to_its_box() -> None:
    image = np.zeros((60, 60), np.uint8)
    image[5:35, 5:35] = 200  # the box, made square
    prepared = crop_face(image, Face(BOX, 0.5), Preprocessing(margin=0))
    assert (prepared.crop[1:-1, 1:-1] == 200).all()  # the outermost pixels blend with the outside
    boxed = crop_face(image, Face(BOX, 0.5, LANDMARKS), Preprocessing(align="box", margin=0))
    np.testing.assert_array_equal(boxed.crop, prepared.crop)


def test_detection_settings_of_a_net_trained_without_detection() -> None:
    photographs = Preprocessing(detector="none").for_detection()
    found = (photographs.detector, photographs.align, photographs.template, photographs.margin)
    assert found == ("mtcnn", "landmarks", "fer2013", 0)
    assert Preprocessing(margin=0.2).for_detection() == Preprocessing(margin=0.2)


def test_json_round_trip() -> None:
    preprocessing = Preprocessing(min_face=30, margin=0.1, fill="black")
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing


def test_files_of_version_0_1_are_read() -> None:
    old = {"template": "fer2013", "surround": 0.1, "enlarge": 2.0}
    assert Preprocessing.from_dict(old) == Preprocessing(retry_pad=0.1, retry_upscale=2.0)


def test_files_without_a_template_use_arcface() -> None:
    assert Preprocessing.from_dict({"margin": -0.08}) == Preprocessing(template="arcface", margin=-0.08)


def test_diff_has_both_values() -> None:
    other = Preprocessing(margin=0.1, template="arcface")
    assert Preprocessing().diff(other) == {"template": ("fer2013", "arcface"), "margin": (0.0, 0.1)}
    assert other.diff(other) == {}


def test_diff_ignores_unused_fields() -> None:
    older = Preprocessing.from_dict({"detector": "none", "margin": -0.08, "fill": "black", "min_face": 40})
    newer = Preprocessing(detector="none")
    image = np.random.default_rng(0).integers(0, 256, (60, 50), np.uint8)
    crops = [preprocess_faces([image], way, None)[0].crop for way in (older, newer)]
    np.testing.assert_array_equal(*crops)
    assert older.diff(newer) == newer.diff(older) == {}
    assert newer.diff(Preprocessing(detector="none", size=64)) == {"size": (48, 64)}
    assert newer.diff(Preprocessing(margin=0.1)) == {"detector": ("none", "mtcnn"), "margin": (0.0, 0.1)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"color": "sepia"}, 'unknown entry "color"'),
        ({"size": 0}, "invalid size: found 0, expected an integer from 1 to 4096"),
        ({"align": "nose"}, 'invalid align: found "nose"'),
        ({"fill": "white"}, 'invalid fill: found "white"'),
    ],
)
def test_invalid_preprocessing_is_rejected(values: dict, message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        Preprocessing.from_dict(values)


def test_an_unknown_detector_is_rejected() -> None:
    with pytest.raises(DetectorError, match=r'"mtcn".*mtcnn'):
        Preprocessing(detector="mtcn").load_detector()


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_crops_in_color_have_the_channel_order_of_the_model(order: str) -> None:
    image = skimage.data.astronaut()[:48, :48]
    full = crop_full_image(image, Preprocessing(detector="none", channel_order=order))
    expected = image if order == "rgb" else image[:, :, ::-1]
    np.testing.assert_array_equal(full.crop, expected)
    face = crop_face(image, Face(BOX, 1.0, None), Preprocessing(channel_order=order, size=10))
    assert face.crop.shape == (10, 10, 3)
    planes = to_planes([full.crop, full.crop])
    np.testing.assert_array_equal(planes[1], expected.transpose(2, 0, 1))


def test_gray_images_become_three_equal_channels_for_a_color_model() -> None:
    gray = np.arange(48 * 48, dtype=np.uint8).reshape(48, 48)
    crop = crop_full_image(gray, Preprocessing(detector="none", channel_order="bgr")).crop
    np.testing.assert_array_equal(crop, np.repeat(gray[:, :, None], 3, axis=2))


def test_files_without_a_channel_order_are_gray() -> None:
    assert Preprocessing.from_dict({"detector": "none"}).channel_order == "gray"
    with pytest.raises(DetectorError, match="invalid channel_order"):
        Preprocessing(channel_order="hsv")
