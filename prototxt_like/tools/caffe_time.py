"""``caffe time``: benchmark the forward and backward pass of every layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from prototxt_like import glog
from prototxt_like.io.files import read_net
from prototxt_like.net.layerwise import LayerwiseNet
from prototxt_like.sources.fed_net import FedNet
from prototxt_like.tools.caffe_flags import caffe_command, choose_device, stages
from prototxt_like.tools.flags import UsageError

COMMAND = caffe_command("Benchmark model execution time.")


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/caffe.cpp, time
    """
    flags, _ = COMMAND.parse(arguments)
    model, phase, count = str(flags["model"]), str(flags["phase"]) or "TRAIN", int(flags["iterations"])
    if not model:
        raise UsageError("need a model definition to time; pass -model FILE")
    if phase not in ("TRAIN", "TEST"):
        raise UsageError(f'phase must be "TRAIN" or "TEST", found "{phase}"')
    if count < 1:
        raise UsageError(f"invalid iterations: found {count}, expected 1 or more")
    device = choose_device(str(flags["gpu"]))
    fed = FedNet(
        read_net(model),
        phase,
        level=int(flags["level"]),
        stages=stages(str(flags["stage"])),
        folder=Path(model).parent,
        device=device,
    )
    net = LayerwiseNet(fed.net, fed.next_batch)
    glog.info("caffe.cpp:351", "Performing Forward")
    glog.info("caffe.cpp:356", f"Initial loss: {glog.number(net.forward())}")
    glog.info("caffe.cpp:357", "Performing Backward")
    net.backward()
    _benchmark(net, count, device)
    return 0


def _benchmark(net: LayerwiseNet, count: int, device: torch.device) -> None:
    layers = len(net.layers)
    forward, backward = [0.0] * layers, [0.0] * layers
    glog.info("caffe.cpp:365", "*** Benchmark begins ***")
    glog.info("caffe.cpp:366", f"Testing for {count} iterations.")
    total = 0.0
    for iteration in range(count):
        before = sum(forward) + sum(backward)
        for index in range(layers):
            forward[index] += _milliseconds(partial(net.forward_layer, index), device)
        added: set[str] = set()
        for index in reversed(range(layers)):
            backward[index] += _milliseconds(partial(net.backward_layer, index, added), device)
        net.clear_param_diffs()
        total = sum(forward) + sum(backward)
        text = glog.number(total - before)
        glog.info("caffe.cpp:394", f"Iteration: {iteration + 1} forward-backward time: {text} ms.")
    glog.info("caffe.cpp:397", "Average time per layer: ")
    for index, layer in enumerate(net.layers):
        glog.info("caffe.cpp:400", f"{layer.name:>10}\tforward: {glog.number(forward[index] / count)} ms.")
        glog.info("caffe.cpp:403", f"{layer.name:>10}\tbackward: {glog.number(backward[index] / count)} ms.")
    glog.info("caffe.cpp:408", f"Average Forward pass: {glog.number(sum(forward) / count)} ms.")
    glog.info("caffe.cpp:410", f"Average Backward pass: {glog.number(sum(backward) / count)} ms.")
    glog.info("caffe.cpp:412", f"Average Forward-Backward: {glog.number(total / count)} ms.")
    glog.info("caffe.cpp:414", f"Total Time: {glog.number(total)} ms.")
    glog.info("caffe.cpp:415", "*** Benchmark ends ***")


def _milliseconds(run: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1000 * (time.perf_counter() - start)
