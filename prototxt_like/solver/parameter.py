"""SolverParameter: reading and checking, as Caffe does at start."""

from __future__ import annotations

import os
from pathlib import Path

from prototxt_like.errors import SolverError
from prototxt_like.io.files import read_solver
from prototxt_like.io.upgrade import upgrade_solver
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter
from prototxt_like.solver.lr_policies import learning_rate


def load_parameter(solver: SolverParameter | str | os.PathLike[str]) -> SolverParameter:
    """Return a copy of the message, or read the file and complete its snapshot_prefix."""
    if not isinstance(solver, SolverParameter):
        return complete_snapshot_prefix(read_solver(solver), solver)
    parameter = SolverParameter()
    parameter.CopyFrom(solver)
    return upgrade_solver(parameter)


def complete_snapshot_prefix(parameter: SolverParameter, path: str | os.PathLike[str]) -> SolverParameter:
    """Name snapshots after the solver file if snapshot_prefix is missing or a folder.

    Source: BVLC/caffe src/caffe/util/upgrade_proto.cpp, UpgradeSnapshotPrefixProperty
    """
    if not parameter.snapshot_prefix:
        parameter.snapshot_prefix = str(Path(path).with_suffix(""))
    elif Path(parameter.snapshot_prefix).is_dir():
        parameter.snapshot_prefix = str(Path(parameter.snapshot_prefix) / Path(path).stem)
    return parameter


def check_solver(parameter: SolverParameter) -> None:
    """Check a solver by the rules that Caffe applies at start.

    Raises:
        SolverError: If a field is missing, out of range or contradicts another.
    """
    for name in ("iter_size", "average_loss"):
        if getattr(parameter, name) < 1:
            raise SolverError(f"invalid {name}: found {getattr(parameter, name)}, expected 1 or more")
    if not parameter.HasField("base_lr"):
        raise SolverError("the solver has no base_lr; set one, e.g. 0.01")
    if parameter.test_iter and parameter.test_interval < 1:
        raise SolverError("the solver has test_iter but no test_interval; set the number of iterations between tests")
    if parameter.type in ("AdaGrad", "RMSProp") and parameter.momentum:
        raise SolverError(f"{parameter.type} does not support momentum: found {parameter.momentum:g}; remove it")
    if parameter.decoupled_weight_decay and parameter.type not in ("Adam", "AdamW"):
        raise SolverError(f'decoupled_weight_decay requires type "Adam", found "{parameter.type}"; remove it')
    learning_rate(parameter, 0)
