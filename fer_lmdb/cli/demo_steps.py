"""Steps of the demo: commands and generated files.

synthetic faces ─▶ build ─▶ train ─▶ evaluate ─▶ curves;  astronaut ─▶ predict
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.manifest import file_sha256
from fer_lmdb.data.sources.synthetic import SyntheticFaces, write_synthetic_csv
from fer_lmdb.errors import OutputError
from fer_lmdb.io.atomic import atomic_write_text
from fer_lmdb.io.folder_kinds import RUN
from fer_lmdb.io.images import printable_path, write_image
from fer_lmdb.io.outputs import OutputGuard, check_folder
from fer_lmdb.labels import FER2013
from fer_lmdb.models.registry import DEFAULT_MODEL, list_pretrained
from fer_lmdb.models.run_folder import RunFolder

MARKER, FORMAT = "demo.json", "fer-lmdb demo 1"
TRAIN_FACES, VAL_FACES, TEST_FACES = 2100, 420, 420


@dataclass(frozen=True)
class Demo:
    """Files and commands of a demo.

    Attributes:
        folder: Output folder.
        epochs: Number of training epochs.
        seed: Seed of the faces and of training.
    """

    folder: Path
    epochs: int = 12
    seed: int = 0

    @property
    def csv(self) -> Path:
        """Csv of the synthetic faces, in FER2013's layout."""
        return self.folder / "faces.csv"

    @property
    def marker(self) -> Path:
        """Mark of a folder that demo wrote, with the digest of its csv."""
        return self.folder / MARKER

    @property
    def sheet(self) -> Path:
        """Contact sheet of synthetic faces, one row per class."""
        return self.folder / "faces.png"

    @property
    def data(self) -> Path:
        """Data set folder."""
        return self.folder / "data"

    @property
    def run(self) -> Path:
        """Run folder."""
        return self.folder / "run"

    @property
    def photograph(self) -> Path:
        """NASA's portrait of the astronaut Eileen Collins, in the public domain."""
        return self.folder / "astronaut.png"

    @property
    def annotated(self) -> Path:
        """Annotated photograph."""
        return self.folder / "astronaut-annotated.png"

    @property
    def curves(self) -> Path:
        """Plot of loss, accuracy and learning rate by epoch."""
        return self.folder / "curves.png"

    def build(self) -> list[str]:
        """Return the arguments of build."""
        return ["build", str(self.csv), "--out", str(self.data), "--force"]

    def train(self) -> list[str]:
        """Return the arguments of train."""
        where = ["--data", str(self.data), "--run", str(self.run)]
        return ["train", *where, "--epochs", str(self.epochs), "--seed", str(self.seed)]

    def evaluate(self) -> list[str]:
        """Return the arguments of evaluate."""
        return ["evaluate", str(self.run), "--data", str(self.data), "--split", "test"]

    def predict(self) -> list[str]:
        """Return the arguments of predict, with the pretrained model if there is one."""
        model = [] if DEFAULT_MODEL in list_pretrained() else ["--model", str(self.run)]
        return ["predict", str(self.photograph), *model, "--save", str(self.annotated)]

    def prepare_folder(self) -> None:
        """Create the folder and remove the run of an earlier demo, since train does not overwrite runs.

        Raises:
            OutputError: If the folder or its run contains files that no demo wrote.
        """
        if self.folder.is_dir() and any(self.folder.iterdir()):
            self._check_earlier()
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.run.exists():
            shutil.rmtree(self.run)

    def _check_earlier(self) -> None:
        try:
            document = json.loads(self.marker.read_text(encoding="utf-8"))
            known = document["csv_sha256"] if document["format"] == FORMAT else None
        except (OSError, ValueError, TypeError, KeyError):
            known = None
        if known is None or (self.csv.exists() and file_sha256(self.csv) != known):
            name = printable_path(self.folder if known is None else self.csv)
            raise OutputError(
                f"{name} {'is not empty' if known is None else 'has changed'} and was not written by demo; "
                "pass another folder with --out"
            )
        check_folder(self.run.resolve(), RUN, force=True)
        guard = OutputGuard()
        for image in (self.sheet, self.photograph, self.annotated, self.curves):
            guard.check(image)

    def draw_faces(self) -> None:
        """Write the csv of synthetic faces, balanced over the classes, a contact sheet, and the mark of the folder."""
        write_synthetic_csv(self.csv, TRAIN_FACES, VAL_FACES, TEST_FACES, self.seed)
        document = {"format": FORMAT, "csv_sha256": file_sha256(self.csv)}
        atomic_write_text(self.marker, json.dumps(document) + "\n")
        write_image(self.sheet, contact_sheet(self.seed))

    def write_photograph(self) -> None:
        """Write scikit-image's sample photograph."""
        from skimage import data

        write_image(self.photograph, data.astronaut())

    def draw_curves(self) -> None:
        """Plot the training log."""
        from fer_lmdb.visualization.figure_file import save_figure
        from fer_lmdb.visualization.plots import curves_figure

        log = [json.loads(line) for line in RunFolder(self.run).log.read_text(encoding="utf-8").splitlines()]
        save_figure(curves_figure(log, f"FaceEmotionNet on {TRAIN_FACES:,} synthetic faces"), self.curves, dpi=120)


def contact_sheet(seed: int, columns: int = 14) -> NDArray[np.uint8]:
    """Return the first synthetic faces as one (H, W) uint8 gray image, one row per class in label order."""
    faces = [sample.image for sample in SyntheticFaces(columns * len(FER2013), 0, 0, seed)]
    return np.vstack([np.hstack(faces[label :: len(FER2013)]) for label in range(len(FER2013))])
