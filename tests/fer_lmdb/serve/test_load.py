"""Load test of a few seconds; benchmarks/service_load.py runs for a minute."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "service_load.py"


def test_valid_and_malicious_clients_get_correct_responses(web_extra) -> None:
    command = [sys.executable, str(SCRIPT), "--clients", "60", "--seconds", "5", "--no-slow"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    figures = json.loads(done.stdout)
    seen = figures["seen"]
    assert figures["wrong"] == {}
    assert figures["exit_code"] == 0
    assert figures["files_left"] == []
    assert figures["recovered_after_s"] < 30
    assert seen["good: 200"] > 0
    assert seen["good: 503"] > 0, "sixty clients did not fill a queue of sixteen"
    assert figures["memory_mb"]["last quarter"] < figures["memory_mb"]["before"] + 500
    assert done.stderr == ""
    assert done.returncode == 0
