"""Contact sheets of data sets."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from fer_lmdb.faces import Face
from fer_lmdb.faces.alignment import box_transform, warp
from fer_lmdb.faces.preprocessing import Preprocessing, crop_face
from fer_lmdb.visualization.contact_sheet import (
    GAP,
    TILE,
    TITLE,
    Example,
    SourceImages,
    contact_sheet,
    example_of,
    reconstruct_image,
    sample_examples,
)

LANDMARKS = np.array([[204, 100], [245, 102], [224, 126], [202, 139], [244, 140]], np.float32)
FACE = Face(np.array([182, 64, 83, 107], np.float32), 0.99, LANDMARKS)


@pytest.fixture(scope="module")
def example() -> Example:
    image = skimage.data.astronaut()
    return Example(image, FACE, crop_face(image, FACE, Preprocessing()).crop)


def tile(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top = GAP + row * (TITLE + TILE + GAP) + TITLE
    left = GAP + column // 2 * (2 * TILE + GAP) + column % 2 * TILE
    return sheet[top : top + TILE, left : left + TILE]


def test_a_row_shows_images_and_their_faces(example: Example) -> None:
    sheet = contact_sheet([("happy", [example, example]), ("sad", [])])
    assert sheet.dtype == np.uint8
    assert sheet.shape == (GAP + 2 * (TITLE + TILE + GAP), GAP + 2 * (2 * TILE + GAP), 3)
    aligned = tile(sheet, 0, 1)
    assert (aligned[..., 0] == aligned[..., 1]).all()  # gray: input of the net
    assert np.abs(aligned[::2, ::2, 0].mean() - example.crop.mean()) < 2
    assert (tile(sheet, 0, 0)[..., 0] != tile(sheet, 0, 0)[..., 2]).any()  # color: the source image
    np.testing.assert_array_equal(tile(sheet, 0, 2), tile(sheet, 0, 0))
    assert (tile(sheet, 1, 0) == tile(sheet, 1, 0)[0, 0]).all()  # nothing in the empty row


def test_box_and_landmarks_are_drawn_at_their_positions(example: Example) -> None:
    blank = np.full_like(example.image, 90)
    marked = tile(contact_sheet([("happy", [Example(blank, FACE, example.crop)])]), 0, 0)
    side = 107 * 1.6
    first = FACE.box[:2] + FACE.box[2:] / 2 - side / 2
    for point in LANDMARKS:
        x, y = ((point - first) * TILE / side).round().astype(int)
        assert marked[y, x].min() > 200
    x, y = ((FACE.box[:2] - first) * TILE / side).round().astype(int)
    assert np.abs(marked[y : y + 3, x : x + 3].astype(int) - 90).max() > 60
    assert (marked[2:8, 2:8] == 90).all()


def test_an_image_without_a_face_has_no_second_tile(example: Example) -> None:
    white = np.full((40, 80), 255, np.uint8)
    sheet = contact_sheet([("no face found", [Example(white, None, white[:, :40])])])
    middle = tile(sheet, 0, 0)[TILE // 2]
    assert (middle == 255).all()
    assert (tile(sheet, 0, 1) == tile(sheet, 0, 1)[0, 0]).all()


def test_an_image_is_reconstructed_from_its_face() -> None:
    image = skimage.data.astronaut()[:, :, 0]
    transform = box_transform(np.array([160.0, 50, 120, 120]), 48, 0)
    part, shift = reconstruct_image(warp(image, transform, 48), transform)
    x, y = (np.array([220.0, 110.0]) * shift[0, 0] + shift[:, 2]).astype(int)
    middle = part[y - 20 : y + 20, x - 20 : x + 20].astype(int)
    assert np.abs(middle - image[90:130, 200:240]).mean() < 12


def test_a_sheet_has_a_row_per_class_and_one_for_images_without_a_face(example: Example) -> None:
    prepared = crop_face(example.image, FACE, Preprocessing())
    seen = {**FACE.to_dict(), "transform": prepared.transform.tolist(), "state": "aligned"}
    missed = {"box": None, "score": None, "landmarks": None, "transform": [[1, 0, 0], [0, 1, 0]], "state": "unaligned"}
    records = [{"key": f"{index:08d}_a.png", **(missed if index % 5 == 4 else seen)} for index in range(20)]
    crops = np.repeat(example.crop[None], 20, axis=0)
    labels = np.arange(20) % 2
    requested: list[str] = []

    def source_images(key: str) -> np.ndarray | None:
        requested.append(key)
        return example.image if len(requested) % 2 else None

    def draw(images: SourceImages) -> np.ndarray:
        groups = sample_examples(labels, records, ("happy", "sad", "fear"), per_row=3)
        return contact_sheet(
            [(title, [example_of(crops[at], records[at], images) for at in indices]) for title, indices in groups]
        )

    sheet = draw(source_images)
    assert sheet.shape == (GAP + 4 * (TITLE + TILE + GAP), GAP + 3 * (2 * TILE + GAP), 3)
    assert len(requested) == 3 + 3 + 4
    again = draw(lambda key: None)
    assert (tile(again, 0, 1) == tile(sheet, 0, 1)).all()
