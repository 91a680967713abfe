"""``caffe test``: score a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from prototxt_like import glog
from prototxt_like.io.files import read_net
from prototxt_like.net.caffemodel import load_weights
from prototxt_like.sources.fed_net import FedNet
from prototxt_like.tools.caffe_flags import caffe_command, choose_device, stages
from prototxt_like.tools.flags import UsageError

COMMAND = caffe_command("Score a model.")


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/caffe.cpp, test
    """
    flags, _ = COMMAND.parse(arguments)
    model, weights, count = str(flags["model"]), str(flags["weights"]), int(flags["iterations"])
    if not model:
        raise UsageError("need a model definition to score; pass -model FILE")
    if not weights:
        raise UsageError("need model weights to score; pass -weights FILE")
    if count < 1:
        raise UsageError(f"invalid iterations: found {count}, expected 1 or more")
    device = choose_device(str(flags["gpu"]))
    net = FedNet(
        read_net(model),
        "TEST",
        level=int(flags["level"]),
        stages=stages(str(flags["stage"])),
        folder=Path(model).parent,
        device=device,
    )
    for path in weights.split(","):
        for name in load_weights(net.net, path.strip()).unused:
            glog.info("net.cpp:746", f"Ignoring source layer {name}")
    glog.info("caffe.cpp:281", f"Running for {count} iterations.")
    _score(net, count)
    return 0


def _score(net: FedNet, count: int) -> None:
    """Log the outputs of each batch, and their means."""
    total, sums = 0.0, dict[str, Tensor]()
    for batch in range(count):
        with torch.no_grad():
            loss, outputs = net.forward()
        total += float(loss)
        for name in sorted(outputs):
            for value in outputs[name].flatten().tolist():
                glog.info("caffe.cpp:304", f"Batch {batch}, {name} = {glog.number(value)}")
            sums[name] = sums[name] + outputs[name] if name in sums else outputs[name]
    glog.info("caffe.cpp:309", f"Loss: {glog.number(total / count)}")
    for name in sorted(sums):
        weight = net.net.loss_weights.get(name, 0.0)
        for value in (sums[name] / count).flatten().tolist():
            note = f" (* {glog.number(weight)} = {glog.number(weight * value)} loss)" if weight else ""
            glog.info("caffe.cpp:321", f"{name} = {glog.number(value)}{note}")
