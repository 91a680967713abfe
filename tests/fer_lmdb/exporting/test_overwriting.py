from __future__ import annotations

import pytest

from fer_lmdb.errors import ModelError
from fer_lmdb.exporting import export


def test_a_model_is_not_exported_onto_itself(trained, tmp_path):
    export(trained.run.path, "safetensors", tmp_path / "m.safetensors")
    before = (tmp_path / "m.safetensors").read_bytes()
    with pytest.raises(ModelError, match="this would overwrite the model itself; give --out another name"):
        export(tmp_path / "m.safetensors", "safetensors", tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == before
