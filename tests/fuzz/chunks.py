"""Mutations of image files: extreme sizes in headers, moved chunks and segments, with corrected PNG checksums."""

from __future__ import annotations

import random
import struct
import zlib
from functools import cache

SIZES = [0, 1, 2, 7, 255, 256, 9999, 10_000, 10_001, 32_767, 65_535, 65_536, 2**24, 2**31 - 1, 2**32 - 1]
PNG = b"\x89PNG\r\n\x1a\n"


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Return an image file with one to three mutations, most of them near its start, which contains the sizes."""
    for _ in range(dice.randint(1, 3)):
        data = _png(data, dice) if data.startswith(PNG) and dice.random() < 0.7 else _anywhere(data, dice)
    return data


def _png(data: bytes, dice: random.Random) -> bytes:
    chunks = _chunks(data)
    if not chunks:
        return data
    place = dice.randrange(len(chunks))
    kind, body = chunks[place]
    action = dice.choice(["size", "body", "drop", "double", "kind", "bomb"])
    if action == "size" and len(chunks[0][1]) >= 13:
        header = bytearray(chunks[0][1])
        struct.pack_into(">I", header, dice.choice([0, 4]), dice.choice(SIZES))
        header[dice.randrange(8, 13)] = dice.choice([0, 1, 2, 3, 4, 6, 8, 16, 255])
        chunks[0] = (b"IHDR", bytes(header))
    elif action == "body":
        chunks[place] = (kind, _anywhere(body, dice))
    elif action == "drop":
        del chunks[place]
    elif action == "double":
        chunks.insert(dice.randrange(len(chunks)), (kind, body))
    elif action == "kind":
        chunks[place] = (dice.choice([b"tEXt", b"zTXt", b"iCCP", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"fdAT"]), body)
    else:
        text = b"x\0\0" + _packed_zeros(dice.choice([1000, 10_000_000, 60_000_000]))
        chunks.insert(1, (dice.choice([b"zTXt", b"iCCP", b"IDAT"]), text))
    return PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


@cache
def _packed_zeros(length: int) -> bytes:
    return zlib.compress(b"\0" * length, 9)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, place = [], len(PNG)
    while place + 12 <= len(data):
        length = struct.unpack(">I", data[place : place + 4])[0]
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def _anywhere(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    if len(changed) < 9:
        return data
    place = min(int(len(changed) * dice.random() ** 2), len(changed) - 9)
    action = dice.choice(["bit", "byte", "short", "long", "drop", "double", "cut", "fill"])
    if action == "bit":
        changed[place] ^= 1 << dice.randrange(8)
    elif action == "byte":
        changed[place] = dice.randrange(256)
    elif action == "short":
        struct.pack_into(dice.choice("<>") + "H", changed, place, dice.choice(SIZES) & 0xFFFF)
    elif action == "long":
        struct.pack_into(dice.choice("<>") + "I", changed, place, dice.choice(SIZES))
    elif action == "drop":
        del changed[place : place + dice.choice([1, 4, 100])]
    elif action == "double":
        changed[place:place] = changed[place : place + dice.choice([1, 8, 200])]
    elif action == "cut":
        del changed[place:]
    else:
        length = min(dice.choice([4, 64, 1000]), len(changed) - place)
        changed[place : place + length] = bytes([dice.choice([0, 255])]) * length
    return bytes(changed)
