"""Preprocessing from image to face crop, shared by `build` and `predict`.

image ──▶ detect_faces ──▶ crop_face ──▶ face, size x size, gray or color
               └ no face ──▶ crop_full_image
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb import ranges
from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.alignment import TEMPLATES, AffineMatrix, Fill, Template, align, box_transform, warp
from fer_lmdb.faces.detectors.base import Detector, Face, Image
from fer_lmdb.faces.detectors.registry import get_detector
from fer_lmdb.renames import modernize

ChannelOrder = Literal["gray", "bgr", "rgb"]

RANGES = {
    "min_face": ranges.MIN_FACE,
    "threshold": ranges.DETECTOR_THRESHOLD,
    "retry_pad": ranges.RETRY_PAD,
    "retry_upscale": ranges.RETRY_UPSCALE,
    "size": ranges.STORED_SIZE,
    "margin": ranges.MARGIN,
}
"""Ranges of the numeric settings; a file with a value outside is damaged."""

RETRY_MAX_SIZE = 96
"""Detection is retried in images without a face if their shorter side is under this many pixels."""


@dataclass(frozen=True)
class Preprocessing:
    """Detection and alignment settings, stored in the manifest of a data set and in every model.

    Attributes:
        detector: Name of the face detector, or "none": each image is one face.
        min_face: Side of the smallest face to detect, in pixels.
        threshold: Minimum score of a face; None for the default of the detector.
        retry_pad: Padding of the retry in small images without a face: the edge is repeated outwards by this fraction
            of the shorter side, 0 or more. On FER2013's validation split MTCNN then detects 90 % instead of 84 %.
        retry_upscale: Factor by which the retry scales the image.
        align: "landmarks" (similarity transform to the template; the box if there are no landmarks) or "box".
        template: Positions of eyes, nose and mouth in an aligned face: "fer2013" (FER2013's framing) or "arcface"
            (face recognition's).
        size: Side of the crop in pixels.
        margin: Context added around the face on every side, as a fraction of its side, greater than -0.5.
        fill: Value of pixels outside the image: the "edge" repeated, or "black".
        channel_order: Channels of the crop: "gray", or color as "bgr" (Caffe's order) or "rgb".
    """

    detector: str = "mtcnn"
    min_face: float = 20
    threshold: float | None = None
    retry_pad: float = 0.25
    retry_upscale: float = 1.0
    align: Literal["landmarks", "box"] = "landmarks"
    template: Template = "fer2013"
    size: int = 48
    margin: float = 0.0
    fill: Fill = "edge"
    channel_order: ChannelOrder = "gray"

    def __post_init__(self) -> None:
        if self.align not in ("landmarks", "box"):
            raise DetectorError(f'invalid align: found "{self.align}", expected "landmarks" or "box"')
        if self.template not in TEMPLATES:
            raise DetectorError(f'invalid template: found "{self.template}", expected one of {", ".join(TEMPLATES)}')
        if self.fill not in ("edge", "black"):
            raise DetectorError(f'invalid fill: found "{self.fill}", expected "edge" or "black"')
        if self.channel_order not in ("gray", "bgr", "rgb"):
            raise DetectorError(f'invalid channel_order: found "{self.channel_order}", expected "gray", "bgr" or "rgb"')
        if not isinstance(self.detector, str):
            raise DetectorError(
                f"invalid detector: found {self.detector!r}, expected a name; pass one of the detectors"
            )
        for name, accepted in RANGES.items():
            if (value := getattr(self, name)) is not None or name != "threshold":
                accepted.check(name, value, DetectorError)

    def diff(self, other: Preprocessing) -> dict[str, tuple[Any, Any]]:
        """Return the fields that differ, each with this value and the other's.

        If neither detects faces, only the fields that affect pixels are compared; margin and template are then unused.
        """
        neither = self.detector == other.detector == "none"
        names = ("detector", "size", "channel_order") if neither else [field.name for field in fields(self)]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    @property
    def channels(self) -> int:
        """Number of channels of a crop, 1 or 3."""
        return 1 if self.channel_order == "gray" else 3

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing from the result of `to_dict`, of this version or an older one.

        Raises:
            DetectorError: If an entry is unknown or invalid.
        """
        values = modernize("preprocessing", values)
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise DetectorError(
                f'preprocessing has the unknown entry "{unknown[0][:40]}"; use the version of fer-lmdb that wrote it'
            )
        return cls(**{"template": "arcface", **values})  # files that name no template are older than the others

    def load_detector(self, device: str = "cpu") -> Detector | None:
        """Load the detector; return None for "none".

        Raises:
            DetectorError: If the detector is unknown, or its package or weights are missing.
        """
        if self.detector == "none":
            return None
        return get_detector(self.detector, min_face=self.min_face, threshold=self.threshold, device=device)

    def for_detection(self) -> Preprocessing:
        """Return the settings for images that show more than a face.

        For a net trained on unaligned FER2013 faces (detector "none") these are MTCNN and alignment to FER2013's
        template.
        """
        if self.detector != "none":
            return self
        return replace(self, detector="mtcnn", align="landmarks", template="fer2013", margin=0.0)


@dataclass(frozen=True, eq=False)
class PreparedFace:
    """Face crop, the input of a net.

    Attributes:
        face: Detected face; None if the crop is the full image.
        crop: (size, size) uint8 gray, or (size, size, 3) in the channel order of the preprocessing.
        transform: (2, 3) float64 from pixels of the image to pixels of `crop`.
    """

    face: Face | None
    crop: Image
    transform: AffineMatrix

    @property
    def aligned(self) -> bool:
        """Whether the crop shows a detected face."""
        return self.face is not None


def preprocess_faces(
    images: Sequence[Image], preprocessing: Preprocessing, detector: Detector | None
) -> list[PreparedFace]:
    """Return one crop per image: the face of the highest score, or the full image if no face is detected.

    Args:
        images: RGB (H, W, 3) or gray (H, W), uint8; sizes may differ. Hundreds per call are fastest.
        preprocessing: Detection and alignment settings.
        detector: Result of `preprocessing.load_detector()`; None returns full images.

    Returns:
        One `PreparedFace` per image, in the same order.
    """
    found = detect_faces(images, preprocessing, detector)
    return [
        crop_face(image, faces[0], preprocessing) if faces else crop_full_image(image, preprocessing)
        for image, faces in zip(images, found, strict=True)
    ]


def detect_faces(images: Sequence[Image], preprocessing: Preprocessing, detector: Detector | None) -> list[list[Face]]:
    """Detect the faces in each image, highest score first; small images without a face are retried."""
    if detector is None:
        return [[] for _ in images]
    found = detector.detect(images)
    if preprocessing.retry_pad == 0 and preprocessing.retry_upscale == 1:
        return found
    retry = [index for index, faces in enumerate(found) if not faces and min(images[index].shape[:2]) < RETRY_MAX_SIZE]
    retried = detector.detect([_pad(images[index], preprocessing) for index in retry])
    for index, faces in zip(retry, retried, strict=True):
        found[index] = [_map_back(face, images[index], preprocessing) for face in faces]
    return found


def crop_face(image: Image, face: Face, preprocessing: Preprocessing) -> PreparedFace:
    """Crop one face from its image, aligned by its landmarks if there are any, else to its box."""
    size, margin, fill = preprocessing.size, preprocessing.margin, preprocessing.fill
    if preprocessing.align == "landmarks" and face.landmarks is not None:
        crop, transform = align(image, face.landmarks, size, margin=margin, fill=fill, to=preprocessing.template)
    else:
        transform = box_transform(face.box, size, margin)
        crop = warp(image, transform, size, fill)
    return PreparedFace(face, to_channels(crop, preprocessing.channel_order), transform)


def crop_full_image(image: Image, preprocessing: Preprocessing) -> PreparedFace:
    """Resize the full image to the size of a crop."""
    size = preprocessing.size
    height, width = image.shape[:2]
    scale = np.array([size / width, size / height])
    transform = np.column_stack([np.diag(scale), (scale - 1) / 2])
    interpolation = cv2.INTER_AREA if height * width > size * size else cv2.INTER_LINEAR
    pixels = to_channels(image, preprocessing.channel_order)
    crop = cv2.resize(pixels, (size, size), interpolation=interpolation)
    return PreparedFace(None, np.array(crop, np.uint8), transform)


def to_channels(image: Image, order: ChannelOrder) -> Image:
    """Convert uint8 RGB (H, W, 3), RGBA (H, W, 4) or gray (H, W), (H, W, 1) to gray (H, W) or color (H, W, 3)."""
    if order == "gray":
        return to_gray(image)
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[:, :, :3] if order == "rgb" else image[:, :, 2::-1])


def to_planes(crops: Sequence[Image]) -> NDArray[np.uint8]:
    """Stack crops of one shape, (H, W) or (H, W, 3), as (N, C, H, W), the layout of Caffe's blobs."""
    stacked = np.stack(crops)
    return stacked[:, None] if stacked.ndim == 3 else np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))


def to_gray(image: Image) -> Image:
    """Convert uint8 RGB (H, W, 3), RGBA (H, W, 4) or gray (H, W), (H, W, 1) to gray (H, W)."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 1:
        return image[:, :, 0]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image[:, :, :3]), cv2.COLOR_RGB2GRAY), np.uint8)


def _border(image: Image, preprocessing: Preprocessing) -> int:
    return round(preprocessing.retry_pad * min(image.shape[:2]))


def _pad(image: Image, preprocessing: Preprocessing) -> Image:
    border = _border(image, preprocessing)
    widths = [(border, border), (border, border), (0, 0)][: image.ndim]
    larger = np.pad(image, widths, mode="edge")
    if preprocessing.retry_upscale == 1:
        return larger
    factor = preprocessing.retry_upscale
    return np.asarray(cv2.resize(larger, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR), np.uint8)


def _map_back(face: Face, image: Image, preprocessing: Preprocessing) -> Face:
    """Map a face of the padded, upscaled image to pixels of the image; the box is clipped to the image."""
    border, factor = _border(image, preprocessing), preprocessing.retry_upscale
    height, width = image.shape[:2]
    first = (face.box[:2] / factor - border).clip(0)
    last = ((face.box[:2] + face.box[2:]) / factor - border).clip(0, [width - 1, height - 1])
    box = np.concatenate([first, (last - first).clip(0)]).astype(np.float32)
    landmarks = None if face.landmarks is None else (face.landmarks / factor - border).astype(np.float32)
    return Face(box, face.score, landmarks)
