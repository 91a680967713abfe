"""``caffe train``: train or finetune a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from prototxt_like import glog
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter
from prototxt_like.solver.parameter import load_parameter
from prototxt_like.solver.snapshot import check_snapshot_folder
from prototxt_like.solver.training_loop import TrainingLoop
from prototxt_like.tools.caffe_flags import caffe_command, choose_device, stages
from prototxt_like.tools.flags import UsageError
from prototxt_like.tools.signal_actions import SignalActions

COMMAND = caffe_command("Train or finetune a model.")


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/caffe.cpp, train
    """
    flags, _ = COMMAND.parse(arguments)
    if not flags["solver"]:
        raise UsageError("need a solver definition to train; pass -solver FILE")
    if flags["snapshot"] and flags["weights"]:
        raise UsageError("give a snapshot to resume training or weights to finetune but not both")
    parameter = load_parameter(str(flags["solver"]))
    _apply_flags(parameter, flags)
    device = choose_device(_gpu(parameter, str(flags["gpu"])))
    if parameter.snapshot:
        check_snapshot_folder(parameter)
    with SignalActions(str(flags["sigint_effect"]), str(flags["sighup_effect"])) as signals:
        glog.info("solver.cpp:45", f"Initializing solver from parameters: \n{parameter}".rstrip())
        loop = TrainingLoop(
            parameter, Path(str(flags["solver"])).parent, device=device, requested_action=signals.next_action
        )
        if flags["snapshot"]:
            glog.info("caffe.cpp:235", f"Resuming from {flags['snapshot']}")
            loop.restore(str(flags["snapshot"]))
        glog.info("caffe.cpp:239", "Starting Optimization")
        loop.solve()
    glog.info("caffe.cpp:250", "Optimization Done.")
    return 0


def _apply_flags(parameter: SolverParameter, flags: dict[str, Any]) -> None:
    parameter.train_state.level = flags["level"]
    parameter.train_state.stage.extend(stages(flags["stage"]))
    if flags["snapshot"] or flags["weights"]:
        parameter.ClearField("weights")
    if flags["weights"]:
        parameter.weights.append(flags["weights"])


def _gpu(parameter: SolverParameter, flag: str) -> str:
    """Return the flag ``gpu``, or the device of the solver."""
    wants_gpu = parameter.HasField("solver_mode") and parameter.solver_mode == SolverParameter.GPU
    if flag or not wants_gpu:
        return flag
    if not torch.cuda.is_available():
        glog.warning("caffe.cpp:182", "solver_mode is GPU, but no CUDA device was found; the CPU is used")
        return ""
    return str(parameter.device_id)
