"""Video files, and finite ones behind a URL, frame by frame through PyAV."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.clocks import Clock
from streamvos.video.decode import Decoder, open_container
from streamvos.video.display import displayed_size, pixel_aspect, to_rgb
from streamvos.video.info import Source, SourceConfig, SourceInfo
from streamvos.video.mp4 import frames_behind
from streamvos.video.names import printable, safe_name
from streamvos.video.prefetch import Prefetch
from streamvos.video.streams import StreamFacts, facts_of, video_stream
from streamvos.video.urls import mask_secrets, name_of

_log = logging.getLogger(__name__)
_WHOLE_LENGTH, _LAST_FRAME_S = 0.9, 2.0  # lengths that containers and playlists announce are rounded up
_WHOLE_SHARE = 0.8  # of the bytes of a file that lie before the end of its last frame; the rest is its index


class VideoFile(Source):
    """A video with an end: a local file, or a finite one behind http(s).

    A local file that is cut short ends with a warning. A link that breaks is an error, so that the run can go on.

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
            expect_file(Path(location))
        self._shown = mask_secrets(location) if scheme else printable(location)
        notes: list[str] = []
        facts, size = probe(location, scheme, config, notes)
        name = name_of(location) if scheme else safe_name(Path(location).stem)
        count = facts.num_frames
        super().__init__(
            SourceInfo(
                name,
                "video",
                self._shown,
                size[1],
                size[0],
                facts.rate,
                count if count is None or max_frames is None else min(count, max_frames),
                facts.duration_s,
                False,
                facts.time_base,
            )
        )
        for note in notes:
            self._warn(note)
        self._location, self._scheme, self._config = location, scheme, config
        self._stream_id = stream_id or name
        self._range = (start_index, max_frames)
        self._facts = facts
        self._frames = Prefetch(self._decode, config.prefetch_frames)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()

    def _decode(self) -> Iterator[Frame]:
        start, stop = self._range
        facts, size = self._facts, (self.info.height, self.info.width)
        with open_container(self._location, self._scheme, self._config) as container:
            stream = video_stream(container, self._location, self._config)
            aspect = pixel_aspect(stream)
            clock = Clock(facts.time_base, facts.rate, facts.by_dts, facts.wrap_ticks)
            decoder = Decoder(container, stream, self._shown, self._config, show_marked=facts.is_fragmented)
            scaled = False
            num_frames, last_s = 0, 0.0
            for index, (picture, time_s) in enumerate(clock.timed(decoder)):
                if stop is not None and index >= stop:
                    break
                num_frames, last_s = num_frames + 1, time_s
                if index >= start:
                    scaled |= displayed_size(picture, aspect) != size
                    yield Frame(self._stream_id, index, time_s, to_rgb(picture, size))
            else:
                self._judge_end(decoder, container.size, last_s)
            if scaled:
                self._warn("the size changes within the video; frames were scaled to that of the first")
            if decoder.num_damaged:
                self._warn(f"{decoder.num_damaged} damaged packets or frames")
            self._tell_times(clock, num_frames)

    def _judge_end(self, decoder: Decoder, num_bytes: int, last_s: float) -> None:
        count, facts = decoder.num_frames, self._facts
        expected = facts.num_frames if facts.is_counted else None
        if self._scheme is not None and (why := _what_is_missing(decoder, facts, num_bytes, last_s)):
            raise InputError(
                f"{self._shown!r}: the link broke after {count} frames ({why}); go on with resume=True when it is back"
            )
        if decoder.broken:
            self._warn(f"ends early after {count} frames ({decoder.broken})")
        elif expected is not None and count < expected + facts.num_hidden - decoder.num_hidden:
            self._warn(f"the header speaks of {expected} frames, {count} could be decoded: truncated?")
        if self._scheme is None:
            self._tell_joined(decoder, num_bytes)

    def _tell_joined(self, decoder: Decoder, num_bytes: int) -> None:
        """Recordings that were written one after the other into a file, where the format does not allow it."""
        lost = frames_behind(Path(self._location)) if self._facts.is_counted else None  # of fragments all are read
        share = _unread_share(decoder, num_bytes)
        if lost is not None or self._facts.container == "flv" and share > 1 - _WHOLE_SHARE:
            self._warn(
                "several recordings stand one after the other in this file, of which the first alone can be read: "
                f"{lost or 'some'} frames ({share:.0%} of the file) are lost; join them with: ffmpeg -f concat"
            )

    def _tell_times(self, clock: Clock, num_frames: int) -> None:
        """What a reader of the results must know of the time stamps."""
        if self._facts.has_no_times:
            self._warn(f"holds no times; {self.info.rate} frames a second are assumed")
        elif clock.num_missing and not self._facts.by_dts:
            self._warn(f"{clock.num_missing} of {num_frames} frames have no time; they follow at the nominal rate")
        if clock.num_mended:
            self._warn(
                f"{clock.num_mended} of {num_frames} times make no sense; they were put between their neighbours"
            )
        if clock.num_restarts:
            self._warn(
                f"its times begin again at {clock.num_restarts} places (joined, or the recorder was started anew); all "
                "frames are read, and times go on from where they were"
            )
        if clock.pauses:
            index, longest_s = max(clock.pauses, key=lambda pause: pause[1])
            self._warn(
                f"{len(clock.pauses)} pauses of minutes or more, the longest of {longest_s:.0f} s after frame {index}"
            )

    def _warn(self, text: str) -> None:
        self.warnings.append(f"{self.info.name}: {text}")
        _log.warning("%s: %s", self.info.location, text)


def probe(
    location: str, scheme: str | None, config: SourceConfig, notes: list[str]
) -> tuple[StreamFacts, tuple[int, int]]:
    """What header and first frames say, and the (H, W) of a frame as it is shown.

    Args:
        notes: takes what a reader of the results must know.

    Raises:
        InputError: there is no frame to be had.
    """
    with open_container(location, scheme, config) as container:
        stream = video_stream(container, location, config, notes.append)
        decoder = Decoder(container, stream, mask_secrets(location) if scheme else location, config)
        first = next(iter(decoder), None)
        if first is None:
            why = f" ({decoder.broken})" if decoder.broken else ""
            raise InputError(
                f"{mask_secrets(location)!r}: no frame could be decoded{why}; expected a video with at least one"
            )
        return facts_of(container, stream), displayed_size(first, pixel_aspect(stream))


def expect_file(path: Path) -> None:
    """Raise `InputError` where a path is no file, or an empty one."""
    if not path.exists():
        raise InputError(f"{str(path)!r} does not exist")
    if not path.is_file():
        raise InputError(f"{str(path)!r} is not a file; expected a video")
    if path.stat().st_size == 0:
        raise InputError(f"{str(path)!r} is empty (0 bytes); expected a video")


def _what_is_missing(decoder: Decoder, facts: StreamFacts, num_bytes: int, last_s: float) -> str | None:
    """Why what came over a link cannot be all; None where it can."""
    if decoder.broken:
        return decoder.broken
    if facts.is_counted:
        expected = (facts.num_frames or 0) + facts.num_hidden
        is_short = decoder.num_packets < expected or (decoder.is_cut and decoder.num_packets <= expected)
        return f"{expected} were announced" if is_short else None
    if decoder.is_cut:
        return "the last of them is not whole"
    if facts.duration_s is not None and last_s + _LAST_FRAME_S < _WHOLE_LENGTH * facts.duration_s:
        return f"{last_s:.1f} of {facts.duration_s:.1f} s came"
    if facts.is_fragmented and _unread_share(decoder, num_bytes) > 1 - _WHOLE_SHARE:
        return f"{decoder.last_byte} of {num_bytes} bytes came"
    return None


def _unread_share(decoder: Decoder, num_bytes: int) -> float:
    """The part of a file that lies behind its last frame; 0 where that is unknown."""
    if num_bytes <= 0 or decoder.last_byte is None:
        return 0.0
    return 1 - decoder.last_byte / num_bytes
