"""What Caffe's files hold: nets, solvers, weights, mean images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from google.protobuf.json_format import MessageToDict

import prototxt_like as pl
from prototxt_like.errors import NetError, ParseError, PrototxtLikeError

FACES = (1, 48, 48)
TOTALS = ("parameters", "statistics", "multiply_adds", "memory")


def inspect_mean(path: Path, verify: bool) -> dict[str, Any]:
    """Read a mean image.

    Raises:
        FileError: it is missing, damaged or no mean image.
    """
    mean = pl.read_mean(path)
    lowest, highest = float(mean.min()), float(mean.max())
    document = {"shape": list(mean.shape), "lowest": lowest, "highest": highest, "mean": float(mean.mean())}
    if not verify:
        return document
    problems = [] if np.isfinite(mean).all() else ["holds values that are no numbers"]
    if not problems and (lowest < 0 or highest > 255):
        problems.append(f"holds values from {lowest:g} to {highest:g}; expected 0 to 255")
    return document | {"problems": problems}


def inspect_prototxt(path: Path, verify: bool) -> dict[str, Any]:
    """Read a net or a solver.

    Raises:
        FileError, ParseError: it is neither.
    """
    readers = [inspect_net, inspect_solver]
    if "solver" in path.name.lower():
        readers.reverse()
    try:
        return readers[0](path, verify)
    except ParseError:
        try:
            return readers[1](path, verify)
        except PrototxtLikeError:
            pass
        raise


def inspect_net(path: Path, verify: bool) -> dict[str, Any]:
    """Build a net in both phases, without taking memory for it, and count what it consists of.

    Raises:
        FileError, ParseError: the file is no net.
        NetError: the net can be built in no phase.
    """
    message = pl.read_net(path)
    phases: dict[str, dict[str, Any]] = {}
    failures: dict[str, PrototxtLikeError] = {}
    for phase in ("TEST", "TRAIN"):
        try:
            phases[phase] = describe_net(message, phase)
        except PrototxtLikeError as error:
            failures[phase] = error
    if not phases:
        raise failures["TEST"]
    document: dict[str, Any] = {
        "what": "net",
        "name": message.name,
        "pure_caffe": pl.is_pure_caffe(message),
        "phases": phases,
    }
    if verify:
        document["problems"] = [f"phase {phase}: {error}" for phase, error in failures.items()]
    return document


def describe_net(message: pl.NetParameter, phase: str) -> dict[str, Any]:
    """Return inputs, outputs, layers and totals of a net in one phase."""
    net = build_shapes(message, phase)
    rows = pl.summary(net)
    return {
        "inputs": {name: list(shape) for name, shape in net.input_shapes.items()},
        "outputs": list(net.outputs),
        **{total: sum(getattr(row, total) for row in rows) for total in TOTALS},
        "layers": [vars(row) for row in rows],
    }


def build_shapes(message: pl.NetParameter, phase: str) -> pl.Net:
    """Build a net whose tensors take no memory; where its data layer does not tell, for the faces of a data set.

    Raises:
        NetError: the net cannot be built in this phase.
    """
    with torch.device("meta"):
        try:
            return pl.Net(message, phase=phase)
        except NetError as error:
            try:
                shapes = pl.data_shapes(message, phase, FACES)
            except NetError:
                raise error from None
            return pl.Net(message, phase=phase, input_shapes=shapes)


def inspect_solver(path: Path, verify: bool) -> dict[str, Any]:
    """Read a solver: its fields and the rate at some iterations.

    Raises:
        FileError, ParseError: the file is no solver.
    """
    solver = pl.read_solver(path)
    fields = MessageToDict(solver, preserving_proto_field_name=True)
    last = max(solver.max_iter - 1, 0)
    places = sorted({0, last // 4, last // 2, 3 * last // 4, last})
    rates = {str(place): float(pl.learning_rate(solver, place)) for place in places}
    return {"what": "solver", "fields": fields, "rates": rates} | ({"problems": []} if verify else {})


def inspect_caffemodel(path: Path, verify: bool) -> dict[str, Any]:
    """Read weights: the shape and the range of every blob.

    Raises:
        FileError: it is missing, damaged or no caffemodel.
    """
    message = pl.read_net(path)
    layers, problems = [], []
    for layer in message.layer:
        for number, blob in enumerate(layer.blobs):
            values = pl.blob_to_array(blob, f"{path}: {layer.name}")
            layers.append(describe_blob(f"{layer.name}/{number}", layer.type, values))
            if not np.isfinite(values).all():
                problems.append(f"{layer.name}/{number} holds values that are no numbers")
    if not layers:
        problems.append("holds no weights")
    document = {"name": message.name, "parameters": sum(row["values"] for row in layers), "blobs": layers}
    return document | ({"problems": problems} if verify else {})


def describe_blob(name: str, type_name: str, values: np.ndarray) -> dict[str, Any]:
    """Return the shape and the range of a blob."""
    flat = values.astype(np.float64).ravel()
    some = flat if flat.size else np.zeros(1)
    return {
        "name": name,
        "type": type_name,
        "shape": list(values.shape),
        "values": int(values.size),
        "lowest": float(some.min()),
        "highest": float(some.max()),
        "mean": float(some.mean()),
        "deviation": float(some.std()),
    }
