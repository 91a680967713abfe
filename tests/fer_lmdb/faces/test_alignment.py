"""Alignment, compared with scikit-image and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage
import skimage.data
from skimage.transform import SimilarityTransform

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.alignment import align, box_transform, five_points, similarity, template, to_original, warp

ASTRONAUT_LANDMARKS = np.array([[204, 100], [245, 102], [224, 126], [202, 139], [244, 140]], np.float64)


def reference_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    if hasattr(SimilarityTransform, "from_estimate"):
        return SimilarityTransform.from_estimate(source, target).params[:2]
    transform = SimilarityTransform()
    transform.estimate(source, target)
    return transform.params[:2]


@pytest.mark.parametrize("seed", range(20))
def test_similarity_equals_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, 5, 2)) * rng.uniform(1, 300) + rng.normal(size=(2, 1, 2)) * 500
    np.testing.assert_allclose(similarity(source, target), reference_transform(source, target), rtol=1e-7, atol=1e-9)


def test_template_is_square_padded_and_scaled() -> None:
    expected = (np.array([[30.2946, 51.6963], [48.0252, 71.7366]]) + np.array([8.112, 0.112])) / 112.224 * 48
    np.testing.assert_allclose(template(48, 0.001)[[0, 2]], expected, atol=1e-9)
    np.testing.assert_allclose(template(112, 0)[4], [70.7299, 92.2041])


def test_fer2013_template_is_symmetric_and_higher_than_arcface() -> None:
    points = template(48, 0, "fer2013")
    mirrored = np.column_stack([47 - points[:, 0], points[:, 1]])[[1, 0, 2, 4, 3]]
    np.testing.assert_allclose(points, mirrored, atol=1e-9)
    assert (template(48, -0.08) - points)[:, 1].mean() > 4  # pixels: a tenth of the side, and the chin was cut off
    _, transform = align(skimage.data.astronaut(), to_original(np.eye(2, 3), points), 96, margin=0, to="fer2013")
    np.testing.assert_allclose(transform[:, :2], 2 * np.eye(2), atol=1e-9)


def test_landmarks_are_mapped_to_the_template() -> None:
    landmarks = to_original(np.array([[0.3, 0.1, 5], [-0.1, 0.3, 20]]), template(48, 0.001))
    _, transform = align(skimage.data.astronaut(), landmarks)
    np.testing.assert_allclose(landmarks @ transform[:, :2].T + transform[:, 2], template(48, 0.001), atol=1e-6)
    np.testing.assert_allclose(to_original(transform, template(48, 0.001)), landmarks, atol=1e-6)


def test_align_equals_opencv() -> None:
    image = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)
    crop, transform = align(image, ASTRONAUT_LANDMARKS, 96)
    expected = cv2.warpAffine(image, reference_transform(ASTRONAUT_LANDMARKS, template(96, 0.001)), (96, 96))
    assert crop.shape == (96, 96)
    assert crop.dtype == np.uint8
    assert np.abs(crop.astype(int) - expected).max() <= 2
    assert transform.shape == (2, 3)


def test_color_is_preserved() -> None:
    crop, _ = align(skimage.data.astronaut(), ASTRONAUT_LANDMARKS, 30)
    assert crop.shape == (30, 30, 3)


def test_a_larger_margin_scales_down() -> None:
    image = skimage.data.astronaut()
    scales = [align(image, ASTRONAUT_LANDMARKS, margin=margin)[1][0, 0] for margin in (-0.1, 0.001, 0.3)]
    assert scales == sorted(scales, reverse=True)


@pytest.mark.parametrize(("fill", "corner"), [("edge", 200), ("black", 0)])
def test_fill_outside_the_image(fill: str, corner: int) -> None:
    image = np.full((40, 40), 200, np.uint8)
    crop = warp(image, box_transform(np.array([-40.0, -40, 80, 80]), 48, 0), 48, fill)
    assert crop[0, 0] == corner
    assert crop[40, 40] == 200


def test_downscaling_averages() -> None:
    stripes = np.zeros((960, 960), np.uint8)
    stripes[:, ::2] = 255
    crop = warp(stripes, box_transform(np.array([0.0, 0, 960, 960]), 48, 0), 48)
    assert np.abs(crop[2:-2, 2:-2].astype(int) - 127).max() <= 3


def test_box_of_the_full_image_is_the_identity() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    np.testing.assert_array_equal(warp(image, box_transform(np.array([0.0, 0, 48, 48]), 48, 0), 48), image)


@pytest.mark.parametrize("offset", [(-500, -500), (5000, 5000), (-3, 20)])
def test_faces_outside_the_image_repeat_its_edge(offset: tuple[int, int]) -> None:
    image = np.full((30, 50, 3), 77, np.uint8)
    crop, _ = align(image, ASTRONAUT_LANDMARKS / 5 + offset)
    assert (crop == 77).all()


def test_images_beyond_the_limit_of_opencv() -> None:
    image = np.full((8, 40_000), 90, np.uint8)
    image[:, 39_000:] = 30
    crop = warp(image, box_transform(np.array([0.0, -20_000, 40_000, 40_000]), 48, 0), 48)
    assert (crop[:, :40] == 90).all()
    assert crop[0, 47] < 60


def test_five_points_of_sixty_eight() -> None:
    landmarks = np.arange(136, dtype=np.float64).reshape(68, 2)
    points = five_points(landmarks)
    np.testing.assert_allclose(points[0], landmarks[36:42].mean(axis=0))
    np.testing.assert_allclose(points[2:], landmarks[[30, 48, 54]])


@pytest.mark.parametrize(
    ("landmarks", "message"), [(np.zeros((4, 2)), r"found \(4, 2\)"), (np.full((5, 2), 7.0), "coincide")]
)
def test_invalid_landmarks(landmarks: np.ndarray, message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        align(np.zeros((20, 20), np.uint8), landmarks)


def test_an_unknown_fill_is_rejected() -> None:
    with pytest.raises(DetectorError, match='invalid fill: found "white"'):
        align(np.zeros((20, 20), np.uint8), ASTRONAUT_LANDMARKS, fill="white")
