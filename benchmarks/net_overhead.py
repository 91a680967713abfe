"""Overhead of `pl.Net` compared with the same net written in PyTorch: FaceEmotionNet, in one run.

    python benchmarks/net_overhead.py [--threads 2] [--rounds 40] [--device cpu] [--write docs/benchmarks.md]

The two alternate, so that other load affects both. The result is the median of the ratios of adjacent turns. The target
is 3 % or less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from page import machine, write_section
from torch import Tensor, nn

import prototxt_like as pl

TARGET = 1.03


def by_hand() -> nn.Sequential:
    """Return FaceEmotionNet written in PyTorch."""

    def block(inputs: int, outputs: int, kernel: int, pad: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, kernel, padding=pad)
        return [
            convolution,
            nn.BatchNorm2d(outputs, affine=False),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        ]

    return nn.Sequential(
        *block(1, 32, 5, 2),
        *block(32, 32, 4, 1),
        *block(32, 64, 5, 2),
        nn.Flatten(),
        nn.Linear(1600, 2048),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(2048, 1024),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(1024, 7),
    )


def inference(batch: int, device: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return one forward pass without gradients, of `pl.Net` and of plain PyTorch."""
    net = pl.Net(pl.zoo.path("face_emotion_net") / "deploy.prototxt").to(device).eval()
    hand = nn.Sequential(by_hand(), nn.Softmax(1)).to(device).eval()
    data = torch.randn(batch, 1, 42, 42, device=device)
    return torch.inference_mode()(lambda: net(data=data)), torch.inference_mode()(lambda: hand(data))


def training(batch: int, device: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return one forward and backward pass with the loss, of `pl.Net` and of plain PyTorch."""
    shapes = {"data": (batch, 1, 42, 42), "label": (batch,)}
    file = pl.zoo.path("face_emotion_net") / "train_val.prototxt"
    net = pl.Net(file, phase="TRAIN", input_shapes=shapes).to(device)
    hand, criterion = by_hand().to(device).train(), nn.CrossEntropyLoss()
    data, label = torch.randn(shapes["data"], device=device), torch.randint(0, 7, (batch,), device=device)

    def run_net() -> Tensor:
        net.zero_grad(set_to_none=True)
        loss = net.total_loss(net(data=data, label=label))
        loss.backward()
        return loss

    def run_by_hand() -> Tensor:
        hand.zero_grad(set_to_none=True)
        loss = criterion(hand(data), label)
        loss.backward()
        return loss

    return run_net, run_by_hand


def seconds(run: Callable[[], object], times: int, device: str) -> float:
    """Return the time of several runs: CPU time, which other programs do not affect, or wall-clock time on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    for _ in range(times):
        run()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return clock() - start


def compare(pair: tuple[Callable[[], object], Callable[[], object]], options: argparse.Namespace) -> list[float]:
    """Return the milliseconds of `pl.Net` and of plain PyTorch, and the median of their ratios."""
    net, hand = pair
    seconds(net, 5, options.device)
    once = seconds(hand, 5, options.device) / 5
    times = max(1, round(0.05 / once))  # turns long enough to measure, short enough to alternate
    turns = []
    for index in range(options.rounds):
        first, second = (net, hand) if index % 2 else (hand, net)
        pair_of_times = [seconds(run, times, options.device) / times for run in (first, second)]
        turns.append(tuple(reversed(pair_of_times)) if index % 2 == 0 else tuple(pair_of_times))
    ratio = statistics.median(one / other for one, other in turns)
    net_time, hand_time = (statistics.median(turn[side] for turn in turns) for side in (0, 1))
    return [net_time * 1e3, hand_time * 1e3, ratio]


def table(options: argparse.Namespace) -> str:
    """Measure; return the results in Markdown."""
    rows = {
        "inference, 1 face": compare(inference(1, options.device), options),
        "inference, 64 faces": compare(inference(64, options.device), options),
        "training, 64 faces": compare(training(64, options.device), options),
    }
    lines = [
        f"FaceEmotionNet in float32 on {options.device}: the net that `prototxt_like` builds from the prototxt, and "
        f"the same net written by hand in PyTorch; {machine(options.threads)}. Processor time, median of "
        f"{options.rounds} alternating turns; the last column is the median of their ratios. The target is "
        f"{TARGET - 1:+.0%} or less.",
        "",
        "| task | `pl.Net` | by hand | overhead |",
        "|---|--:|--:|--:|",
    ]
    for name, (net_ms, hand_ms, ratio) in rows.items():
        lines.append(f"| {name} | {net_ms:.3f} ms | {hand_ms:.3f} ms | {ratio - 1:+.1%} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", type=Path, help="Markdown file to write the table into")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = table(options)
    print(text)
    if options.write:
        write_section(options.write, "net_overhead", "Overhead of prototxt nets", text)


if __name__ == "__main__":
    main()
