"""Video files, through PyAV frame by frame, or at random through decord."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.decode import Clock, Decoder, open_container, to_rgb, upright_size, video_stream
from streamvos.video.info import Source, SourceConfig, SourceInfo, safe_name
from streamvos.video.prefetch import Prefetch
from streamvos.video.urls import mask_secrets, name_of

_log = logging.getLogger(__name__)


class Probe(NamedTuple):
    """What the header and the first frame say."""

    size: tuple[int, int]
    rate: Fraction | None
    num_frames: int | None
    is_counted: bool  # the header counts the frames; otherwise num_frames is length times rate
    duration_s: float | None
    time_base: Fraction


class VideoFile(Source):
    """A video with an end: a local file, or a finite one behind http(s).

    Args:
        location: absolute path, or URL.
        scheme: None for a path.
        stream_id: name that the frames carry.
        start_index: frames before it are decoded and dropped, so that index and time are those of a full run.
        max_frames: index at which to stop.
    """

    def __init__(
        self,
        location: str,
        scheme: str | None,
        config: SourceConfig,
        stream_id: str | None = None,
        start_index: int = 0,
        max_frames: int | None = None,
    ) -> None:
        if scheme is None:
            _expect_file(Path(location))
        found = probe(location, scheme, config)
        name = name_of(location) if scheme else safe_name(Path(location).stem)
        count = found.num_frames
        super().__init__(
            SourceInfo(
                name,
                "video",
                mask_secrets(location) if scheme else location,
                found.size[1],
                found.size[0],
                found.rate,
                count if count is None or max_frames is None else min(count, max_frames),
                found.duration_s,
                False,
                found.time_base,
            )
        )
        self._location, self._scheme, self._config = location, scheme, config
        self._stream_id = stream_id or name
        self._range = (start_index, max_frames)
        self._expected = found.num_frames if found.is_counted else None
        self._frames = Prefetch(self._decode, config.prefetch_frames)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()

    def _decode(self) -> Iterator[Frame]:
        start, stop = self._range
        size = (self.info.height, self.info.width)
        with open_container(self._location, self._scheme, self._config) as container:
            stream = video_stream(container, self._location, self._config)
            clock = Clock(self.info.time_base, self.info.rate)
            decoder = Decoder(container, stream)
            scaled = False
            for index, picture in enumerate(decoder):
                if stop is not None and index >= stop:
                    break
                time_s = clock.time_s(picture.pts)
                if index >= start:
                    scaled |= upright_size(picture) != size
                    yield Frame(self._stream_id, index, time_s, to_rgb(picture, size))
            else:
                self._judge_end(decoder)
            if scaled:
                self._warn("the size changes within the video; frames were scaled to that of the first")
            if decoder.num_damaged:
                self._warn(f"{decoder.num_damaged} damaged packets or frames")

    def _judge_end(self, decoder: Decoder) -> None:
        count = decoder.num_frames
        if decoder.broken:
            self._warn(f"ends early after {count} frames ({decoder.broken})")
        elif self._expected is not None and count < self._expected:
            self._warn(f"the header speaks of {self._expected} frames, {count} could be decoded: truncated?")

    def _warn(self, text: str) -> None:
        self.warnings.append(f"{self.info.name}: {text}")
        _log.warning("%s: %s", self.info.location, text)


def probe(location: str, scheme: str | None, config: SourceConfig) -> Probe:
    """Read header and first frame; raises `InputError` where there is no frame to be had."""
    with open_container(location, scheme, config) as container:
        stream = video_stream(container, location, config)
        first = next(iter(Decoder(container, stream)), None)
        if first is None:
            raise InputError(
                f"{mask_secrets(location)!r}: no frame could be decoded; expected a video with at least one"
            )
        rate = stream.average_rate or stream.guessed_rate
        time_base = stream.time_base or Fraction(1, 90000)
        seconds = None
        if stream.duration:
            seconds = float(stream.duration * time_base)
        elif container.duration:
            seconds = container.duration / 1e6
        count = stream.frames or (round(seconds * rate) if seconds and rate else None)
        return Probe(upright_size(first), rate or None, count, stream.frames > 0, seconds, time_base)


class RandomAccessVideo:
    """Any frame of a video file by its number, through decord: `video[i]` is (H, W, 3) uint8 RGB.

    Frames are counted as the file stores them. decord does not turn pictures by the container's rotation, so
    a rotated file is refused; read it with `open_source`.
    """

    def __init__(self, path: str | Path, config: SourceConfig | None = None) -> None:
        config = config or SourceConfig()
        path = Path(path).absolute()
        _expect_file(path)
        with open_container(str(path), None, config) as container:
            first = next(iter(Decoder(container, video_stream(container, str(path), config))), None)
            if first is not None and round(first.rotation / 90) % 4:
                raise InputError(f"{str(path)!r} is stored rotated; random access reads upright videos only")
        try:
            import decord
        except ImportError:
            raise InputError("random access needs decord; install it with: pip install decord2") from None
        try:
            self._reader = decord.VideoReader(str(path), num_threads=config.decode_threads)
        except (RuntimeError, decord.DECORDError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(f"{str(path)!r} cannot be read as a video ({reason})") from None

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._reader[self._checked(index)].asnumpy()

    def time_s(self, index: int) -> float:
        """Presentation time of a frame, from 0 at the first."""
        start = self._reader.get_frame_timestamp(self._checked(index))[0]
        first = self._reader.get_frame_timestamp(0)[0]
        return float(start - first)

    def _checked(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index}: the video has {len(self)}")
        return index % len(self)


def _expect_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{str(path)!r} does not exist")
    if not path.is_file():
        raise InputError(f"{str(path)!r} is not a file; expected a video")
    if path.stat().st_size == 0:
        raise InputError(f"{str(path)!r} is empty (0 bytes); expected a video")
