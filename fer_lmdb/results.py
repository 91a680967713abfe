"""What a prediction is: faces of one picture or frame, as plain values that JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNCERTAIN = "uncertain"
"""Stands in the place of an expression whose probability is below the threshold that the user gave."""


@dataclass(frozen=True)
class FacePrediction:
    """One face and its expression.

    Attributes:
        box: x, y of the top left corner, width, height in pixels of the picture.
        score: how sure the detector is of the face, 0-1.
        landmarks: x, y in pixels: left eye, right eye, nose, left and right corner of the mouth; None where the
            detector knows none.
        expression: the most probable class, or "uncertain" where a threshold says so.
        probabilities: share 0-1 by class name, in label order; they sum to 1.
        id: the same person's number through a video; None in single pictures.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[tuple[float, float], ...] | None
    expression: str
    probabilities: dict[str, float]
    id: int | None = None

    @property
    def probability(self) -> float:
        """The probability of the most probable class."""
        return max(self.probabilities.values())

    @property
    def best(self) -> str:
        """The most probable class, also where `expression` is "uncertain"."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    def ranked(self) -> list[tuple[str, float]]:
        """Return classes and probabilities, most probable first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])

    def to_dict(self) -> dict[str, Any]:
        """Return the face as it stands in `predict --json`."""
        document: dict[str, Any] = {
            "box": [round(value, 2) for value in self.box],
            "score": round(self.score, 5),
            "landmarks": self.landmarks and [[round(x, 2), round(y, 2)] for x, y in self.landmarks],
            "expression": self.expression,
            "probabilities": {name: round(share, 5) for name, share in self.probabilities.items()},
        }
        return document if self.id is None else document | {"id": self.id}


@dataclass(frozen=True)
class ImagePrediction:
    """One picture and its faces, or why it could not be read.

    Attributes:
        path: the file.
        width: pixels; 0 where it could not be read.
        height: pixels; 0 where it could not be read.
        faces: best score first; none is a result, not an error.
        error: one line, None where all went well.
    """

    path: str
    width: int
    height: int
    faces: tuple[FacePrediction, ...]
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the line of `predict --json`."""
        faces = [face.to_dict() for face in self.faces]
        return {"path": self.path, "width": self.width, "height": self.height, "faces": faces, "error": self.error}


@dataclass(frozen=True)
class FramePrediction:
    """One frame of a video and its faces.

    Attributes:
        path: the video.
        frame: the frame's number, from 0.
        time_s: when it is shown, in seconds from the beginning.
        faces: those followed in this frame, oldest first; each has an `id`.
        error: why the video ends here, one line; None as long as all goes well.
    """

    path: str
    frame: int
    time_s: float
    faces: tuple[FacePrediction, ...]
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the line of `predict --json`."""
        faces = [face.to_dict() for face in self.faces]
        document = {"path": self.path, "frame": self.frame, "time_s": round(self.time_s, 4), "faces": faces}
        return document if self.error is None else document | {"error": self.error}
