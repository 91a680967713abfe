"""No byte of a user changes, whatever output is named; hypothesis minimizes what it finds."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))
from fer_lmdb.errors import OutputError
from tests.fuzz.outputs import try_outputs


@given(data=st.binary(min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_foreign_files_survive_any_output(data: bytes, tmp_path_factory) -> None:
    with suppress(OutputError):
        try_outputs(data, tmp_path_factory.getbasetemp())
