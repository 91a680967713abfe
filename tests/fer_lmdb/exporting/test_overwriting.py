from __future__ import annotations

import pytest

from fer_lmdb.errors import OutputError
from fer_lmdb.exporting.export import export


def test_model_is_not_exported_onto_itself(trained, tmp_path):
    export(trained.run.path, tmp_path / "m.safetensors")
    before = (tmp_path / "m.safetensors").read_bytes()
    with pytest.raises(OutputError, match="would overwrite an input file"):
        export(tmp_path / "m.safetensors", tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == before
