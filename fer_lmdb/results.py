"""Prediction results: faces of an image or a video frame, for JSON, tables and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fer_lmdb.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNCERTAIN = "uncertain"
"""Expression of a face whose top probability is below `min_probability`."""

BOX_COLUMNS = ("x", "y", "width", "height")
FACE_COLUMNS = ("face", *BOX_COLUMNS, "score", "expression")
UNSMOOTHED = "unsmoothed_"
"""Prefix of the columns with the probabilities of a frame alone."""
_MAX_DISPLAY_SIDE = 1024


@dataclass(frozen=True)
class FacePrediction:
    """One face and its expression.

    Attributes:
        box: x, y of the top left corner, width, height in pixels of the image.
        score: Detection score, 0 to 1.
        landmarks: x, y in pixels of left eye, right eye, nose, left and right mouth corner, as seen in the image; None
            if the detector does not return landmarks.
        expression: Most probable class, or "uncertain" if its probability is below `min_probability`.
        probabilities: Probability, 0 to 1, by class name in label order; the sum is 1.
        id: Track ID of the person in a video; None for images.
        detected: Whether the face was found in the image. False in videos if the detector has missed it: box and
            probabilities are then held over from earlier frames.
        unsmoothed_probabilities: In videos, the probabilities of this frame alone; None for images and for faces that
            are held over.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[tuple[float, float], ...] | None
    expression: str
    probabilities: dict[str, float]
    id: int | None = None
    detected: bool = True
    unsmoothed_probabilities: dict[str, float] | None = None

    @property
    def probability(self) -> float:
        """Probability of the most probable class."""
        return max(self.probabilities.values())

    @property
    def best(self) -> str:
        """Most probable class, even if `expression` is "uncertain"."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    def ranked(self) -> list[tuple[str, float]]:
        """Return classes and probabilities, most probable first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])

    def to_dict(self) -> dict[str, Any]:
        """Return the face as in `predict --json`."""
        document: dict[str, Any] = {
            "box": [round(value, 2) for value in self.box],
            "score": round(self.score, 5),
            "landmarks": self.landmarks and [[round(x, 2), round(y, 2)] for x, y in self.landmarks],
            "expression": self.expression,
            "probabilities": _rounded(self.probabilities),
        }
        if self.id is None:
            return document
        unsmoothed = self.unsmoothed_probabilities and _rounded(self.unsmoothed_probabilities)
        return document | {"id": self.id, "detected": self.detected, "unsmoothed_probabilities": unsmoothed}

    def _repr_html_(self) -> str:
        """Return a table of probability bars for notebooks."""
        rows = "".join(_bar_row(name, probability) for name, probability in self.probabilities.items())
        return f"<table><caption>{escape(_label(self))}</caption>{rows}</table>"


@dataclass(frozen=True)
class ImagePrediction:
    """One image and its faces, or the reason why it could not be read.

    Attributes:
        path: Path of the image; "" for an array.
        width: Width in pixels; 0 if the image could not be read.
        height: Height in pixels; 0 if the image could not be read.
        faces: Faces, highest detection score first; an image without faces is not an error.
        error: One-line error message; None if the image could be read.
        image: (H, W, 3) uint8 RGB pixels, if available.
    """

    path: str
    width: int
    height: int
    faces: tuple[FacePrediction, ...]
    error: str | None = None
    image: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `predict --json` prints."""
        faces = [face.to_dict() for face in self.faces]
        return {"path": self.path, "width": self.width, "height": self.height, "faces": faces, "error": self.error}

    def _repr_html_(self) -> str:
        """Return the annotated image and the probabilities of each face for notebooks."""
        return _html(self.path or "image", self.faces, self.error, self.image)


@dataclass(frozen=True)
class FramePrediction:
    """One frame of a video and its faces.

    Attributes:
        path: Path of the video, or name of the camera or stream.
        frame: Frame index, from 0.
        time_s: Presentation time in seconds from the start.
        faces: Tracked faces, oldest track first; each has an `id`.
        error: One-line reason why the video ends here; None for all other frames.
        image: (H, W, 3) uint8 RGB pixels, if available.
    """

    path: str
    frame: int
    time_s: float
    faces: tuple[FacePrediction, ...]
    error: str | None = None
    image: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `predict --json` prints."""
        faces = [face.to_dict() for face in self.faces]
        document = {"path": self.path, "frame": self.frame, "time_s": round(self.time_s, 4), "faces": faces}
        return document if self.error is None else document | {"error": self.error}

    def _repr_html_(self) -> str:
        """Return the annotated frame and the probabilities of each face for notebooks."""
        return _html(f"{self.path}, frame {self.frame}, {self.time_s:.2f} s", self.faces, self.error, self.image)


Prediction = FacePrediction | ImagePrediction | FramePrediction


def to_rows(prediction: Prediction) -> list[dict[str, Any]]:
    """Return table rows: one per face, or one without a face if an image or frame has none.

    Returns:
        Rows by column name: path, frame, time_s (frames only), the columns of `FACE_COLUMNS`, one per class; for
        videos detected and one per class with the prefix `UNSMOOTHED`; error.
    """
    if isinstance(prediction, FacePrediction):
        return [_face_row(prediction, 1)]
    source: dict[str, Any] = {"path": prediction.path}
    if isinstance(prediction, FramePrediction):
        source |= {"frame": prediction.frame, "time_s": round(prediction.time_s, 4)}
    if not prediction.faces:
        return [{**source, "error": prediction.error}]
    return [{**source, **_face_row(face, number), "error": None} for number, face in enumerate(prediction.faces, 1)]


def to_frame(results: Prediction | Iterable[Prediction]) -> Any:
    """Return results as a pandas DataFrame, one row per face.

    Args:
        results: Results of `predict`, `predict_images`, `predict_video` or `predict_camera`.

    Raises:
        MissingExtra: If pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError:
        raise MissingExtra("to_frame requires pandas, which is not installed; run: pip install pandas") from None
    is_single = isinstance(results, FacePrediction | ImagePrediction | FramePrediction)
    predictions: Iterable[Prediction] = [results] if is_single else results  # type: ignore[assignment, list-item]
    rows = [row for prediction in predictions for row in to_rows(prediction)]
    known = [*(name for name in ("path", "frame", "time_s") if any(name in row for row in rows)), *FACE_COLUMNS]
    classes = dict.fromkeys(name for row in rows for name in row if name not in (*known, "error"))
    return pandas.DataFrame(rows, columns=[*known, *classes, *(["error"] if "path" in known else [])])


def _face_row(face: FacePrediction, number: int) -> dict[str, Any]:
    document = face.to_dict()
    box = dict(zip(BOX_COLUMNS, document["box"], strict=True))
    row = {"face": face.id or number, **box, "score": document["score"], "expression": face.expression}
    row |= document["probabilities"]
    if face.id is None:
        return row
    unsmoothed = document["unsmoothed_probabilities"] or {}
    return row | {"detected": face.detected} | {UNSMOOTHED + name: value for name, value in unsmoothed.items()}


def table_columns(classes: Sequence[str]) -> list[str]:
    """Return the columns of a CSV file of images and videos with these classes; see `to_rows`."""
    video = ["detected", *(UNSMOOTHED + name for name in classes)]
    return ["path", "frame", "time_s", *FACE_COLUMNS, *classes, *video, "error"]


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {name: round(probability, 5) for name, probability in probabilities.items()}


def _label(face: FacePrediction, number: int | None = None) -> str:
    prefix = face.id or number
    return ("" if prefix is None else f"{prefix}  ") + f"{face.expression} {face.probability:.0%}"


def _bar_row(name: str, probability: float) -> str:
    bar = f'<div style="background:#0072b2;height:0.8em;width:{100 * probability:.1f}%"></div>'
    return f'<tr><td>{escape(name)}</td><td style="width:10em">{bar}</td><td>{probability:.0%}</td></tr>'


def _html(title: str, faces: Sequence[FacePrediction], error: str | None, image: NDArray[np.uint8] | None) -> str:
    if error is not None:
        return f"<p>{escape(error)}</p>"
    count = "no face" if not faces else "1 face" if len(faces) == 1 else f"{len(faces)} faces"
    tables = "".join(face._repr_html_() for face in faces)
    drawing = "" if image is None else _svg(image, faces)
    return f'<p>{escape(title)}: {count}</p>{drawing}<div style="display:flex;flex-wrap:wrap">{tables}</div>'


def _svg(image: NDArray[np.uint8], faces: Sequence[FacePrediction]) -> str:
    """Return an image with boxes and labels as SVG; the pixels are embedded as JPEG, at most 1024 wide or high."""
    from base64 import b64encode
    from io import BytesIO

    from PIL import Image

    height, width = image.shape[:2]
    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail((_MAX_DISPLAY_SIDE, _MAX_DISPLAY_SIDE))
    encoded = BytesIO()
    thumbnail.save(encoded, format="JPEG", quality=90)
    data = b64encode(encoded.getvalue()).decode("ascii")
    size = max(width, height) / 40
    marks = []
    for number, face in enumerate(faces, 1):
        x, y, box_width, box_height = face.box
        marks.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{box_width:.1f}" height="{box_height:.1f}" fill="none" '
            f'stroke="#f0e442" stroke-width="{size / 6:.1f}"/>'
            f'<text x="{x:.1f}" y="{max(y - size / 3, size):.1f}" font-size="{size:.1f}" fill="#f0e442" stroke="#000" '
            f'stroke-width="{size / 8:.1f}" paint-order="stroke">{escape(_label(face, number))}</text>'
        )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{thumbnail.width}" style="max-width:100%;height:auto">'
        f'<image href="data:image/jpeg;base64,{data}" width="{width}" height="{height}"/>{"".join(marks)}</svg>'
    )
