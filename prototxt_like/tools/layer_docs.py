"""The catalogue of layer types as Markdown, from the registry.

``python -m prototxt_like.tools.layer_docs docs/prototxt.md`` writes it.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from prototxt_like.layers import Layer, get_layer_class, layer_types
from prototxt_like.net.inputs import INPUT_TYPES
from prototxt_like.schema import caffe_schema_pb2

_INTRODUCTION = """\
# Layer types

Written by `python -m prototxt_like.tools.layer_docs docs/prototxt.md`; do not edit by hand.

A type computes what Caffe 1.0 computes, forward and backward, in float32 within rounding; where it does less or
something else, its restrictions say so. What holds for all of them:

- Bottoms and tops are counted and their shapes inferred as Caffe does; a parameter that cannot be followed is a
  `NetError`, a shape that does not fit a `ShapeMismatch`, in one line that names the layer.
- The batch axis may change from call to call, and height and width too where the layer allows it.
- Under bfloat16 autocast the convolutions and products run in bfloat16; softmax, losses, normalisations and running
  statistics stay in float32. `channels_last`, `torch.compile` and `torch.export` work, but for the types that say not.
- A label or index outside its range is an error on the processor; on an accelerator and in a compiled graph it is
  not looked for, because that would stop the pipeline.
- A phase is where a layer starts: TRAIN is `training = True`.
- Fields under "Fields" that are set to their default change nothing; a field marked *extension* is unknown to Caffe.

## Inputs

{inputs} describe a source or an input. A net takes their tops from the caller: `net(data=..., label=...)`.
Their shapes come from the net where it tells them, else from `input_shapes`.
"""
_TYPES = {
    FieldDescriptor.CPPTYPE_INT32: "integer",
    FieldDescriptor.CPPTYPE_INT64: "integer",
    FieldDescriptor.CPPTYPE_UINT32: "integer from 0",
    FieldDescriptor.CPPTYPE_UINT64: "integer from 0",
    FieldDescriptor.CPPTYPE_FLOAT: "number",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_STRING: "text",
}
_FIRST_EXTENSION = 10000


def markdown() -> str:
    """The whole page."""
    inputs = ", ".join(f"`{name}`" for name in sorted(INPUT_TYPES))
    classes = [get_layer_class(name) for name in layer_types()]
    parts = [_INTRODUCTION.format(inputs=inputs), "## Types\n", _table(classes), *map(_section, classes)]
    return "\n".join(parts)


def _table(classes: list[type[Layer]]) -> str:
    rows = ["| type | what | bottoms | tops | from |", "|---|---|---|---|---|"]
    for cls in classes:
        link = f"[{cls.type_name}](#{cls.type_name.lower()})"
        summary = _paragraphs(cls)[0].replace("|", "\\|")
        bottoms, tops = _counts(cls.min_bottoms, cls.max_bottoms), _counts(cls.min_tops, cls.max_tops)
        rows.append(f"| {link} | {summary} | {bottoms} | {tops} | {cls.origin.split(';')[0]} |")
    return "\n".join(rows) + "\n"


def _section(cls: type[Layer]) -> str:
    parts = [f"## {cls.type_name}\n", *(f"{paragraph}\n" for paragraph in _paragraphs(cls))]
    if cls.origin != "Caffe 1.0":
        parts.append(f"From: {cls.origin}.\n")
    if cls.restrictions:
        parts.append("Restrictions:\n")
        parts.append("\n".join(f"- {line}" for line in cls.restrictions) + "\n")
    for field in filter(None, (cls.parameter_field, *cls.more_fields)):
        parts.append(_fields(field))
    return "\n".join(parts)


def _paragraphs(cls: type[Layer]) -> list[str]:
    """The docstring's paragraphs, one line each, code in Markdown's quotes, without its source."""
    text = (inspect.getdoc(cls) or "").split("\nSource:")[0].replace("``", "`")
    return [re.sub(r"\s*\n\s*", " ", paragraph).strip() for paragraph in text.strip().split("\n\n")]


def _counts(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _fields(name: str) -> str:
    message: Any = caffe_schema_pb2.LayerParameter.DESCRIPTOR.fields_by_name[name].message_type
    rows = [f"Fields of `{name}`:\n", "| field | kind | default |", "|---|---|---|"]
    for field in message.fields:
        extension = " (*extension*)" if field.number >= _FIRST_EXTENSION else ""
        rows.append(f"| `{field.name}`{extension} | {_kind(field)} | {_default(field)} |")
    return "\n".join(rows) + "\n"


def _kind(field: Any) -> str:
    if field.enum_type is not None:
        kind = ", ".join(value.name for value in field.enum_type.values)
    elif field.message_type is not None:
        kind = field.message_type.name
    else:
        kind = _TYPES[field.cpp_type]
    return f"{kind}, repeated" if field.is_repeated else kind


def _default(field: Any) -> str:
    if field.is_repeated or field.message_type is not None or not field.has_default_value:
        return ""
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[field.default_value].name)
    if isinstance(field.default_value, bool):
        return "true" if field.default_value else "false"
    if isinstance(field.default_value, float):
        return f"{field.default_value:.7g}"
    return str(field.default_value) or '""'


if __name__ == "__main__":
    if len(sys.argv) == 2:
        Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
    else:
        sys.stdout.write(markdown())
