"""Contents and verification of Caffe files: nets, solvers, weights and mean images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from google.protobuf.json_format import MessageToDict

import prototxt_like as pl
from prototxt_like.errors import NetError, ParseError, PrototxtLikeError
from prototxt_like.limits import format_shape

FACE_SHAPE = (1, 48, 48)
"""Input shape of nets whose data layer does not define it."""
TOTALS = ("parameters", "statistics", "multiply_adds", "memory")


def inspect_mean(path: Path, verify: bool) -> dict[str, Any]:
    """Describe a mean image.

    Raises:
        FileError: If it is missing, damaged or not a mean image.
    """
    mean = pl.read_mean(path)
    lowest, highest = float(mean.min()), float(mean.max())
    document = {"shape": list(mean.shape), "lowest": lowest, "highest": highest, "mean": float(mean.mean())}
    if not verify:
        return document
    problems = [] if np.isfinite(mean).all() else ["contains NaN or infinite values"]
    if not problems and (lowest < 0 or highest > 255):
        problems.append(f"contains values from {lowest:g} to {highest:g}; expected 0 to 255")
    return document | {"problems": problems}


def inspect_prototxt(path: Path, verify: bool) -> dict[str, Any]:
    """Describe a net or a solver.

    Raises:
        FileError, ParseError: If it is neither.
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
    """Describe a net in both phases; it is built without memory for its tensors.

    Raises:
        FileError, ParseError: If the file is not a net.
        NetError: If the net cannot be built in either phase.
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
        "notes": [*_assumptions(message, phase), *net.notes],
    }


def _assumptions(message: pl.NetParameter, phase: str) -> list[str]:
    """Return what `build_shapes` assumes."""
    try:
        with torch.device("meta"):
            pl.Net(message, phase=phase)
    except NetError:
        layer = pl.data_layer(message, phase)
        return [
            f'the shape of "{layer.top[0]}" is unknown: layer "{layer.name}" ({layer.type}) does not define it; '
            f"images of {format_shape(FACE_SHAPE)} are assumed"
        ]
    return []


def build_shapes(message: pl.NetParameter, phase: str) -> pl.Net:
    """Build a net on the meta device, with the input shape of its data layer or else `FACE_SHAPE`.

    Raises:
        NetError: If the net cannot be built in this phase.
    """
    with torch.device("meta"):
        try:
            return pl.Net(message, phase=phase)
        except NetError as error:
            try:
                shapes = pl.data_shapes(message, phase, FACE_SHAPE)
            except NetError:
                raise error from None
            return pl.Net(message, phase=phase, input_shapes=shapes)


def inspect_solver(path: Path, verify: bool) -> dict[str, Any]:
    """Describe a solver: its fields and the learning rate at five iterations.

    Raises:
        FileError, ParseError: If the file is not a solver.
    """
    solver = pl.read_solver(path)
    fields = MessageToDict(solver, preserving_proto_field_name=True)
    last = max(solver.max_iter - 1, 0)
    iterations = sorted({0, last // 4, last // 2, 3 * last // 4, last})
    rates = {str(iteration): float(pl.learning_rate(solver, iteration)) for iteration in iterations}
    return {"what": "solver", "fields": fields, "rates": rates} | ({"problems": []} if verify else {})


def inspect_caffemodel(path: Path, verify: bool) -> dict[str, Any]:
    """Describe weights: shape and range of each blob.

    Raises:
        FileError: If it is missing, damaged or not a caffemodel.
    """
    message = pl.read_net(path)
    layers, problems = [], []
    for layer in message.layer:
        for number, blob in enumerate(layer.blobs):
            values = pl.blob_to_array(blob, f"{path}: {layer.name}")
            layers.append(describe_blob(f"{layer.name}/{number}", layer.type, values))
            if not np.isfinite(values).all():
                problems.append(f"{layer.name}/{number} contains NaN or infinite values")
    if not layers:
        problems.append("contains no weights")
    document = {"name": message.name, "parameters": sum(row["values"] for row in layers), "blobs": layers}
    return document | ({"problems": problems} if verify else {})


def describe_blob(name: str, type_name: str, values: np.ndarray) -> dict[str, Any]:
    """Return shape, range, mean and standard deviation of a blob.

    Args:
        name: Name of the blob.
        type_name: Layer type or dtype.
        values: Values of any shape.
    """
    flat = values.astype(np.float64).ravel()
    flat = flat if flat.size else np.zeros(1)
    return {
        "name": name,
        "type": type_name,
        "shape": list(values.shape),
        "values": int(values.size),
        "lowest": float(flat.min()),
        "highest": float(flat.max()),
        "mean": float(flat.mean()),
        "deviation": float(flat.std()),
    }
