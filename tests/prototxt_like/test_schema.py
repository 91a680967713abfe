"""Tests for extension numbers in the schema and warnings of the generated module."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import prototxt_like as pl
from prototxt_like.schema import caffe_schema_pb2 as schema

# All extension fields, and fields of the SSD fork whose numbers clash with Caffe 1.0.
EXTENSIONS = {
    "SolverParameter": {
        "eval_type", "ap_version", "label_smoothing", "mixup", "cutmix", "ema_decay", "warmup_iter", "min_lr",
        "plateau_patience", "plateau_factor", "early_stop_patience", "monitor", "min_delta", "mix_probability",
        "decoupled_weight_decay", "mix_until", "soft_labels", "class_weighting", "class_weight", "cosine_cycles",
        "keep_every", "teacher", "teacher_weight", "temperature", "teacher_sees", "teacher_data",
    },
    "LayerParameter": {"gaussian_noise_param"},
    "TransformationParameter": {
        "rotation", "zoom", "shift", "brightness", "contrast", "erasing", "per_picture_normalization", "shear",
    },
    "LossParameter": {"soft_label"},
}  # fmt: skip


def test_extensions_are_numbered_from_10000() -> None:
    found = {
        name: {field.name for field in message.fields if field.number >= 10000}
        for name, message in schema.DESCRIPTOR.message_types_by_name.items()
    }
    assert {name: fields for name, fields in found.items() if fields} == EXTENSIONS


def test_the_proto_package_differs_from_caffes() -> None:
    """Caffe registers its messages in the same descriptor pool."""
    assert schema.DESCRIPTOR.package == "prototxt_like"
    assert schema.DESCRIPTOR.name == "prototxt_like/schema/caffe_schema.proto"


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_both_protobuf_runtimes_without_a_warning(implementation: str) -> None:
    code = (
        "import prototxt_like as pl; "
        "data = pl.BlobProto(data=[1, 2, 3]).SerializeToString(); "
        "assert len(data) == 14, data; "
        "assert pl.parse_net('layer { convolution_param { num_output: 3 } }').layer[0].convolution_param.bias_term"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_reading_a_file_does_not_import_torch() -> None:
    code = "import sys, prototxt_like as pl; pl.parse_net('name: \"a\"'); sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode
        == 0
    )


def test_every_public_name_exists() -> None:
    for name in dir(pl):
        assert getattr(pl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nett'"):
        _ = pl.Nett


def test_type_checkers_see_every_public_name() -> None:
    source = Path(pl.__file__).read_text(encoding="utf-8")
    block = source.partition("if TYPE_CHECKING:\n")[2].partition("\n\n")[0]
    imported = re.findall(r"from (\S+) import (\w+) as (\w+)$", block, re.M)
    assert all(name == alias for _, name, alias in imported)
    assert {name: module for module, name, _ in imported} == {
        "zoo": "prototxt_like",
        **{name: f"prototxt_like.{module}" for module, names in pl._HOMES.items() for name in names},
    }
    assert dir(pl) == sorted(name for _, name, _ in imported)
