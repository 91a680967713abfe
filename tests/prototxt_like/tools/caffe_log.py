"""Reader of Caffe's logs: the patterns of tools/extra/parse_log.py and the timestamps of extract_seconds.py."""

from __future__ import annotations

import re
from datetime import datetime

ITERATION = re.compile(r"Iteration (\d+)")
TRAIN_OUTPUT = re.compile(r"Train net output #(\d+): (\S+) = ([\.\deE+-]+)")
TEST_OUTPUT = re.compile(r"Test net output #(\d+): (\S+) = ([\.\deE+-]+)")
LEARNING_RATE = re.compile(r"lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)")
PREFIX = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [\w.]+:\d+\] ")

Row = dict[str, float]


def timestamp(line: str) -> datetime:
    """Read the time as extract_seconds.py does, by position and not by pattern."""
    words = line.strip().split()
    month, day = int(words[0][1:3]), int(words[0][3:])
    clock, _, microsecond = words[1].rpartition(".")
    hour, minute, second = (int(part) for part in clock.split(":"))
    return datetime(2024, month, day, hour, minute, second, int(microsecond))


def parse(log: str) -> tuple[dict[int, Row], dict[int, Row]]:
    """Return the outputs of the train and test net by iteration, with the learning rate as "lr"."""
    assert any("Solving" in line for line in log.splitlines())
    train: dict[int, Row] = {}
    test: dict[int, Row] = {}
    iteration = -1
    for line in log.splitlines():
        assert PREFIX.match(line), line
        timestamp(line)
        if found := ITERATION.search(line):
            iteration = int(found[1])
        if iteration == -1:
            continue
        for pattern, rows in ((TRAIN_OUTPUT, train), (TEST_OUTPUT, test)):
            if found := pattern.search(line):
                rows.setdefault(iteration, {})[found[2]] = float(found[3])
        if found := LEARNING_RATE.search(line):
            train.setdefault(iteration, {})["lr"] = float(found[1])
    return train, test
