"""What is known of a source before its first frame, and the settings of all sources."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from streamvos.errors import InputError
from streamvos.records import Frame

SourceKind = Literal["video", "images", "rgbd", "stream", "camera"]


@dataclass(frozen=True)
class SourceInfo:
    """A source, as known when it is opened.

    Args:
        name: short name that is safe as a folder name.
        kind: what it is.
        location: path, URL with its secrets masked, or camera.
        width, height: pixels of every frame, after rotation.
        rate: mean frames per second, exact; None where the source does not say.
        num_frames: how many frames the whole source has, an estimate of the container; None where unknown.
        duration_s: length in seconds; None where unknown.
        is_live: True where frames come in real time and may be dropped.
        time_base: unit of the presentation times in seconds; every `Frame.time_s` is a multiple of it.
    """

    name: str
    kind: SourceKind
    location: str
    width: int
    height: int
    rate: Fraction | None
    num_frames: int | None
    duration_s: float | None
    is_live: bool
    time_base: Fraction

    def to_dict(self) -> dict[str, Any]:
        """As plain values; fractions become "30000/1001"."""
        values = dict(vars(self))
        for name in ("rate", "time_base"):
            values[name] = None if values[name] is None else str(values[name])
        return values


@dataclass(frozen=True)
class SourceConfig:
    """Settings of the readers; each source uses those that concern it."""

    prefetch_frames: int = 4  # frames decoded ahead; more smooths uneven stages and costs 1.2 MB each at 480p
    decode_threads: int = 2  # threads of the decoder; more is faster on many cores, and takes them from stages
    image_rate: str = "24"  # frames per second of a folder of images, "24" or "30000/1001"; sets their times
    rgbd_rate: str = "30"  # the same for RGB-D folders without timestamps (7-Scenes)
    depth_gap_s: float = 0.02  # largest time between a colour picture and its depth picture (TUM layout)
    open_timeout_s: float = 10.0  # how long a URL may take to answer before it is an error
    read_timeout_s: float = 10.0  # how long a URL may stay silent before the connection counts as lost
    reconnect_attempts: int = 8  # tries in a row before a lost live source is given up
    reconnect_first_s: float = 0.5  # wait before the first try; doubles with every further one
    reconnect_max_s: float = 30.0  # longest wait between two tries
    # Formats that a file or stream may have, by FFmpeg's names; empty: all, playlists that name other files among them.
    containers: str = ""
    max_pixels: int = 0  # of a frame; larger ones are refused before they are decoded; 0: any
    rtsp_transport: Literal["tcp", "udp"] = "tcp"  # udp has less delay, and smears when packets are lost

    def __post_init__(self) -> None:
        if self.prefetch_frames < 1:
            raise InputError(f"setting source.prefetch_frames: expected at least 1, got {self.prefetch_frames}")
        for name in ("decode_threads", "depth_gap_s", "reconnect_attempts", "reconnect_first_s", "reconnect_max_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"setting source.{name}: expected 0 or more, got {getattr(self, name)}")
        for name in ("open_timeout_s", "read_timeout_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"setting source.{name}: expected more than 0 seconds, got {getattr(self, name)}")
        for name in ("image_rate", "rgbd_rate"):
            parse_rate(getattr(self, name), f"source.{name}")


class Source(Iterator[Frame]):
    """Frames in order, full size, RGB. A context manager; `close` may be called at any time, more than once.

    Attributes:
        info: what is known of the source.
        warnings: one sentence for each thing that went wrong and was survived (damaged packets, lost links).
        num_dropped: frames of a live source that were replaced by newer ones before anyone asked.
    """

    info: SourceInfo

    def __init__(self, info: SourceInfo) -> None:
        self.info = info
        self.warnings: list[str] = []
        self.num_dropped = 0

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files, devices and threads."""


class SourceAround(Source):
    """A source that decides when the frames of another one come; closed together with it."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    @property
    def warnings(self) -> list[str]:
        return self._source.warnings

    @property
    def num_dropped(self) -> int:
        return self._source.num_dropped

    def close(self) -> None:
        self._source.close()


def safe_name(text: str) -> str:
    """A folder name made of `text`: letters, digits, dot, dash and underscore only; never empty or hidden."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._")[:100] or "video"


def parse_rate(text: str, setting: str) -> Fraction:
    """A positive frame rate from "24", "29.97" or "30000/1001"."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise InputError(f"setting {setting}: expected a positive rate such as 24 or 30000/1001, got {text!r}")
    return rate
