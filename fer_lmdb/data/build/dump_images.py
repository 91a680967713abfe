"""PNG files of a data set by split and class, and image lists.

DIR/original/train/3/01081.png   source image
DIR/boxed/train/3/01081.png      source image, enlarged, with box and landmarks
DIR/aligned/train/3/01081.png    preprocessed face, the input of a net
DIR/train_list.txt               image list for Caffe's convert_imageset, in the order of the database
DIR/classes.txt                  class names in the order of the lists' labels
DIR/original/classes.txt         number and class of the folders, if they are numbers; also in boxed/ and aligned/
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.build.spool import Spool
from fer_lmdb.data.sources import Sample
from fer_lmdb.faces.detectors.base import Face, as_rgb
from fer_lmdb.faces.preprocessing import PreparedFace, to_planes
from fer_lmdb.io.pixels import from_planes
from fer_lmdb.labels import LABEL_FILES, LabelOrder, LabelScheme
from fer_lmdb.visualization.canvas import Canvas, Rect
from fer_lmdb.visualization.detection import draw_detection

MIN_DRAWING_SIDE = 192


class ImageDumper:
    """Writes the image files of each face in a data set.

    Args:
        folder: Empty folder.
        boxed: Whether to write images with box and landmarks, i.e. whether a detector runs.
    """

    def __init__(self, folder: Path, *, boxed: bool) -> None:
        self.folder = folder
        self.boxed = boxed

    def add(self, sample: Sample, prepared: PreparedFace, label: int) -> None:
        """Write the image files of one face."""
        self._write("original", sample.name, sample.image)
        self._write("aligned", sample.name, from_planes(to_planes([prepared.crop])[0]))
        if self.boxed:
            self._write("boxed", sample.name, draw_face(sample.image, prepared.face))

    def write_lists(self, spools: dict[str, Spool], scheme: LabelScheme, folders: LabelOrder | None) -> None:
        """Write the list of each split in the shuffled order of its spool, and the class names.

        Args:
            spools: Faces of each split.
            scheme: Label scheme of the lists.
            folders: Meaning of folders that are numbers.
        """
        (self.folder / LABEL_FILES[0]).write_text("\n".join([*scheme.classes, ""]), encoding="utf-8")
        for kind in ("original", "boxed", "aligned"):
            if folders is not None and (self.folder / kind).is_dir():
                names = "".join(f"{number} {name}\n" for number, name in folders.names.items())
                (self.folder / kind / LABEL_FILES[0]).write_text(names, encoding="utf-8")
        for split, spool in spools.items():
            if len(spool):
                lines = (os.fsencode(f"{png_name(entry.name)} {entry.label}\n") for entry in spool.entries())
                with (self.folder / f"{split}_list.txt").open("wb") as file:
                    file.writelines(lines)

    def _write(self, kind: str, name: str, image: NDArray[np.uint8]) -> None:
        path = Path(f"{self.folder}/{kind}{png_name(name)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def png_name(name: str) -> str:
    """Return the name of an image's PNG file: ``a.jpg`` becomes ``a.jpg.png``, so that it differs from ``a.png``."""
    return name if name.lower().endswith(".png") else name + ".png"


def draw_face(image: NDArray[np.uint8], face: Face | None) -> NDArray[np.uint8]:
    """Draw the box and landmarks of a face; small images are enlarged.

    Args:
        image: (H, W) gray or (H, W, 3) RGB, uint8.
        face: Face in pixels of the image; None draws nothing.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    zoom = max(1, -(-MIN_DRAWING_SIDE // min(image.shape[:2])))
    canvas = Canvas(np.repeat(np.repeat(as_rgb(image), zoom, axis=0), zoom, axis=1))
    if face is not None:
        thickness = max(1, min(canvas.pixels.shape[:2]) // 150)
        box = Rect(*(float(value) * zoom for value in face.box))
        points = [] if face.landmarks is None else face.landmarks.tolist()
        landmarks = [((x + 0.5) * zoom, (y + 0.5) * zoom) for x, y in points]
        draw_detection(canvas, box, landmarks, thickness=thickness, radius=1.5 * thickness)
    return canvas.finish()
