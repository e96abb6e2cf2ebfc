"""Any frame of a video file by its number, through decord."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamvos.errors import InputError
from streamvos.video.decode import Decoder, open_container
from streamvos.video.display import SQUARE, Turn, pixel_aspect, turn_of
from streamvos.video.files import expect_file
from streamvos.video.info import SourceConfig
from streamvos.video.streams import video_stream


class RandomAccessVideo:
    """Any frame of a video file by its number, through decord: `video[i]` is (H, W, 3) uint8 RGB.

    Frames are counted as the file stores them. decord neither turns nor mirrors pictures, nor makes their pixels
    square, so a file that asks for it is refused; read it with `open_source`.
    """

    def __init__(self, path: str | Path, config: SourceConfig | None = None) -> None:
        config = config or SourceConfig()
        path = Path(path).absolute()
        expect_file(path)
        with open_container(str(path), None, config) as container:
            stream = video_stream(container, str(path), config)
            first = next(iter(Decoder(container, stream, str(path), config)), None)
            if first is not None and (turn_of(first) != Turn() or pixel_aspect(stream) != SQUARE):
                raise InputError(
                    f"{str(path)!r} is stored rotated, mirrored or with pixels that are not square; random access "
                    "reads upright videos only"
                )
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
