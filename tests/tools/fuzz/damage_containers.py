"""Damage behind a checksum: PNG chunks and members of an .npz, whose sums are right again."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib

import numpy as np

from tests.tools.fuzz import damage_bytes, damage_json

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = (b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"eXIf", b"zTXt", b"iCCP", b"acTL", b"fcTL", b"IEND")


def damaged_png(data: bytes, draw: random.Random) -> bytes:
    """A copy in which one chunk is another: its bytes, its kind, its place."""
    chunks = _chunks(data)
    if not chunks:
        return damage_bytes.damaged(data, (), draw)
    place = draw.randrange(len(chunks))
    name, body = chunks[place]
    what = draw.choice(["body", "body", "pixels", "kind", "drop", "twice", "swap", "new"])
    if what == "body":
        chunks[place] = name, damage_bytes.damaged(body, [one for _, one in chunks], draw)
    elif what == "pixels" and name == b"IDAT":
        try:
            pixels = zlib.decompress(body)
        except zlib.error:
            pixels = body
        chunks[place] = name, zlib.compress(damage_bytes.damaged(pixels, (), draw))
    elif what == "kind":
        chunks[place] = draw.choice(_KINDS), body
    elif what == "drop":
        del chunks[place]
    elif what == "new":
        chunks.insert(place, (draw.choice(_KINDS), draw.randbytes(draw.choice([0, 1, 8, 26, 300]))))
    else:
        chunks.insert(draw.randrange(len(chunks)), (name, body))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def damaged_npz(data: bytes, draw: random.Random) -> bytes:
    """A copy in which one array is another, or the JSON in the array `skeleton`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = {name: file.read(name) for name in file.namelist()}
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, NotImplementedError, RuntimeError, EOFError):
        return damage_bytes.damaged(data, (), draw)
    if not members:
        return data
    name = draw.choice([*members, *[one for one in members if one == "skeleton.npy"] * 4])
    if name == "skeleton.npy" and draw.random() < 0.8:
        members[name] = _npy(damage_json.damaged(_bytes_of(members[name]), draw))
    elif draw.random() < 0.1:
        del members[name]
    else:
        members[name] = damage_bytes.damaged(members[name], list(members.values()), draw)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as file:
        for member, content in members.items():
            file.writestr(member, content)
    return out.getvalue()


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(_SIGNATURE)
    while data.startswith(_SIGNATURE) and at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _npy(content: bytes) -> bytes:
    out = io.BytesIO()
    np.save(out, np.frombuffer(content, np.uint8))
    return out.getvalue()


def _bytes_of(npy: bytes) -> bytes:
    """What stands behind the header of an array of bytes."""
    return npy[10 + int.from_bytes(npy[8:10], "little") :]
