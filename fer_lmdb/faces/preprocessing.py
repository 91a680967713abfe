"""The way from a picture to the face that a net sees. `build` and `predict` take the same way.

picture ──▶ find_faces ──▶ cut_out ──▶ grey face, size x size
                 └ none ──▶ whole_picture
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import cv2
import numpy as np

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.alignment import TEMPLATES, AffineMatrix, Fill, Template, align, box_transform, warp
from fer_lmdb.faces.detectors.base import Detector, Face, Image
from fer_lmdb.faces.detectors.registry import get_detector

MAX_SIZE = 4096
"""Pixels of a face's side: a file that asks for more is damaged."""

RETRY_MAX_SIZE = 96
"""Pictures whose shorter side is under this many pixels are looked at a second time when no face was found."""


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become faces. A data set's manifest and every model carry theirs.

    Attributes:
        detector: name of the face detector, or "none": every picture is a face as it is.
        min_face: side of the smallest face looked for, in pixels.
        threshold: lowest score of a face; None for the detector's own default.
        surround: second look at small pictures without a face: the edge is repeated outwards by this part of the
            picture's side. On FER2013's validation split MTCNN then finds 90 % instead of 84 %.
        enlarge: second look: factor by which the picture is enlarged.
        align: "landmarks" (turned and scaled to the template; the box where the detector gives no landmarks) or "box".
        template: where eyes, nose and mouth of an aligned face lie: as FER2013 frames its faces ("fer2013") or as face
            recognition does ("arcface").
        size: side of the face in pixels.
        margin: what is added around the face on every side, as a part of its side.
        fill: what stands outside the picture: its "edge" repeated, or "black".
    """

    detector: str = "mtcnn"
    min_face: float = 20
    threshold: float | None = None
    surround: float = 0.25
    enlarge: float = 1.0
    align: Literal["landmarks", "box"] = "landmarks"
    template: Template = "fer2013"
    size: int = 48
    margin: float = 0.0
    fill: Fill = "edge"

    def __post_init__(self) -> None:
        if self.align not in ("landmarks", "box"):
            raise DetectorError(f'align is "{self.align}"; expected "landmarks" or "box"')
        if self.template not in TEMPLATES:
            raise DetectorError(f'template is "{self.template}"; expected one of: {", ".join(TEMPLATES)}')
        if self.fill not in ("edge", "black"):
            raise DetectorError(f'fill is "{self.fill}"; expected "edge" or "black"')
        size_fits = isinstance(self.size, int) and 1 <= self.size <= MAX_SIZE
        if not size_fits or self.margin <= -0.5 or self.surround < 0 or self.enlarge <= 0:
            raise DetectorError(
                f"size {self.size}, margin {self.margin}, surround {self.surround}, enlarge {self.enlarge}: "
                f"expected size >= 1 and at most {MAX_SIZE}, margin > -0.5, surround >= 0, enlarge > 0"
            )

    def diff(self, other: Preprocessing) -> dict[str, tuple[Any, Any]]:
        """The fields in which another way differs, each with this one's value and the other's.

        Where neither looks for faces, only those count that change a pixel: what a file says of margin or template is
        then what its version did not use.
        """
        neither = self.detector == other.detector == "none"
        names = ("detector", "size") if neither else [field.name for field in fields(self)]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`.

        Raises:
            DetectorError: an entry that this version does not know.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise DetectorError(
                f'preprocessing has the unknown entry "{unknown[0]}"; a newer version may have written it'
            )
        return cls(**{"template": "arcface", **values})  # the only one when files did not name it

    def load_detector(self, device: str = "cpu") -> Detector | None:
        """The detector, loaded; None for "none".

        Raises:
            DetectorError: unknown, or its package or weights are missing.
        """
        if self.detector == "none":
            return None
        return get_detector(self.detector, min_face=self.min_face, threshold=self.threshold, device=device)

    def for_detection(self) -> Preprocessing:
        """The same for pictures that show more than a face.

        A net trained on FER2013's pictures as they are (detector "none") gets faces found by MTCNN, turned upright and
        framed as FER2013 frames its own.
        """
        if self.detector != "none":
            return self
        return replace(self, detector="mtcnn", align="landmarks", template="fer2013", margin=0.0)


@dataclass(frozen=True, eq=False)
class PreparedFace:
    """A face as a net sees it.

    Attributes:
        face: where it was found; None where the picture was taken as it is.
        crop: uint8 grey (size, size).
        transform: (2, 3) float64 from pixels of the picture to pixels of `crop`.
    """

    face: Face | None
    crop: Image
    transform: AffineMatrix

    @property
    def aligned(self) -> bool:
        """Whether a face was found and cut out."""
        return self.face is not None


def preprocess_faces(
    images: Sequence[Image], preprocessing: Preprocessing, detector: Detector | None
) -> list[PreparedFace]:
    """Bring every picture to one face: the best-scoring one, or the whole picture where none is found.

    Args:
        images: uint8 RGB (H, W, 3) or grey (H, W); sizes may differ. Hundreds in one call are quickest.
        preprocessing: how.
        detector: `preprocessing.load_detector()`; None takes every picture as it is.

    Returns:
        One `PreparedFace` a picture, in their order.
    """
    found = detect_faces(images, preprocessing, detector)
    return [
        crop_face(image, faces[0], preprocessing) if faces else crop_full_image(image, preprocessing)
        for image, faces in zip(images, found, strict=True)
    ]


def detect_faces(images: Sequence[Image], preprocessing: Preprocessing, detector: Detector | None) -> list[list[Face]]:
    """Find the faces of every picture, best first; small pictures without one get a second look."""
    if detector is None:
        return [[] for _ in images]
    found = detector.detect(images)
    if preprocessing.surround == 0 and preprocessing.enlarge == 1:
        return found
    again = [index for index, faces in enumerate(found) if not faces and min(images[index].shape[:2]) < RETRY_MAX_SIZE]
    seen = detector.detect([_pad(images[index], preprocessing) for index in again])
    for index, faces in zip(again, seen, strict=True):
        found[index] = [_map_back(face, images[index], preprocessing) for face in faces]
    return found


def crop_face(image: Image, face: Face, preprocessing: Preprocessing) -> PreparedFace:
    """Cut one face out of its picture, aligned by its landmarks where there are any, else along its box."""
    size, margin, fill = preprocessing.size, preprocessing.margin, preprocessing.fill
    if preprocessing.align == "landmarks" and face.landmarks is not None:
        crop, transform = align(image, face.landmarks, size, margin=margin, fill=fill, to=preprocessing.template)
    else:
        transform = box_transform(face.box, size, margin)
        crop = warp(image, transform, size, fill)
    return PreparedFace(face, to_gray(crop), transform)


def crop_full_image(image: Image, preprocessing: Preprocessing) -> PreparedFace:
    """Take the picture as it is, brought to the size of a face."""
    size = preprocessing.size
    height, width = image.shape[:2]
    scale = np.array([size / width, size / height])
    transform = np.column_stack([np.diag(scale), (scale - 1) / 2])
    interpolation = cv2.INTER_AREA if height * width > size * size else cv2.INTER_LINEAR
    crop = cv2.resize(to_gray(image), (size, size), interpolation=interpolation)
    return PreparedFace(None, np.array(crop, np.uint8), transform)


def to_gray(image: Image) -> Image:
    """uint8 RGB (H, W, 3), RGBA (H, W, 4) or grey (H, W), (H, W, 1) -> grey (H, W)."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 1:
        return image[:, :, 0]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image[:, :, :3]), cv2.COLOR_RGB2GRAY), np.uint8)


def _border(image: Image, preprocessing: Preprocessing) -> int:
    return round(preprocessing.surround * min(image.shape[:2]))


def _pad(image: Image, preprocessing: Preprocessing) -> Image:
    border = _border(image, preprocessing)
    widths = [(border, border), (border, border), (0, 0)][: image.ndim]
    larger = np.pad(image, widths, mode="edge")
    if preprocessing.enlarge == 1:
        return larger
    factor = preprocessing.enlarge
    return np.asarray(cv2.resize(larger, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR), np.uint8)


def _map_back(face: Face, image: Image, preprocessing: Preprocessing) -> Face:
    """A face of the surrounded, enlarged picture in pixels of the picture itself; the box is cut to the picture."""
    border, factor = _border(image, preprocessing), preprocessing.enlarge
    height, width = image.shape[:2]
    first = (face.box[:2] / factor - border).clip(0)
    last = ((face.box[:2] + face.box[2:]) / factor - border).clip(0, [width - 1, height - 1])
    box = np.concatenate([first, (last - first).clip(0)]).astype(np.float32)
    landmarks = None if face.landmarks is None else (face.landmarks / factor - border).astype(np.float32)
    return Face(box, face.score, landmarks)
