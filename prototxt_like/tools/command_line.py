"""Entry point of Caffe's command line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from prototxt_like import glog
from prototxt_like.errors import PrototxtLikeError
from prototxt_like.suggest import did_you_mean
from prototxt_like.tools.flags import UsageError

#: Module of each program in prototxt_like.tools, and its description.
PROGRAMS = {
    "train": ("caffe_train", "train or finetune a model"),
    "test": ("caffe_test", "score a model"),
    "time": ("caffe_time", "benchmark model execution time"),
    "device_query": ("device_query", "show GPU diagnostic information"),
    "upgrade_net_proto_text": ("upgrade_net_proto", "write an old net prototxt in the current format"),
    "upgrade_net_proto_binary": ("upgrade_net_proto_binary", "write an old caffemodel in the current format"),
    "upgrade_solver_proto_text": ("upgrade_solver_proto", "write an old solver prototxt in the current format"),
    "compute_image_mean": ("compute_image_mean", "compute the mean image of a database"),
    "convert_imageset": ("convert_imageset", "convert a list of images to a database"),
    "extract_features": ("extract_features", "write blobs of a trained net to databases"),
    "draw_net": ("draw_net_file", "draw a net as SVG or with Graphviz"),
    "run": ("run_script", "run a Python script that imports caffe"),
}


def main(arguments: Sequence[str]) -> int:
    """Run a program.

    Args:
        arguments: Name of the program and its arguments; a leading "caffe" is skipped.

    Returns:
        Exit code: 0, 1 after an error, 2 if the arguments are invalid, 130 after an interrupt.
    """
    words = list(arguments)[1:] if list(arguments[:1]) == ["caffe"] else list(arguments)
    if not words or words[0] in ("-h", "-help", "--help"):
        sys.stdout.write(_usage())
        return 0 if words else 2
    try:
        return _run(words[0], words[1:])
    except UsageError as error:
        glog.fatal("caffe.cpp:443", f"{error}; see python -m prototxt_like {words[0]} --help")
        return 2
    except PrototxtLikeError as error:
        glog.fatal("caffe.cpp:443", str(error))
        return 1
    except OSError as error:
        glog.fatal("caffe.cpp:443", f"{error.filename or words[0]}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(name: str, arguments: list[str]) -> int:
    if name not in PROGRAMS:
        hint = did_you_mean(name, PROGRAMS) or f"; known are {', '.join(PROGRAMS)}"
        raise UsageError(f"Unknown action: {name}{hint}")
    module = importlib.import_module(f"prototxt_like.tools.{PROGRAMS[name][0]}")
    if any(argument in ("-help", "--help", "-h") for argument in arguments[:1]):
        sys.stdout.write(module.COMMAND.format_help(name) + "\n")
        return 0
    code: int = module.main(arguments)
    return code


def _usage() -> str:
    width = max(map(len, PROGRAMS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in PROGRAMS.items()]
    head = "command line brew\nusage: python -m prototxt_like <command> <args>\n\ncommands:\n"
    return head + "\n".join(lines) + "\n"
