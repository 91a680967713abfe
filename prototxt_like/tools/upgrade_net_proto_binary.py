"""``upgrade_net_proto_binary``: write an old caffemodel in the current format."""

from __future__ import annotations

from collections.abc import Sequence

from prototxt_like import glog
from prototxt_like.io.files import read_net, write_binary
from prototxt_like.tools.flags import Command

COMMAND = Command("NET_IN NET_OUT", "Upgrade a caffemodel of any age to the current format.", {}, 2, 2)


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/upgrade_net_proto_binary.cpp
    """
    _, (source, target) = COMMAND.parse(arguments)
    write_binary(read_net(source), target)
    glog.info("upgrade_net_proto_binary.cpp:46", f"Wrote upgraded NetParameter binary proto to {target}")
    return 0
