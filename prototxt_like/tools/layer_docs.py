"""Documentation of the layer types in Markdown, generated from the registry."""

from __future__ import annotations

import inspect
import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from prototxt_like.layers import Layer, get_layer_class, layer_types
from prototxt_like.net.inputs import INPUT_TYPES
from prototxt_like.schema import caffe_schema_pb2

_INTRODUCTION = """\
# Layer types

Generated from the registry of `prototxt_like` by `make docs`; do not edit.

Layers compute the same values and gradients as Caffe 1.0 or the fork they come from, in float32 up to rounding.
Deviations are listed as restrictions. In-place layers and layers that share memory follow Caffe as well; see
[Differences from Caffe](caffe.md#differences-from-caffe). For all layers:

- Numbers of bottoms and tops are checked and shapes are inferred as in Caffe. An unsupported parameter raises a
  `NetError`, a wrong shape a `ShapeMismatch`, with one line that contains the layer.
- The batch size may change between calls, and so may height and width if the layer supports it.
- Under bfloat16 autocast, convolutions and matrix products run in bfloat16. Softmax, losses, normalization and running
  statistics use float32. `channels_last`, `torch.compile` and `torch.export` are supported unless stated otherwise.
- A label or index out of range raises an error on the CPU. It is not checked on other devices and in compiled graphs,
  because the check would force a synchronization.
- The phase sets the initial mode: TRAIN means `training = True`.
- The tables list fields with their defaults. Fields marked *extension* are not part of Caffe,
  those marked *fork* are of forks.

## Inputs

{inputs} describe a data source or an input. The caller passes their tops to the net: `net(data=..., label=...)`.
Shapes that the net does not define are set with `input_shapes`.
"""
_TYPES = {
    FieldDescriptor.CPPTYPE_INT32: "integer",
    FieldDescriptor.CPPTYPE_INT64: "integer",
    FieldDescriptor.CPPTYPE_UINT32: "unsigned integer",
    FieldDescriptor.CPPTYPE_UINT64: "unsigned integer",
    FieldDescriptor.CPPTYPE_FLOAT: "number",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_STRING: "string",
}
_FIRST_FORK_FIELD, _FIRST_EXTENSION = 8000, 10000


def markdown() -> str:
    """Return the page as Markdown."""
    inputs = ", ".join(f"`{name}`" for name in sorted(INPUT_TYPES))
    classes = [get_layer_class(name) for name in layer_types()]
    parts = [_INTRODUCTION.format(inputs=inputs), "## Types\n", _table(classes), *map(_section, classes)]
    return "\n".join(parts)


def _table(classes: list[type[Layer]]) -> str:
    rows = ["| type | description | bottoms | tops | origin |", "|---|---|---|---|---|"]
    for cls in classes:
        link = f"[{cls.type_name}](#{cls.type_name.lower()})"
        summary = _paragraphs(cls)[0].replace("|", "\\|")
        bottoms, tops = _counts(cls.min_bottoms, cls.max_bottoms), _counts(cls.min_tops, cls.max_tops)
        rows.append(f"| {link} | {summary} | {bottoms} | {tops} | {cls.origin.split(';')[0]} |")
    return "\n".join(rows) + "\n"


def _section(cls: type[Layer]) -> str:
    parts = [f"## {cls.type_name}\n", *(f"{paragraph}\n" for paragraph in _paragraphs(cls))]
    if cls.origin != "Caffe 1.0":
        parts.append(f"Origin: {cls.origin}.\n")
    if cls.restrictions:
        parts.append("Restrictions:\n")
        parts.append("\n".join(f"- {line}" for line in cls.restrictions) + "\n")
    for field in filter(None, (cls.parameter_field, *cls.more_fields)):
        parts.append(_fields(field))
    return "\n".join(parts)


def _paragraphs(cls: type[Layer]) -> list[str]:
    """Return the docstring's paragraphs as one line each, in Markdown and without the source reference."""
    text = (inspect.getdoc(cls) or "").split("\nSource:")[0].replace("``", "`")
    return [re.sub(r"\s*\n\s*", " ", paragraph).strip() for paragraph in text.strip().split("\n\n")]


def _counts(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _fields(name: str) -> str:
    message: Any = caffe_schema_pb2.LayerParameter.DESCRIPTOR.fields_by_name[name].message_type
    rows = [f"Fields of `{name}`:\n", "| field | type | default |", "|---|---|---|"]
    for field in message.fields:
        extension = " (*extension*)" if field.number >= _FIRST_EXTENSION else ""
        if _FIRST_FORK_FIELD <= field.number < _FIRST_EXTENSION:
            extension = " (*fork*)"
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
