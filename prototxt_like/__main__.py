"""Caffe's command line: ``python -m prototxt_like train -solver solver.prototxt``."""

from __future__ import annotations

import sys

from prototxt_like.tools.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
