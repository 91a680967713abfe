"""Short trial of the speed of training, classification and detection on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.data.sources.synthetic import draw_face
from fer_lmdb.faces.detectors.registry import get_detector
from fer_lmdb.io.pixels import to_rgb
from fer_lmdb.runtime.device import resolve_device, resolve_dtype

NET, BATCH = "face_emotion_net", 64


def run_speed_trial(seconds: float = 10.0, device: str = "auto") -> dict[str, Any]:
    """Measure training, classification and detection, a third of the time each.

    Args:
        seconds: Duration without start-up, above 0.
        device: Device of all three.

    Returns:
        net, batch_size, train_faces_per_second (precision "auto"), predict_faces_per_second (float32) and
        detect_images_per_second (MTCNN on 48x48 synthetic faces).
    """
    resolved, part = resolve_device(device), seconds / 3
    return {
        "net": NET,
        "batch_size": BATCH,
        "train_faces_per_second": _rate(_training_step(resolved), BATCH, part, resolved),
        "predict_faces_per_second": _rate(_forward_pass(resolved), BATCH, part, resolved),
        "detect_images_per_second": _rate(_detection(resolved), BATCH, part, resolved),
    }


def _rate(run: Callable[[], object], items: int, seconds: float, device: torch.device) -> float:
    """Return items per second; the first call, which allocates and compiles, does not count."""
    run()
    _wait(device)
    start = time.perf_counter()
    for done in count(1):
        run()
        _wait(device)
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return done * items / elapsed
    raise AssertionError("count() does not end")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _training_step(device: torch.device) -> Callable[[], object]:
    folder = pl.zoo.path(NET)
    shapes = {"data": (BATCH, 1, 42, 42), "label": (BATCH,)}
    net = pl.Net(folder / "train_val.prototxt", phase="TRAIN", input_shapes=shapes).train()
    net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    dtype = resolve_dtype("auto", device)
    solver = pl.Solver(folder / "solver.prototxt", net, fused=dtype != torch.float32)
    data, label = torch.randn(shapes["data"], device=device), torch.randint(0, 7, (BATCH,), device=device)

    def step() -> object:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = net.total_loss(net(data=data, label=label))
        return solver.step(loss)

    return step


def _forward_pass(device: torch.device) -> Callable[[], object]:
    net = pl.Net(pl.zoo.path(NET) / "deploy.prototxt").to(device).eval()
    data = torch.randn(BATCH, 1, 42, 42, device=device)
    return torch.inference_mode()(lambda: net(data=data))


def _detection(device: torch.device) -> Callable[[], object]:
    detector, images = get_detector("mtcnn", device=str(device)), _synthetic_faces()
    return lambda: detector.detect(images)


def _synthetic_faces() -> list[NDArray[np.uint8]]:
    """Return a batch of (48, 48, 3) uint8 RGB drawings."""
    faces = [draw_face("happy", np.random.default_rng([0, index]))[0] for index in range(BATCH)]
    return [to_rgb(face, "rgb") for face in faces]
