"""What lies in an MP4 file beside the recording that FFmpeg reads."""

from __future__ import annotations

import struct
from pathlib import Path

_MOST_BOXES = 200_000  # fragments of a second fill two days

_FIRST_BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip")


def num_recordings(path: Path) -> int:
    """How many recordings stand one after the other in an MP4 file; 0 for files of another kind.

    Each has an index of its own (`moov`), and all but the first are left unread by every player.
    """
    found = 0
    with path.open("rb") as file:
        size = path.stat().st_size
        at = 0
        for number in range(_MOST_BOXES):
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                break
            length, kind = struct.unpack(">I4s", head[:8])
            if number == 0 and kind not in _FIRST_BOXES:
                return 0
            found += kind == b"moov"
            if length == 1 and len(head) == 16:
                length = struct.unpack(">Q", head[8:])[0]
            if length < 8 or at + length > size:
                break
            at += length
    return found
