"""The demo: which commands it runs, and the files that it makes itself.

drawn faces ─▶ build ─▶ train ─▶ evaluate ─▶ curves;  astronaut ─▶ predict
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.sources.synthetic import SyntheticFaces, write_synthetic_csv
from fer_lmdb.errors import RunError
from fer_lmdb.io.images import write_image
from fer_lmdb.labels import FER2013
from fer_lmdb.models.registry import DEFAULT_MODEL, list_pretrained
from fer_lmdb.models.run_folder import RunFolder

TRAIN_FACES, VAL_FACES, TEST_FACES = 2100, 420, 420


@dataclass(frozen=True)
class Demo:
    """Where everything of a demo lies, and its commands.

    Attributes:
        folder: all of it is below this folder.
        epochs: how long to train.
        seed: decides the faces and the training.
    """

    folder: Path
    epochs: int = 12
    seed: int = 0

    @property
    def csv(self) -> Path:
        """The drawn faces, in FER2013's layout."""
        return self.folder / "faces.csv"

    @property
    def sheet(self) -> Path:
        """A picture of some drawn faces, a row for each class."""
        return self.folder / "faces.png"

    @property
    def data(self) -> Path:
        """The data set."""
        return self.folder / "data"

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "run"

    @property
    def photograph(self) -> Path:
        """NASA's portrait of the astronaut Eileen Collins, in the public domain."""
        return self.folder / "astronaut.png"

    @property
    def annotated(self) -> Path:
        """The photograph with what was recognised."""
        return self.folder / "astronaut-recognised.png"

    @property
    def curves(self) -> Path:
        """Loss, accuracy and rate over the epochs."""
        return self.folder / "curves.png"

    def build(self) -> list[str]:
        """Return the arguments of the build."""
        return ["build", str(self.csv), "--out", str(self.data), "--force"]

    def train(self) -> list[str]:
        """Return the arguments of the training."""
        where = ["--data", str(self.data), "--run", str(self.run)]
        return ["train", *where, "--epochs", str(self.epochs), "--seed", str(self.seed)]

    def evaluate(self) -> list[str]:
        """Return the arguments of the evaluation."""
        return ["evaluate", str(self.run), "--data", str(self.data), "--split", "test"]

    def predict(self) -> list[str]:
        """Return the arguments of the prediction: with the shipped model, which has seen real faces."""
        model = [] if DEFAULT_MODEL in list_pretrained() else ["--model", str(self.run)]
        return ["predict", str(self.photograph), *model, "--save", str(self.annotated)]

    def prepare_folder(self) -> None:
        """Make the folder; remove the run of an earlier demo, since a training never writes over one.

        Raises:
            RunError: the folder holds other things than a demo.
        """
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self.csv.exists():
            raise RunError(f"{self.folder} is not empty and no demo's folder; name another one with --out")
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.run.exists():
            shutil.rmtree(self.run)

    def draw_faces(self) -> None:
        """Write the csv of drawn faces, equally many of each class, and a picture of the first ones."""
        write_synthetic_csv(self.csv, TRAIN_FACES, VAL_FACES, TEST_FACES, self.seed)
        write_image(self.sheet, contact_sheet(self.seed))

    def write_photograph(self) -> None:
        """Write scikit-image's sample photograph as a file."""
        from skimage import data

        write_image(self.photograph, data.astronaut())

    def draw_curves(self) -> None:
        """Draw the training's curves."""
        from fer_lmdb.visualization.plots import curves_figure

        log = [json.loads(line) for line in RunFolder(self.run).log.read_text(encoding="utf-8").splitlines()]
        curves_figure(log, f"FaceEmotionNet on {TRAIN_FACES:,} drawn faces").savefig(self.curves, dpi=120)


def contact_sheet(seed: int, columns: int = 14) -> NDArray[np.uint8]:
    """Return the first drawn faces of a seed side by side, (H, W) uint8 grey, a row for each class in label order."""
    faces = [sample.image for sample in SyntheticFaces(columns * len(FER2013), 0, 0, seed)]
    return np.vstack([np.hstack(faces[label :: len(FER2013)]) for label in range(len(FER2013))])
