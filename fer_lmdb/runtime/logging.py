"""Suppress log records and warnings of libraries."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced(*loggers: str, modules: str = "") -> Iterator[None]:
    """Suppress Python warnings, and log records below ERROR.

    Args:
        loggers: Names of the loggers; "" is the root logger.
        modules: Regular expression that matches the start of the names of the modules whose warnings are suppressed;
            by default all modules.
    """
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in loggers}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=modules)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
