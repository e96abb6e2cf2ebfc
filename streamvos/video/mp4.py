"""What lies in an MP4 file behind the recording that FFmpeg reads."""

from __future__ import annotations

import struct
from pathlib import Path

import av

_MOST_BOXES = 200_000  # fragments of a second fill two days
_FIRST_BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip")


def frames_behind(path: Path) -> int | None:
    """Frames of recordings that were written behind the first one into the same file; None where there are none.

    Each recording has an index of its own (`moov`), and every player reads the first alone. 0 where they are there and
    cannot be counted.
    """
    starts = _recordings(path)
    if len(starts) < 2:
        return None
    ends = [*starts[1:], path.stat().st_size]
    return sum(_num_frames(path, start, end) for start, end in zip(starts[1:], ends[1:], strict=True))


def _recordings(path: Path) -> list[int]:
    """Where each begins: at the box that says what the file is, or at its index."""
    starts: list[int] = []
    named: int | None = 0
    with path.open("rb") as file:
        size, at = path.stat().st_size, 0
        for number in range(_MOST_BOXES):
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                break
            length, kind = struct.unpack(">I4s", head[:8])
            if number == 0 and kind not in _FIRST_BOXES:
                return []
            if kind == b"ftyp":
                named = at
            if kind == b"moov":
                starts.append(at if named is None else named)
                named = None
            if length == 1 and len(head) == 16:
                length = struct.unpack(">Q", head[8:])[0]
            if length < 8 or at + length > size:
                break
            at += length
    return starts


def _num_frames(path: Path, start: int, end: int) -> int:
    url = f"subfile,,start,{start},end,{end},,:{path.absolute()}"
    try:
        with av.open(url, options={"protocol_whitelist": "subfile,file"}) as container:
            return max((stream.frames for stream in container.streams.video), default=0)
    except av.error.FFmpegError:
        return 0
