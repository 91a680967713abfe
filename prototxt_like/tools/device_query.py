"""``caffe device_query``: show diagnostic information of GPUs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from prototxt_like import glog
from prototxt_like.tools.caffe_flags import caffe_command, gpu_numbers
from prototxt_like.tools.flags import UsageError

COMMAND = caffe_command("Show GPU diagnostic information.")


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/caffe.cpp, device_query
    """
    flags, _ = COMMAND.parse(arguments)
    glog.info("caffe.cpp:138", f"Querying GPUs {flags['gpu']}")
    for number in gpu_numbers(str(flags["gpu"])):
        if not 0 <= number < torch.cuda.device_count():
            raise UsageError(f"no GPU {number}: found {torch.cuda.device_count()} CUDA devices")
        properties = torch.cuda.get_device_properties(number)
        lines = {
            "Device id": number,
            "Major revision number": properties.major,
            "Minor revision number": properties.minor,
            "Name": properties.name,
            "Total global memory": properties.total_memory,
            "Number of multiprocessors": properties.multi_processor_count,
        }
        for title, value in lines.items():
            glog.info("common.cpp:139", f"{title + ':':<31}{value}")
    return 0
