"""Cuts between shots: found, and not confused with pans, fades, flashes and moving people."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_lmdb.faces.cuts import FLASH_S, THRESHOLD, CutDetector, similarity, thumbnail
from tests.fer_lmdb.io.video_files import face


def scene(seed: int, height: int = 180, width: int = 480) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 16, 3), dtype=np.uint8)
    return cv2.resize(blocks, (width, height), interpolation=cv2.INTER_CUBIC)


def shots(frames: list[np.ndarray], fps: float = 25) -> list[int]:
    detector = CutDetector()
    return [detector.update(frame, index / fps) for index, frame in enumerate(frames)]


def test_a_cut_begins_a_shot() -> None:
    assert shots([scene(1)] * 3 + [scene(2)] * 3 + [scene(3)]) == [0, 0, 0, 1, 1, 1, 2]


def test_two_people_in_the_same_place_are_two_shots() -> None:
    assert shots([face("happy", 17)] * 2 + [face("surprise", 33)] * 2) == [0, 0, 1, 1]


def test_black_and_another_size_are_cuts() -> None:
    assert shots([scene(1), np.zeros_like(scene(1)), scene(1, height=240)]) == [0, 1, 2]


@pytest.mark.parametrize("speed", [2, 8, 20])
def test_a_pan_is_one_shot(speed: int) -> None:
    wide = scene(1)
    assert shots([wide[:, speed * k : speed * k + 240] for k in range(240 // speed)]) == [0] * (240 // speed)


def test_fades_and_noise_are_one_shot() -> None:
    random = np.random.default_rng(0)
    levels = [*np.linspace(1, 0, 12), *np.linspace(0, 1, 12)]
    frames = [np.clip(scene(1) * level + random.normal(0, 2, scene(1).shape), 0, 255) for level in levels]
    assert set(shots([frame.astype(np.uint8) for frame in frames])) <= {0, 1, 2}
    assert shots([frame.astype(np.uint8) for frame in frames[:11]]) == [0] * 11


@pytest.mark.parametrize("length", [1, 4])
def test_a_shot_continues_after_a_flash(length: int) -> None:
    flash = np.clip(scene(1).astype(int) * 4 + 120, 0, 255).astype(np.uint8)
    numbers = shots([scene(1)] * 3 + [flash] * length + [scene(1)] * 3)
    assert numbers[:3] == numbers[-3:] == [0] * 3


def test_a_shot_that_returns_later_is_another_one() -> None:
    between = round(FLASH_S * 25) + 2
    assert shots([scene(1)] * 2 + [scene(2)] * between + [scene(1)])[-1] == 2


def test_a_person_who_moves_does_not_end_the_shot() -> None:
    frames = []
    for step in range(10):
        frame = scene(1)
        frame[40:140, 20 * step : 20 * step + 100] = cv2.resize(face("happy", 17), (100, 100))
        frames.append(frame)
    assert shots(frames) == [0] * 10


def test_similarity_of_flat_images_is_one() -> None:
    gray = thumbnail(np.full((60, 50, 3), 100, np.uint8))
    assert similarity(gray, thumbnail(np.full((60, 50), 30, np.uint8))) == 1
    assert similarity(gray, gray) > THRESHOLD
