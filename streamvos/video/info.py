"""What is known of a source before its first frame, and the settings of all sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from streamvos.config import Settings, setting
from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.rates import parse_rate

SourceKind = Literal["video", "images", "rgbd", "stream", "camera"]
_SQUARE = Fraction(1)


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


def _format_names(text: str) -> None:
    """Raise `InputError` where a text is no list of FFmpeg's names of formats."""
    if not re.fullmatch(r"[a-z0-9_]*(,[a-z0-9_]+)*", text):
        raise InputError(f"expected FFmpeg's names of formats with commas between, as mov,matroska; got {text!r}")


@dataclass(frozen=True)
class SourceConfig(Settings, at="source"):
    """Settings of the readers; each source uses those that concern it."""

    prefetch_frames: int = setting(
        4, "frames decoded ahead; more smooths uneven stages and costs 1.2 MB each at 480p", low=1
    )
    decode_threads: int = setting(
        2, "threads of the decoder, 0: its own choice; more is faster, and takes cores from stages", low=0
    )
    image_rate: str = setting(
        "24",
        'frames per second of a folder of images, "24", "29.97" or "30000/1001"; sets their times',
        form=parse_rate,
    )
    rgbd_rate: str = setting("30", "the same for RGB-D folders without times (7-Scenes)", form=parse_rate)
    depth_gap_s: float = setting(
        0.02, "largest time between a colour picture and its depth picture (TUM layout)", low=0
    )
    open_timeout_s: float = setting(10.0, "how long a URL may take to answer before it is an error", above=0)
    read_timeout_s: float = setting(10.0, "how long a URL may stay silent before it counts as lost", above=0)
    reconnect_attempts: int = setting(8, "tries in a row before a lost live source is given up", low=0)
    reconnect_first_s: float = setting(0.5, "wait before the first try; doubles with every further one", low=0)
    reconnect_max_s: float = setting(30.0, "longest wait between two tries", low=0)
    containers: str = setting(
        "",
        "formats that a file or stream may have, by FFmpeg's names; empty: all, playlists that name other files too",
        form=_format_names,
    )
    max_pixels: int = setting(0, "of a frame; larger ones are refused before they are decoded; 0: any", low=0)
    rtsp_transport: Literal["tcp", "udp"] = setting("tcp", "udp has less delay, and smears when packets are lost")


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


def expect_few_pixels(location: str, width: int, height: int, config: SourceConfig, aspect: Fraction = _SQUARE) -> None:
    """Raise `InputError` where a picture, as stored or with its width stretched by `aspect`, has too many pixels."""
    if config.max_pixels and width * height * max(aspect, _SQUARE) > config.max_pixels:
        raise InputError(
            f"source {location!r} has {width}x{height} pixels; expected at most {config.max_pixels} in "
            "all (source.max_pixels): scale it down first"
        )
