"""Damage that any file can have: bits that flip, parts that are lost, repeated or come from elsewhere."""

from __future__ import annotations

import random
from collections.abc import Sequence

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_MOST_BYTES = 4_000_000


def damaged(data: bytes, alike: Sequence[bytes], draw: random.Random) -> bytes:
    """A copy with one kind of damage; `alike` are other files for splices."""
    changed = bytearray(data)
    kind = draw.choice(["flips", "flips", "noise", "number", "number", "cut", "lost", "twice", "splice", "zeros"])
    if kind in ("flips", "noise", "number") and not changed:
        return bytes(draw.randbytes(draw.randrange(64)))
    if kind == "flips":
        for _ in range(draw.choice([1, 1, 2, 8])):
            changed[_place(changed, draw)] ^= 1 << draw.randrange(8)
    elif kind == "noise":
        at = _place(changed, draw)
        changed[at : at + 64] = draw.randbytes(min(64, len(changed) - at))
    elif kind == "number":
        size, at = draw.choice([1, 2, 4, 8]), _place(changed, draw)
        number = draw.choice(_NUMBERS) % 256**size
        changed[at : at + size] = number.to_bytes(size, draw.choice(["little", "big"]))
    elif kind == "cut":
        del changed[draw.randrange(len(changed) + 1) :]
    elif kind in ("lost", "zeros"):
        begin, end = _part(changed, draw)
        changed[begin:end] = b"" if kind == "lost" else bytes(end - begin)
    elif kind == "twice":
        begin, end = _part(changed, draw)
        times = draw.choice([1, 2, 100])
        changed[end:end] = (changed[begin:end] * times)[:_MOST_BYTES]
    elif alike:
        other = draw.choice(alike)
        begin, end = _part(changed, draw)
        first, last = _part(other, draw)
        changed[begin:end] = other[first:last]
    return bytes(changed[:_MOST_BYTES])


def _place(data: bytes | bytearray, draw: random.Random) -> int:
    """Headers decide more than what follows: half of the places lie in the first 256 bytes."""
    return draw.randrange(min(len(data), 256) if draw.random() < 0.5 else len(data))


def _part(data: bytes | bytearray, draw: random.Random) -> tuple[int, int]:
    begin = draw.randrange(len(data) + 1)
    return begin, min(len(data), begin + draw.choice([1, 4, 16, 200, 4000]))
