"""Train and test nets of a solver, with their states and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prototxt_like import glog
from prototxt_like.errors import SolverError
from prototxt_like.io.files import read_net
from prototxt_like.schema.caffe_schema_pb2 import NetParameter, NetState, SolverParameter
from prototxt_like.sources.files import find_file

_TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


@dataclass(frozen=True)
class NetSource:
    """Net of a solver, before it is built.

    Args:
        message: NetParameter, not filtered.
        level: Level for include and exclude rules.
        stages: Stages for include and exclude rules, without those of the net.
        folder: Folder of its prototxt; None if the solver contains the net.
        origin: Field and file for messages.
    """

    message: NetParameter
    level: int
    stages: tuple[str, ...]
    folder: Path | None
    origin: str


def find_train_net(solver: SolverParameter, folder: Path | None) -> NetSource:
    """Return the net to train.

    Args:
        solver: SolverParameter.
        folder: Folder of the solver file, where nets are searched that are not in the working directory.

    Raises:
        SolverError: If the solver names no net, or several.
        FileError: If the net cannot be read.
    Source: BVLC/caffe src/caffe/solver.cpp, Solver::InitTrainNet
    """
    given = [name for name in _TRAIN_FIELDS if solver.HasField(name)]
    if len(given) != 1:
        raise SolverError(
            f"the solver has {' and '.join(given) or 'no net'}; set exactly one of {', '.join(_TRAIN_FIELDS)}"
        )
    name = given[0]
    if name.endswith("_param"):
        glog.info("solver.cpp:97", f"Creating training net specified in {name}.")
        return _source(getattr(solver, name), solver.train_state, folder, name)
    glog.info("solver.cpp:102", f"Creating training net from {name} file: {getattr(solver, name)}")
    return _read(getattr(solver, name), solver.train_state, folder, f"{name} file")


def find_test_nets(solver: SolverParameter, folder: Path | None) -> list[NetSource]:
    """Return the nets to test, one per ``test_iter``. Args and Raises are those of ``find_train_net``.

    Source: BVLC/caffe src/caffe/solver.cpp, Solver::InitTestNets
    """
    own = len(solver.test_net_param) + len(solver.test_net)
    is_generic = solver.HasField("net") or solver.HasField("net_param")
    count = len(solver.test_iter)
    if count < own or (count > own and not is_generic):
        raise SolverError(f"test_iter must be set once per test net: found {count}, expected {own}")
    if solver.test_state and len(solver.test_state) != count:
        raise SolverError(f"test_state must be set once per test net: found {len(solver.test_state)}, expected {count}")
    states = list(solver.test_state) or [NetState()] * count
    sources = [_source(net, state, folder, "test_net_param") for net, state in zip(solver.test_net_param, states)]  # noqa: B905
    sources += [
        _read(name, state, folder, "test_net file")
        for name, state in zip(solver.test_net, states[len(sources) :])  # noqa: B905
    ]
    for state in states[len(sources) :]:
        if solver.HasField("net"):
            sources.append(_read(solver.net, state, folder, "net file"))
        else:
            sources.append(_source(solver.net_param, state, folder, "net_param"))
    return sources


def _read(name: str, state: NetState, folder: Path | None, field: str) -> NetSource:
    path = find_file(name, folder, f"{field} of the solver")
    return _source(read_net(path), state, Path(path).parent, f"{field}: {name}")


def _source(message: NetParameter, state: NetState, folder: Path | None, origin: str) -> NetSource:
    level = state.level if state.HasField("level") else message.state.level
    return NetSource(message, level, tuple(state.stage), folder, origin)
