"""Mutations of text: extreme numbers; deleted, duplicated, moved and replaced words."""

from __future__ import annotations

import json
import random
import re
import struct
from functools import cache

from prototxt_like.schema import caffe_schema_pb2

NUMBERS = ["0", "-1", "1", "2", "1.5", "007", "255", "256", "1e308", "1e400", "nan", "-inf", "0x7fffffff"]
NUMBERS += [str(2**power + more) for power in (31, 32, 63, 64) for more in (-1, 0)] + [str(-(2**31))]
ODD = [*"{}[]\"'\\\n\r\0,:;# é\ufeff\u2028", "\\777", '"\\x"', "%s%n", "../../etc/passwd", "null", "true", ""]
ODD += ["[" * 3000, "{" * 3000, "a" * 70_000, '"' + "9" * 5000]
WORD = re.compile(rb"[A-Za-z_]\w*|[-+]?\d[\w.+-]*|\s+|.", re.DOTALL)


@cache
def vocabulary() -> list[str]:
    """Return all fields, types and values of Caffe's schema."""
    names: set[str] = set()
    for message in caffe_schema_pb2.DESCRIPTOR.message_types_by_name.values():
        names.update(field.name for field in message.fields)
        for enum in message.enum_types:
            names.update(enum.values_by_name)
    return sorted(names)


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Return a text with one to four mutations."""
    words = WORD.findall(data)
    for _ in range(dice.randint(1, 4)):
        if not words:
            break
        _mutate_one(words, dice)
    return b"".join(words)


def _mutate_one(words: list[bytes], dice: random.Random) -> None:
    place = dice.randrange(len(words))
    action = dice.choice(["number", "number", "number", "name", "odd", "drop", "double", "swap", "repeat", "cut"])
    if action == "number":
        places = [at for at, word in enumerate(words) if word[:1].isdigit() or word[:1] in b"+-"] or [place]
        words[dice.choice(places)] = dice.choice(NUMBERS).encode()
    elif action == "name":
        places = [at for at, word in enumerate(words) if word[:1].isalpha()] or [place]
        words[dice.choice(places)] = dice.choice(vocabulary()).encode()
    elif action == "odd":
        words.insert(place, dice.choice(ODD).encode())
    elif action == "drop":
        del words[place : place + dice.choice([1, 1, 5, 50])]
    elif action == "double":
        words.insert(dice.randrange(len(words)), words[place])
    elif action == "swap":
        other = dice.randrange(len(words))
        words[place], words[other] = words[other], words[place]
    elif action == "repeat":
        block = words[place : place + dice.choice([2, 20, 200])]
        words[place:place] = block * dice.choice([2, 10])
    else:
        del words[place:]


def mutate_safetensors(data: bytes, dice: random.Random) -> bytes:
    """Return a .safetensors file with a wrong header: lengths, shapes, types, offsets, texts."""
    length = struct.unpack("<Q", data[:8])[0]
    header, body = data[8 : 8 + length], data[8 + length :]
    action = dice.choice(["words", "entry", "text", "text", "length", "body", "bytes"])
    if action == "words":
        header = mutate(header, dice)
    elif action in ("entry", "text"):
        header = _mutate_header(json.loads(header), dice, action)
    elif action == "length":
        return struct.pack("<Q", dice.choice([0, 1, length - 1, length + 1, 2**31, 2**63, 2**64 - 1])) + data[8:]
    elif action == "body":
        body = dice.choice([b"", body[: len(body) // 2], body + b"\0", b"\xff" * len(body), body[::-1]])
    else:
        place = dice.randrange(len(data))
        return data[:place] + bytes([dice.randrange(256)]) + data[place + 1 :]
    return struct.pack("<Q", len(header)) + header + body


def _mutate_header(header: dict, dice: random.Random, action: str) -> bytes:
    if action == "text":
        texts = header["__metadata__"]
        key = dice.choice(sorted(texts))
        texts[key] = mutate(texts[key].encode(), dice).decode("utf-8", "replace")
    else:
        tensor = header[dice.choice([key for key in sorted(header) if key != "__metadata__"])]
        key = dice.choice(["dtype", "shape", "data_offsets"])
        if key == "dtype":
            tensor[key] = dice.choice(["F64", "F16", "BF16", "I64", "BOOL", "U8", "F8_E4M3", "X"])
        else:
            tensor[key] = [
                dice.choice([0, 1, -1, 2**31, 2**62, 2**64 - 1, *tensor[key]]) for _ in range(dice.randint(0, 5))
            ]
    return json.dumps(header).encode()
