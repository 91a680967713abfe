"""TensorBoard image of a batch: network inputs, augmented and mixed."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import IMAGES, EventAccumulator

from fer_lmdb.training import train
from fer_lmdb.training.targets import BatchTargets
from fer_lmdb.training.tensorboard import TensorBoardLogger


def test_the_image_shows_the_mixed_batch(options, tmp_path, monkeypatch):
    shown, plain = [], []
    call = BatchTargets.__call__

    def watched(self, faces, labels, number):
        plain.append(faces)
        return call(self, faces, labels, number)

    monkeypatch.setattr(BatchTargets, "__call__", watched)
    monkeypatch.setattr(TensorBoardLogger, "log_faces", lambda self, iteration, faces: shown.append((iteration, faces)))
    train.train(replace(options, epochs=1, mixup=1.0), tmp_path / "run")
    ((iteration, faces),) = shown
    assert iteration == 10
    batch = plain[-1].flatten(1)
    # Every shown face is a + share * (b - a) of two faces of the batch, with one share for all.
    assert not torch.equal(faces.flatten(1), batch)
    weights = torch.linalg.lstsq(batch.T.double(), faces.flatten(1).T.double()).solution.T
    assert torch.allclose(weights.sum(1), torch.ones(len(batch)).double(), atol=1e-3)
    assert ((weights.abs() > 1e-3).sum(1) <= 2).all()


def test_the_image_is_in_the_event_file(trained):
    events = EventAccumulator(str(trained.run.tensorboard), size_guidance={IMAGES: 0})
    events.Reload()
    (event,) = events.Images("train/faces")
    image = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)).convert("L"))
    assert event.step == 10
    assert image.shape == (2 * 42, 8 * 42)  # 15 faces in rows of eight
    assert image[:42, :42].min() == 0
    assert image[:42, :42].max() == 255
    assert image[42:, 7 * 42 :].max() == 0  # the sixteenth place is empty
