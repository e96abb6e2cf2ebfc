"""Regions as the VOT toolkit stores them: one object in one frame, as text or as bytes.

Text, one region a line: `0` a special code; `x,y,width,height` a rectangle; `mx,y,width,height,runs` a mask, whose runs
of zeros and ones alternate, row by row, zeros first. Bytes hold the same, little-endian. What the toolkit makes of odd
masks on reading decides its scores, so we read as it does: a mask is cropped to its pixels, and one that is a single
pixel wide becomes an empty one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from streamvos.errors import InputError

UNKNOWN = 0  # as truth: not annotated; as a result: nothing said
INITIALIZATION = 1  # as a result: here the tracker was given the truth
FAILURE = 2  # as a result: here the tracker was stopped
_MAX_RUN = 255 * 255  # the longest run that the toolkit writes into 16 bits
_MAX_SIDE = 2**15  # pixels; no picture is larger, and a damaged line must not take all memory
_SPECIAL, _RECTANGLE, _MASK = 0, 1, 3


@dataclass(frozen=True)
class Special:
    """A frame without a place: see the codes above."""

    code: int


@dataclass(frozen=True)
class Rectangle:
    """A box in pixels, from its left upper corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class Mask:
    """Pixels of an object.

    Args:
        pixels: (h, w) bool; may be a part of the frame, and may be of no size.
        x, y: where its first pixel lies in the frame.
    """

    pixels: np.ndarray
    x: int = 0
    y: int = 0


Region = Special | Rectangle | Mask
EMPTY = Mask(np.zeros((0, 0), bool))


class PackedRegions(Sequence[Region]):
    """The regions of one object, one for each frame, decoded one at a time when they are asked for.

    The masks of a long video take gigabytes as pixels and megabytes as runs.

    Args:
        packed: a line of text or the bytes of each region, as the toolkit stores them.
    """

    def __init__(self, packed: Sequence[str | bytes]) -> None:
        self._packed = list(packed)

    @classmethod
    def of(cls, regions: Iterable[Region]) -> PackedRegions:
        """Pack regions as they come; masks are read back as the toolkit reads them, see `parse_region`."""
        return cls([format_region(region) for region in regions])

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, index: int | slice) -> Region | PackedRegions:
        if isinstance(index, slice):
            return PackedRegions(self._packed[index])
        packed = self._packed[index]
        return parse_region(packed) if isinstance(packed, str) else _from_bytes(packed, 0)[0]

    def chosen(self, flags: Sequence[bool]) -> PackedRegions:
        """Those of the frames whose flag is true."""
        return PackedRegions(list(compress(self._packed, flags)))

    def filled(self, length: int) -> PackedRegions:
        """With nothing known of the frames from its end up to `length`."""
        return PackedRegions([*self._packed, *[str(UNKNOWN)] * (length - len(self))])


def bounds(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom pixel inside, inclusive; zeros where there is none."""
    rows, columns = pixels.any(axis=1).nonzero()[0], pixels.any(axis=0).nonzero()[0]
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def cropped(mask: Mask) -> Mask:
    """The mask without empty borders; empty where its pixels all lie in the first column, as the toolkit has it."""
    left, top, right, bottom = bounds(mask.pixels)
    if right == 0:
        return EMPTY
    return Mask(mask.pixels[top : bottom + 1, left : right + 1], mask.x + left, mask.y + top)


def in_frame(mask: Mask, size: tuple[int, int]) -> np.ndarray:
    """The mask as (H, W) bool pixels of a frame of that size; what lies outside is cut off."""
    frame = np.zeros(size, bool)
    height, width = mask.pixels.shape
    top, left = max(mask.y, 0), max(mask.x, 0)
    part = mask.pixels[top - mask.y : max(size[0] - mask.y, 0), left - mask.x : max(size[1] - mask.x, 0)]
    if height and width:
        frame[top : top + part.shape[0], left : left + part.shape[1]] = part
    return frame


def parse_region(text: str) -> Region:
    """Read one line.

    Raises:
        InputError: neither a code, nor a rectangle, nor a mask whose runs fill it.
    """
    try:
        if text.startswith("m"):
            x, y, width, height, *runs = (int(value) for value in text[1:].split(","))
            return cropped(Mask(_from_runs(runs, width, height), x, y))
        values = [float(value) for value in text.split(",")]
    except ValueError:
        raise InputError(f"VOT region: expected a code, a rectangle or a mask, got {text[:60]!r}") from None
    if len(values) == 1:
        return Special(int(values[0]))
    if len(values) == 4:
        return Special(UNKNOWN) if any(np.isnan(values)) else Rectangle(*values)
    raise InputError(
        f"VOT region: expected 1 number, 4 numbers or a mask; points and polygons are not read: {text[:60]!r}"
    )


def format_region(region: Region) -> str:
    """One line for one region; the opposite of `parse_region`."""
    if isinstance(region, Special):
        return str(region.code)
    if isinstance(region, Rectangle):
        return f"{region.x},{region.y},{region.width},{region.height}"
    height, width = region.pixels.shape
    return "m" + ",".join(map(str, (region.x, region.y, width, height, *_to_runs(region.pixels))))


def read_trajectory(path: Path) -> PackedRegions:
    """Read the regions of one object, one for each frame, from text or from bytes (`.bin`); all are checked.

    Raises:
        InputError: damaged, or of another kind.
    """
    try:
        if path.suffix == ".bin":
            return PackedRegions(_cut_bytes(path.read_bytes()))
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        for line in lines:
            parse_region(line)
        return PackedRegions(lines)
    except (OSError, UnicodeDecodeError, struct.error, InputError, ValueError) as error:
        raise InputError(f"{path} is not a VOT trajectory: {error}") from None


def write_trajectory(path: Path, regions: Iterable[Region]) -> None:
    """Write the regions of one object: bytes where the name ends in `.bin`, lines of text otherwise."""
    if path.suffix == ".bin":
        packed = [_to_bytes(region) for region in regions]
        path.write_bytes(struct.pack("<hI", 1, len(packed)) + b"".join(packed))
    else:
        path.write_text("".join(f"{format_region(region)}\n" for region in regions), encoding="utf-8")


def _to_runs(pixels: np.ndarray, longest: int | None = None) -> list[int]:
    flat = pixels.reshape(-1).astype(bool)
    if not flat.size:
        return [0]
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    runs = [0, *runs] if flat[0] else runs
    return runs if longest is None else [part for run in runs for part in _split(run, longest)]


def _split(run: int, longest: int) -> Iterable[int]:
    while run > longest:
        yield from (longest, 0)
        run -= longest
    yield run


def _from_runs(runs: Sequence[int], width: int, height: int) -> np.ndarray:
    if not 0 <= min(width, height) <= max(width, height) <= _MAX_SIDE or sum(runs) > width * height:
        raise InputError(f"mask of {width}x{height}: its runs hold {sum(runs)} pixels")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.pad(flat, (0, width * height - len(flat))).reshape(height, width)


def _to_bytes(region: Region) -> bytes:
    if isinstance(region, Special):
        return struct.pack("<BI", _SPECIAL, region.code)
    if isinstance(region, Rectangle):
        return struct.pack("<Bffff", _RECTANGLE, region.x, region.y, region.width, region.height)
    runs = _to_runs(region.pixels, _MAX_RUN)
    height, width = region.pixels.shape
    head = struct.pack("<BhhHHH", _MASK, region.x, region.y, width, height, len(runs))
    return head + struct.pack(f"<{len(runs)}H", *runs)


def _cut_bytes(data: bytes) -> list[bytes]:
    """The bytes of each region of a file; each is decoded once, to see that it is whole."""
    version, count = struct.unpack_from("<hI", data, 0)
    if version != 1:
        raise InputError(f"expected version 1, got {version}")
    place, parts = struct.calcsize("<hI"), []
    for _ in range(count):
        end = _from_bytes(data, place)[1]
        parts.append(data[place:end])
        place = end
    return parts


def _from_bytes(data: bytes, place: int) -> tuple[Region, int]:
    """The region that begins at a byte, and where it ends."""

    def take(form: str) -> tuple[float, ...]:
        nonlocal place
        values = struct.unpack_from(form, data, place)
        place += struct.calcsize(form)
        return values

    (kind,) = take("<B")
    if kind == _SPECIAL:
        return Special(*take("<I")), place
    if kind == _RECTANGLE:
        return Rectangle(*take("<ffff")), place
    if kind != _MASK:
        raise InputError(f"expected a code, a rectangle or a mask, got a region of kind {kind}")
    x, y, width, height, num_runs = take("<hhHHH")
    return Mask(_from_runs(take(f"<{num_runs}H"), width, height), x, y), place
