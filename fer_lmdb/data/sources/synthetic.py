"""Synthetic faces: a freely available data set in FER2013's layout, for demos and tests.

The seven expressions are composed of facial action units (Ekman and Friesen's FACS); person, pose, light and noise are
random. A model trained on these drawings does not work on real faces.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.choices import SPLITS
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.face_canvas import Pose
from fer_lmdb.data.sources.face_features import PersonAppearance
from fer_lmdb.data.sources.fer2013 import SIDE, SPLIT_OF_USAGE
from fer_lmdb.data.sources.synthetic_face import draw
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013, LABEL_ORDERS

ACTION_UNITS: dict[str, dict[int, float]] = {
    "angry": {4: 1.0, 5: 0.5, 7: 0.9, 23: 1.0},
    "disgust": {4: 0.4, 9: 1.0, 10: 0.8, 15: 0.7, 16: 0.6},
    "fear": {1: 1.0, 2: 0.6, 4: 0.7, 5: 1.0, 20: 1.0, 25: 1.0, 26: 0.35},
    "happy": {6: 0.9, 12: 1.0, 25: 0.7, 26: 0.15},
    "sad": {1: 1.0, 4: 0.6, 15: 1.0},
    "surprise": {1: 1.0, 2: 1.0, 5: 0.9, 25: 1.0, 26: 0.9},
    "neutral": {},
}
"""Strength of each action unit at the full expression: 1 inner and 2 outer brow raised, 4 brow lowered, 5 upper lid
raised, 6 cheek raised, 7 lids tight, 9 nose wrinkled, 10 upper lip raised, 12 lip corners pulled up, 15 lip corners
pulled down, 16 lower lip pulled down, 20 lips stretched, 23 lips tight, 25 lips apart, 26 jaw dropped."""

_ALL_UNITS = sorted({unit for units in ACTION_UNITS.values() for unit in units})
_HAIR_STYLES = ("bald", "short", "short", "long", "long", "fringe", "receding")


class SyntheticFaces:
    """Source of synthetic faces with balanced classes.

    Args:
        train: Number of training faces.
        val: Number of validation faces.
        test: Number of test faces.
        seed: Seed of all faces.
    """

    name = "synthetic faces"
    classes = FER2013.classes
    label_order = LABEL_ORDERS["fer2013"]

    def __init__(self, train: int = 1050, val: int = 210, test: int = 210, seed: int = 0) -> None:
        self.counts = dict(zip(SPLITS, (train, val, test), strict=True))
        self.seed = seed
        self._digest = hashlib.sha256()
        if min(self.counts.values()) < 0:
            raise SourceError(
                f"invalid number of faces: found {min(self.counts.values())}, expected 0 or more in each split"
            )

    def __iter__(self) -> Iterator[Sample]:
        self._digest = hashlib.sha256()
        row = 0
        for split, count in self.counts.items():
            for _ in range(count):
                label = row % len(FER2013)
                image, _landmarks = draw_face(FER2013.classes[label], np.random.default_rng([self.seed, row]))
                self._digest.update(image.tobytes())
                yield Sample(f"/{split}/{label}/{row:05d}.png", split, label, image, f"synthetic face {row}", row)
                row += 1

    def size_hint(self) -> int:
        """Return the exact number of faces."""
        return sum(self.counts.values())

    def sha256(self) -> str:
        """Return the digest of all pixels; valid after the iteration."""
        return self._digest.hexdigest()


def draw_face(
    expression: str, random: np.random.Generator, side: int = SIDE
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw one face of a random person.

    Args:
        expression: One of FER2013's seven class names.
        random: Random number generator.
        side: Width and height in pixels.

    Returns:
        (side, side) uint8 gray, 0-255, and (5, 2) float32 x, y in pixels: left eye, right eye, nose, left and right
        mouth corner.
    """
    oversampled = 4 if side <= 96 else 2
    appearance, pose, units = random_appearance(random), random_pose(random), random_units(expression, random)
    image, landmarks = draw(appearance, pose, units, side * oversampled)
    small = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return _photograph(small, random), landmarks / np.float32(oversampled)


def random_units(expression: str, random: np.random.Generator) -> dict[int, float]:
    """Return random strengths 0-1: the expression at varying intensity, some units missing, others weakly active."""
    full = ACTION_UNITS[expression]
    strength = random.uniform(0.6, 1.0)
    units = {unit: random.uniform(0.0, 0.12) for unit in _ALL_UNITS if unit != 26}
    for unit, intensity in full.items():
        present = random.random() > 0.08
        units[unit] = min(1.0, intensity * strength * random.uniform(0.75, 1.15)) if present else 0.1
    return units


def random_pose(random: np.random.Generator) -> Pose:
    """Return a nearly upright and frontal pose in which the head fills most of the image."""
    return Pose(
        roll=np.clip(random.normal(0, 0.1), -0.3, 0.3),
        yaw=np.clip(random.normal(0, 0.18), -0.45, 0.45),
        scale=random.uniform(0.31, 0.4),
        shift_x=random.normal(0, 0.025),
        shift_y=random.normal(-0.01, 0.025),
    )


def random_appearance(random: np.random.Generator) -> PersonAppearance:
    """Return a random person: tones, shape of head and features, hair, glasses."""
    skin = random.uniform(95, 225)
    hair = random.uniform(15, 90) if random.random() < 0.75 else random.uniform(120, 215)
    style = _HAIR_STYLES[random.integers(len(_HAIR_STYLES))]
    return PersonAppearance(
        skin=skin,
        hair=hair,
        brow=min(hair, skin * 0.5),
        lips=skin * random.uniform(0.55, 0.8),
        iris=random.uniform(20, 90),
        background=random.uniform(20, 235),
        shading=random.uniform(0.05, 0.35),
        line=random.uniform(0.025, 0.06),
        jaw=random.uniform(0.7, 0.95),
        chin=random.uniform(1.1, 1.3),
        eye_size=random.uniform(0.9, 1.2),
        brow_thickness=random.uniform(0.06, 0.13),
        lip_thickness=random.uniform(0.05, 0.1),
        nose_width=random.uniform(0.13, 0.2),
        hair_style=style,
        parting=random.uniform(-0.5, 0.5),
        shirt=random.uniform(20, 230),
        glasses=bool(random.random() < 0.12),
        moustache=bool(random.random() < 0.1) and style != "long",
    )


def _photograph(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Apply directional light, contrast, slight blur and grain."""
    side = len(image)
    slope = np.linspace(-1, 1, side, dtype=np.float32)
    light = 1 + random.uniform(-0.25, 0.25) * slope[None, :] + random.uniform(-0.15, 0.15) * slope[:, None]
    bright = (image - np.float32(128)) * random.uniform(0.7, 1.1) + 128 + random.uniform(-20, 20)
    lit = cv2.GaussianBlur(bright * light, (0, 0), random.uniform(0.2, 0.65) * side / SIDE)
    grain = random.standard_normal((side, side), dtype=np.float32) * random.uniform(1.5, 7)
    return np.clip(np.round(lit + grain), 0, 255).astype(np.uint8)


def write_synthetic_csv(
    path: str | os.PathLike[str], train: int = 1050, val: int = 210, test: int = 210, seed: int = 0
) -> None:
    """Write synthetic faces as a csv in FER2013's layout (``emotion,pixels,Usage``).

    Args:
        path: Path of the csv; its folder is created.
        train: Number of rows with usage Training.
        val: Number of rows with usage PublicTest.
        test: Number of rows with usage PrivateTest.
        seed: Seed of all faces.

    Raises:
        SourceError: If a count is negative or the file cannot be written.
    """
    usage = {split: name for name, split in SPLIT_OF_USAGE.items()}
    faces = SyntheticFaces(train, val, test, seed)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("w", encoding="ascii", newline="") as file:
            file.write("emotion,pixels,Usage\n")
            for face in faces:
                pixels = " ".join(map(str, face.image.ravel().tolist()))
                file.write(f"{face.label},{pixels},{usage[face.split]}\n")
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error.strerror}") from error
