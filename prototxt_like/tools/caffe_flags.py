"""Flags of the program ``caffe``, and the device that they choose."""

from __future__ import annotations

import torch

from prototxt_like import glog
from prototxt_like.tools.flags import Command, Flag, UsageError

FLAGS = {
    "gpu": Flag("", "Run on the GPU with this number. One GPU is supported."),
    "solver": Flag("", "The solver definition, a prototxt."),
    "model": Flag("", "The model definition, a prototxt."),
    "phase": Flag("", "Network phase (TRAIN or TEST). Only used for 'time'."),
    "level": Flag(0, "Network level."),
    "stage": Flag("", "Network stages (not to be confused with phase), separated by ','."),
    "snapshot": Flag("", "The snapshot solver state to resume training."),
    "weights": Flag("", "Pretrained weights to initialize finetuning, separated by ','. Not together with snapshot."),
    "iterations": Flag(50, "The number of iterations to run."),
    "sigint_effect": Flag("stop", "Action on SIGINT: snapshot, stop or none."),
    "sighup_effect": Flag("snapshot", "Action on SIGHUP: snapshot, stop or none."),
}


def caffe_command(help_text: str) -> Command:
    """Return the command line of an action of ``caffe``; all of them accept all flags, as in Caffe."""
    return Command("", help_text, FLAGS)


def stages(text: str) -> list[str]:
    """Return the stages of the flag ``stage``."""
    return [stage for stage in text.split(",") if stage]


def gpu_numbers(text: str) -> list[int]:
    """Return the GPUs of the flag ``gpu``.

    Raises:
        UsageError: If it is neither "all" nor a list of numbers.
    """
    if text == "all":
        return list(range(torch.cuda.device_count()))
    try:
        return [int(part) for part in text.split(",") if part]
    except ValueError:
        raise UsageError(f"illegal value '{text}' specified for flag 'gpu'; use numbers, or all") from None


def choose_device(text: str) -> torch.device:
    """Return the device of the flag ``gpu``, and log it.

    Raises:
        UsageError: If there is no such GPU, or several are requested.
    """
    numbers = gpu_numbers(text)
    if not numbers and text != "all":
        glog.info("caffe.cpp:197", "Use CPU.")
        return torch.device("cpu")
    if len(numbers) > 1:
        raise UsageError(
            f"multi-GPU execution is not available: found {len(numbers)} GPUs, expected 1; pass one, or use "
            "torchrun with fer-lmdb train"
        )
    if not numbers or numbers[0] >= torch.cuda.device_count() or numbers[0] < 0:
        raise UsageError(f"no GPU {text}: found {torch.cuda.device_count()} CUDA devices; remove -gpu to use the CPU")
    glog.info("caffe.cpp:266", f"Use GPU with device ID {numbers[0]}")
    glog.info("caffe.cpp:270", f"GPU device name: {torch.cuda.get_device_name(numbers[0])}")
    return torch.device("cuda", numbers[0])
