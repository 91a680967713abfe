from __future__ import annotations

import re
from pathlib import Path

import pytest

from prototxt_like.layers import get_layer_class, layer_types
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter
from prototxt_like.tools import layer_docs

FOLDER = Path(__file__).parents[1] / "layers"
DOCS = Path(__file__).parents[3] / "docs" / "prototxt.md"
#: Golden files that are not layers; the solver tests use them.
NOT_LAYERS = {"Solver", "lr_policies"}


def test_docs_are_current() -> None:
    assert DOCS.read_text(encoding="utf-8") == layer_docs.markdown(), "run make docs"


@pytest.mark.parametrize("name", layer_types())
def test_docs_describe_the_type(name: str) -> None:
    cls = get_layer_class(name)
    section = DOCS.read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert len(section.strip().split("\n")[0]) > 5
    assert all(line in section for line in cls.restrictions)
    if cls.parameter_field:
        message = LayerParameter.DESCRIPTOR.fields_by_name[cls.parameter_field].message_type
        assert all(f"`{field.name}`" in section for field in message.fields)


@pytest.mark.parametrize("name", layer_types())
def test_every_type_has_a_test_file(name: str) -> None:
    module = get_layer_class(name).__module__.rsplit(".", 1)[1]
    if name in ("HDF5Output", "Python"):  # not supported; tested in test_every_type.py
        return
    assert (FOLDER / f"test_{module}.py").is_file()


def test_every_golden_case_is_run(shared: Path) -> None:
    """A golden case is compared only if a test file has its type in LAYER."""
    covered = set()
    for path in FOLDER.glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        named = re.search(r'^LAYER = "(\w+)"', text, flags=re.MULTILINE)
        if named and "golden_case: Path" in text:
            covered.add(named[1])
    cases = {path.stem.split("__")[0] for path in (shared / "golden/caffe/layers").glob("*.npz")}
    assert cases - NOT_LAYERS == covered
