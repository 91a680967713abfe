"""``upgrade_solver_proto_text``: write an old solver prototxt in the current format."""

from __future__ import annotations

from collections.abc import Sequence

from prototxt_like import glog
from prototxt_like.io.files import read_solver, write_text
from prototxt_like.tools.flags import Command

COMMAND = Command("SOLVER_IN SOLVER_OUT", "Upgrade a solver prototxt of any age to the current format.", {}, 2, 2)


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/upgrade_solver_proto_text.cpp
    """
    _, (source, target) = COMMAND.parse(arguments)
    write_text(read_solver(source), target)
    glog.info("upgrade_solver_proto_text.cpp:49", f"Wrote upgraded SolverParameter text proto to {target}")
    return 0
