"""Crops of detected faces: aligned by landmarks, as the detector's box has them, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.choices import FACE_ALIGNMENTS
from fer_lmdb.errors import OptionError
from fer_lmdb.faces import Face
from fer_lmdb.faces.alignment import quarter_turns
from fer_lmdb.faces.preprocessing import Preprocessing, crop_face, crop_full_image, to_planes


def crop_settings(preprocessing: Preprocessing, align: str | None) -> tuple[Preprocessing, ...]:
    """Return the settings of the crops whose probabilities are averaged.

    Args:
        preprocessing: Preprocessing of the model.
        align: "landmarks", "box" or "both"; None is the model's own.

    Raises:
        OptionError: If there is no such alignment.
    """
    own = preprocessing.for_detection()
    if align is None:
        return (own,)
    if align not in FACE_ALIGNMENTS:
        raise OptionError(f"invalid align: found {align!r}, expected one of: {', '.join(FACE_ALIGNMENTS)}")
    # A margin belongs to its template or box. MTCNN's box without margin has the framing of FER2013's images.
    by_landmarks = own if own.align == "landmarks" else replace(own, align="landmarks", margin=0.0)
    by_box = own if own.align == "box" else replace(own, align="box", margin=0.0)
    return {"landmarks": (by_landmarks,), "box": (by_box,), "both": (by_landmarks, by_box)}[align]


def crop_faces(
    images: Sequence[NDArray[np.uint8]],
    detected: Sequence[Sequence[Face | None]],
    settings: Preprocessing,
    rotate: bool = False,
) -> NDArray[np.uint8]:
    """Return all faces as (N, C, size, size) uint8.

    Args:
        images: (H, W, 3) uint8 RGB or (H, W) uint8 gray, 0-255.
        detected: The faces of each image; None is the full image.
        settings: Alignment, size and color of the crops.
        rotate: Whether crops of boxes are rotated by quarter turns so that the eyes are above the mouth.
    """
    crops = [
        _crop(image, face, settings, rotate) for image, faces in zip(images, detected, strict=True) for face in faces
    ]
    return to_planes(crops)


def _crop(image: NDArray[np.uint8], face: Face | None, settings: Preprocessing, rotate: bool) -> NDArray[np.uint8]:
    if face is None:
        return crop_full_image(image, settings).crop
    crop = crop_face(image, face, settings).crop
    if rotate and settings.align == "box" and face.landmarks is not None:
        return np.ascontiguousarray(np.rot90(crop, quarter_turns(face.landmarks)))
    return crop
