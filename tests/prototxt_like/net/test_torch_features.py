"""Tests of torch features: compile, export, channels_last, autocast, several processes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing
from torch.nn.parallel import DistributedDataParallel

import prototxt_like as pl

TEXT = """
name: "small"
layer { name: "data" type: "Input" top: "data" top: "label"
        input_param { shape { dim: 4 dim: 3 dim: 9 dim: 11 } shape { dim: 4 } } }
layer { name: "conv.1/a" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
        inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" include { phase: TEST } }
layer { name: "quiet" type: "Silence" bottom: "label" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" include { phase: TRAIN } }
"""
LABELS = torch.tensor([1, 4, 0, 2])


def net(phase: str) -> pl.Net:
    torch.manual_seed(0)
    return pl.Net(pl.parse_net(TEXT), phase=phase)


def images() -> torch.Tensor:
    return torch.randn(4, 3, 9, 11, generator=torch.Generator().manual_seed(1))


def gradients(it: torch.nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    it.zero_grad()
    loss.backward()
    return [parameter.grad for parameter in it.parameters() if parameter.grad is not None]


def test_compile_in_one_graph() -> None:
    """Forward and backward compile without graph breaks. The code generator is not tested here."""
    it = net("TRAIN")
    compiled = torch.compile(it, fullgraph=True, backend="aot_eager")
    expected = it.total_loss(it(data=images(), label=LABELS))
    found = it.total_loss(compiled(data=images(), label=LABELS))
    torch.testing.assert_close(found, expected)
    for compiled, eager in zip(gradients(it, found), gradients(it, expected), strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-6)


def test_export_with_a_free_batch() -> None:
    it = net("TEST")
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(it, (images(), LABELS), dynamic_shapes={"positional": (batch, batch)})
    data = torch.cat([images(), images() + 1, images()])
    found = program.module()(data, LABELS.repeat(3))
    torch.testing.assert_close(found["prob"], it(data=data, label=LABELS.repeat(3))["prob"])


def test_channels_last_is_preserved() -> None:
    it = net("TEST")
    expected = it.blobs(data=images(), label=LABELS)
    it.to(memory_format=torch.channels_last)
    blobs = it.blobs(data=images().to(memory_format=torch.channels_last), label=LABELS)
    for name in ("conv", "pool"):
        assert blobs[name].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(blobs["prob"], expected["prob"])


def test_bfloat16_autocast_trains() -> None:
    it = net("TRAIN")
    expected = it.total_loss(it(data=images(), label=LABELS))
    with torch.autocast("cpu", torch.bfloat16):
        blobs = it.blobs(data=images(), label=LABELS)
    assert blobs["ip"].dtype == torch.bfloat16
    assert blobs["loss"].dtype == torch.float32
    torch.testing.assert_close(blobs["loss"], expected, rtol=0.02, atol=0)
    assert all(gradient.dtype == torch.float32 for gradient in gradients(it, it.total_loss(blobs)))


def test_weights_in_double_precision() -> None:
    it = net("TRAIN").double()
    assert it(data=images().double(), label=LABELS)["loss"].dtype == torch.float64


def _train_a_share(rank: int, folder: str, port: int) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    it = net("TRAIN")
    parallel = DistributedDataParallel(it, broadcast_buffers=False)
    share = slice(2 * rank, 2 * rank + 2)
    loss = it.total_loss(parallel(data=images()[share], label=LABELS[share]))
    loss.backward()
    torch.save([parameter.grad for parameter in it.parameters()], Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("default")  # from process start-up
def test_two_processes_average_their_gradients(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_train_a_share, (str(tmp_path), port), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    it = net("TRAIN")
    halves = [
        gradients(it, it.total_loss(it(data=images()[share], label=LABELS[share]))) for share in (slice(2), slice(2, 4))
    ]
    for one, two, half, other in zip(first, second, *halves, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
        torch.testing.assert_close(one, (half + other) / 2)


def test_changed_statistics_take_effect_immediately() -> None:
    """BatchNorm computes mean and variance from the sums in every forward pass."""
    it = pl.Net(pl.parse_net(TEXT.split('layer { name: "scale"')[0]))
    sums = it.params["bn"]
    normal = lambda: it(data=images(), label=LABELS)["conv"]  # noqa: E731
    with torch.no_grad(), torch.inference_mode():
        plain = it.blobs(data=images(), label=LABELS)["conv"].clone()
    assert torch.isfinite(plain).all()
    with torch.no_grad():
        sums[1].fill_(4)
        sums[2].fill_(1)
    once = normal()
    once.sum().backward()  # values computed in inference mode must not be cached
    with torch.no_grad():
        sums[1].fill_(16)
    torch.testing.assert_close(normal() * 2, once, rtol=1e-4, atol=1e-5)
    it.load_state_dict({**it.state_dict(), "layers.bn.scale_sum": torch.tensor([4.0])})
    torch.testing.assert_close(normal(), once, rtol=1e-4, atol=1e-5)
    it.double()
    assert it(data=images().double(), label=LABELS)["conv"].dtype == torch.float64
