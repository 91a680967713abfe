"""Description of this machine: hardware, software, and the defaults that follow from them."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from fer_lmdb._version import __version__
from fer_lmdb.runtime.device import resolve_device, resolve_dtype

INSTRUCTION_SETS = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "neon", "sve")
VARIABLES = ("CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "TORCH_HOME")
_DISTRIBUTION = "fer-lmdb"


def describe_machine(device: str = "auto") -> dict[str, Any]:
    """Describe the machine, as a bug report needs it.

    Args:
        device: Device to describe the defaults of.

    Returns:
        system, processor {name, cores, usable_cores, memory_gib, instruction_sets}, gpus, packages {name: version or
        None}, extras {name: missing packages}, environment (set variables) and defaults {device, train_precision,
        predict_precision, threads}.

    Raises:
        DeviceError: If the device is not available.
    """
    return {
        "fer_lmdb": __version__,
        "system": f"{platform.platform()}, Python {platform.python_version()}",
        "processor": _processor(),
        "gpus": _gpus(),
        "packages": {name: _version(name) for name in sorted(_requirements("")) if _applies(name)},
        "extras": {name: _missing(name) for name in _extras()},
        "environment": _environment(),
        "defaults": _defaults(device),
    }


def _processor() -> dict[str, Any]:
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return {
        "name": _processor_name(),
        "cores": cores,
        "usable_cores": usable,
        "memory_gib": _memory_gib(),
        "instruction_sets": [name for name in INSTRUCTION_SETS if capabilities.get(name)],
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _gpus() -> list[dict[str, Any]]:
    if not torch.cuda.is_available():
        return []
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        capability = f"{properties.major}.{properties.minor}"
        memory = round(properties.total_memory / 2**30, 1)
        found.append({"name": properties.name, "memory_gib": memory, "compute_capability": capability})
    versions = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return [gpu | versions for gpu in found]


def _requirements(extra: str) -> list[str]:
    """Return the names of the packages that fer-lmdb (extra "") or one of its extras requires."""
    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return []
    parsed = [(re.match(r"[\w.-]+", line), re.search(r"extra == .([\w-]+)", line)) for line in lines]
    return [name[0] for name, marker in parsed if name and (marker[1] if marker else "") == extra]


def _extras() -> list[str]:
    try:
        return metadata.metadata(_DISTRIBUTION).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def _missing(extra: str) -> list[str]:
    return [name for name in _requirements(extra) if _version(name) is None]


def _applies(name: str) -> bool:
    """Leave out opencv-python if its variant without a display replaces it."""
    return name != "opencv-python" or _version(name) is not None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _environment() -> dict[str, str]:
    return {name: value for name, value in sorted(os.environ.items()) if name in VARIABLES or _is_own(name)}


def _is_own(name: str) -> bool:
    return name.startswith("FER_LMDB_") and "TOKEN" not in name


def _defaults(device: str) -> dict[str, Any]:
    resolved = resolve_device(device)
    return {
        "device": str(resolved),
        "train_precision": str(resolve_dtype("auto", resolved)).removeprefix("torch."),
        "predict_precision": "float32",
        "threads": torch.get_num_threads(),
    }
