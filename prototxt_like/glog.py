"""Log lines with the prefix of glog, which Caffe's log parsers expect."""

from __future__ import annotations

import os
import sys
import threading
from datetime import datetime

_LEVELS = {"I": 0, "W": 1, "E": 2, "F": 3}


def info(place: str, message: str) -> None:
    """Log a message of level INFO.

    Args:
        place: Source file and line of Caffe that logs this message, e.g. "solver.cpp:239". Parsers may rely on it.
        message: Text; each of its lines gets a prefix.
    """
    _log("I", place, message)


def warning(place: str, message: str) -> None:
    """Log a message of level WARNING. Args are those of ``info``."""
    _log("W", place, message)


def error(place: str, message: str) -> None:
    """Log a message of level ERROR. Args are those of ``info``."""
    _log("E", place, message)


def fatal(place: str, message: str) -> None:
    """Log a message of level FATAL. Unlike in Caffe, the program continues. Args are those of ``info``."""
    _log("F", place, message)


def number(value: float) -> str:
    """Format a number as a C++ stream does: 6 significant digits."""
    return f"{value:.6g}"


def _log(level: str, place: str, message: str) -> None:
    if _LEVELS[level] < _minimum():
        return
    prefix = f"{level}{datetime.now():%m%d %H:%M:%S.%f} {threading.get_native_id():5} {place}] "
    lines = message.split("\n")
    sys.stderr.write("".join(f"{prefix}{line}\n" for line in lines))
    sys.stderr.flush()


def _minimum() -> int:
    """Return the least level that is logged: the environment variable of glog, or INFO."""
    text = os.environ.get("GLOG_minloglevel", "")  # noqa: SIM112 - its name in glog
    return int(text) if text.isdigit() else 0
