"""Prototxt parser and writer, with error positions and suggestions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf import text_format

from prototxt_like.errors import ParseError
from prototxt_like.forks import explain_fork_field
from prototxt_like.suggest import closest_match, did_you_mean

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor
    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")

_UNKNOWN_FIELD = re.compile(r'Message type "(?P<message>[\w.]+)" has no field named "(?P<name>[^"]*)"')
_UNKNOWN_ENUM = re.compile(r'Enum type "(?P<enum>[\w.]+)" has no value (?:named|with number) "?(?P<name>[\w-]+)"?')
_REPEATED = re.compile(r'Message type "(?P<message>[\w.]+)" should not have multiple "(?P<name>\w+)" fields')


def parse(text: str, message: M, name: str = "<text>") -> M:
    """Parse text into a message.

    Args:
        text: Text in protobuf's text format.
        message: Empty message of the expected type; filled in place.
        name: File name for error messages.

    Returns:
        The same message.

    Raises:
        ParseError: If the text is invalid. The message is ``name:line:column: problem``, with "did you mean" for
            fields and enum values.
    """
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ParseError(_explain(error, message, name)) from None
    except (RecursionError, ValueError) as error:
        raise ParseError(f"{name}: not a readable {message.DESCRIPTOR.name}: {error}") from None
    return message


def write(message: Message) -> str:
    """Format a message in the style of Caffe's own files."""
    return text_format.MessageToString(message, as_utf8=True, use_short_repeated_primitives=False)


def _explain(error: text_format.ParseError, message: Message, name: str) -> str:
    what = re.sub(r"^\d+:\d+\s*:\s*", "", str(error))
    file: Any = message.DESCRIPTOR.file
    if found := _UNKNOWN_FIELD.search(what):
        what = _unknown_field(found, file)
    elif found := _UNKNOWN_ENUM.search(what):
        what = _unknown_enum_value(found, file)
    elif found := _REPEATED.search(what):
        what = f'field "{found["name"]}" is set twice in one {_last(found["message"])}; remove one of them'
    else:
        what = _plain(what)
    line = error.GetLine()
    return f"{name}: {what}" if line is None else f"{name}:{line}:{error.GetColumn()}: {what}"


def _unknown_field(found: re.Match[str], file: Any) -> str:
    message, name = _message(file, found["message"]), found["name"]
    what = f'unknown field "{name}" in {_last(found["message"])}'
    known = [field.name for field in message.fields] if message else []
    if _last(found["message"]) not in ("LayerParameter", "V1LayerParameter"):
        return what + did_you_mean(name, known)
    if fork := explain_fork_field(name):
        return f"{what}: {fork}"
    similar = closest_match(name, known, max_difference=2)
    return what + (f'; did you mean "{similar}"?' if similar else "; remove it, or use the field of a built layer type")


def _unknown_enum_value(found: re.Match[str], file: Any) -> str:
    enum = _enum(file, found["enum"])
    hint = did_you_mean(found["name"], [value.name for value in enum.values] if enum else [])
    return f'unknown value "{found["name"]}" of {_last(found["enum"])}{hint}'


def _plain(what: str) -> str:
    """Return protobuf's message without the quoted line and without Python's escapes."""
    _, quoted, rest = what.partition("': ")
    what = (rest if quoted and what.startswith("'") else what).rstrip(".")
    what = "".join(char if char.isprintable() else repr(char)[1:-1] for char in what)
    return what[:1].lower() + what[1:]


def _message(file: Any, full_name: str) -> Descriptor | None:
    return file.message_types_by_name.get(_last(full_name))


def _enum(file: Any, full_name: str) -> EnumDescriptor | None:
    *outer, name = full_name.split(".")
    owner = _message(file, outer[-1]) if outer else None
    return (owner.enum_types_by_name if owner else file.enum_types_by_name).get(name)


def _last(full_name: str) -> str:
    return full_name.rpartition(".")[2]
