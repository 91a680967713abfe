"""``draw_net``: draw a net as SVG, or as another format with Graphviz."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from prototxt_like import glog
from prototxt_like.errors import FileError
from prototxt_like.io.file_bytes import write_bytes
from prototxt_like.io.files import read_net
from prototxt_like.net.filter import filter_net, make_net_state
from prototxt_like.schema.caffe_schema_pb2 import NetParameter
from prototxt_like.tools.draw_net import draw_net
from prototxt_like.tools.flags import Command, Flag, UsageError
from prototxt_like.tools.summary import LayerSummary

COMMAND = Command(
    "NET_PROTOTXT OUTPUT_FILE",
    "Draw a net. SVG and DOT are written directly, other formats by the program dot of Graphviz.",
    {
        "rankdir": Flag("LR", "Direction of a Graphviz drawing: LR, RL, TB or BT. SVG is always drawn downwards."),
        "phase": Flag("ALL", "Phase to draw: TRAIN, TEST or ALL."),
        "display_lrm": Flag(False, "Add the learning-rate multipliers to a Graphviz drawing."),
    },
    2,
    2,
)


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Raises:
        FileError: If the net cannot be read, or Graphviz is needed and not installed.
    Source: BVLC/caffe python/draw_net.py
    """
    flags, (model, output) = COMMAND.parse(arguments)
    phase, kind = str(flags["phase"]), Path(output).suffix.lstrip(".").lower()
    if phase not in ("TRAIN", "TEST", "ALL"):
        raise UsageError(f'unknown phase "{phase}"; use TRAIN, TEST or ALL')
    net = read_net(model)
    if phase != "ALL":
        net = filter_net(net, make_net_state(net, phase))
    if kind == "svg":
        content = draw_net(_rows(net)).encode()
    else:
        content = _to_dot(net, str(flags["rankdir"]), bool(flags["display_lrm"])).encode()
        content = content if kind in ("dot", "gv", "raw") else _render(content, kind, output)
    write_bytes(content, output)
    glog.info("draw_net.py:49", f"Drawing net to {output}")
    return 0


def _rows(net: NetParameter) -> list[LayerSummary]:
    """Return the layers without sizes, which a drawing of both phases does not have."""
    return [
        LayerSummary(layer.name, layer.type, tuple(layer.bottom), tuple(layer.top), (), 0, 0, 0, 0)
        for layer in net.layer
    ]


def _to_dot(net: NetParameter, rankdir: str, multipliers: bool) -> str:
    lines = [f"digraph {_quote(net.name or 'Net')} {{", f"rankdir={_quote(rankdir)};"]
    for index, layer in enumerate(net.layer):
        label = f"{layer.name}\\n({layer.type})"
        if multipliers and layer.param:
            label += "\\nlr mult: " + ", ".join(f"{spec.lr_mult:g}" for spec in layer.param)
        lines.append(f"layer{index} [shape=box, style=filled, fillcolor=lightblue, label={_quote(label)}];")
        lines += [f"{_quote(blob + '_blob')} -> layer{index};" for blob in layer.bottom]
        lines += [f"layer{index} -> {_quote(blob + '_blob')};" for blob in layer.top]
    blobs = dict.fromkeys(blob for layer in net.layer for blob in (*layer.bottom, *layer.top))
    lines += [f"{_quote(blob + '_blob')} [shape=octagon, label={_quote(blob)}];" for blob in blobs]
    return "\n".join([*lines, "}"]) + "\n"


def _quote(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _render(content: bytes, kind: str, output: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise FileError(f"{output}: {kind or 'this format'} needs Graphviz; install it, or write .svg or .dot")
    done = subprocess.run([program, f"-T{kind}"], input=content, capture_output=True, check=False)
    if done.returncode:
        raise FileError(f"{output}: Graphviz cannot write {kind!r}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
