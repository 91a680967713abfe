"""Mutations of protobuf's wire format: fields are moved, duplicated, nested, and get other types and lengths."""

from __future__ import annotations

import random
from dataclasses import dataclass

EXTREMES = [0, 1, 2, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1]


@dataclass
class Field:
    """Field: `value` is a number (varint), bytes, or a list of fields (a nested message)."""

    number: int
    kind: int
    value: int | bytes | list[Field]
    lie: int = 0


def parse(data: bytes, depth: int = 0) -> list[Field] | None:
    """Return the fields of a message, or None if the bytes are not a message."""
    fields, place = [], 0
    while place < len(data):
        tag, place = _varint(data, place)
        if tag is None or tag >> 3 == 0 or tag & 7 not in (0, 1, 2, 5):
            return None
        kind = tag & 7
        if kind == 0:
            value, place = _varint(data, place)
        else:
            length = {1: 8, 5: 4}.get(kind)
            if length is None:
                length, place = _varint(data, place)
            if length is None or place + length > len(data):
                return None
            value, place = data[place : place + length], place + length
        if value is None:
            return None
        if kind == 2 and depth < 6 and isinstance(value, bytes) and len(value) < 4096:
            value = parse(value, depth + 1) or value
        fields.append(Field(tag >> 3, kind, value))
    return fields


def serialize(fields: list[Field]) -> bytes:
    """Return the bytes of a message; a field's `lie` is added to its length."""
    parts = []
    for field in fields:
        parts.append(_bytes(field.number << 3 | field.kind))
        if isinstance(field.value, int):
            parts.append(_bytes(field.value))
            continue
        body = serialize(field.value) if isinstance(field.value, list) else field.value
        if field.kind == 2:
            parts.append(_bytes(max(0, len(body) + field.lie)))
        parts.append(body)
    return b"".join(parts)


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Return a message with one to three mutations; other bytes are returned unchanged."""
    fields = parse(data)
    if not fields:
        return data
    for _ in range(dice.randint(1, 3)):
        _mutate_one(fields, dice)
    return serialize(fields)


def _mutate_one(fields: list[Field], dice: random.Random) -> None:
    level = fields
    while True:
        inner = [field.value for field in level if isinstance(field.value, list) and field.value]
        if not inner or dice.random() < 0.3:
            break
        level = dice.choice(inner)
    if not level:
        return
    field = dice.choice(level)
    action = dice.choice(["value", "value", "value", "drop", "double", "number", "kind", "lie", "nest", "swap", "many"])
    if action == "value":
        field.value = _other_value(field.value, dice)
    elif action == "drop":
        level.remove(field)
    elif action == "double":
        level.insert(dice.randrange(len(level) + 1), field)
    elif action == "number":
        field.number = dice.choice([1, 2, 3, 5, 8, 100, 1000, 2**29 - 1])
    elif action == "kind":
        field.kind, field.value = dice.choice(
            [(0, dice.choice(EXTREMES)), (1, b"\xff" * 8), (5, b"\xff" * 4), (2, b"")]
        )
    elif action == "lie":
        field.lie = dice.choice([-1, 1, 1000, 2**31, 2**40])
    elif action == "nest":
        for _ in range(dice.choice([3, 90, 110, 3000])):
            level[:] = [Field(field.number, 2, serialize(level))]
    elif action == "swap":
        dice.shuffle(level)
    elif len(serialize([field])) < 64:
        level.extend([field] * dice.choice([10, 1000]))


def _other_value(value: int | bytes | list[Field], dice: random.Random) -> int | bytes | list[Field]:
    if isinstance(value, int):
        return dice.choice([*EXTREMES, value + 1, value * 2 % 2**64])
    if isinstance(value, list):
        value = serialize(value)
    cut = dice.randrange(len(value) + 1)
    return dice.choice([b"", value[:cut], value * 2, b"\xff" * len(value), b"\0" * len(value), bytes(reversed(value))])


def _varint(data: bytes, place: int) -> tuple[int | None, int]:
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            return None, place
        byte, place = data[place], place + 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    return None, place


def _bytes(number: int) -> bytes:
    number %= 2**64
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
