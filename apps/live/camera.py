"""Pictures that a page's own camera sends, as a live source."""

from __future__ import annotations

import io
import threading
import time
from fractions import Fraction

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.info import Source, SourceInfo
from streamvos.video.live import TIME_BASE
from streamvos.video.prefetch import LatestSlot

MAX_SIDE_PX = 1920
MAX_BYTES = 4 << 20
_SILENT_S = 20.0  # then the camera counts as lost
_FIRST_WITHIN_S = 20.0  # the person may still have to allow the camera


class BrowserCamera(Source):
    """Keeps the newest picture that was sent; times are those of arrival.

    Args:
        start_index, start_time_s: of its first frame, where a run goes on.

    Raises:
        InputError: from `wait`, where no picture came.
    """

    def __init__(self, start_index: int = 0, start_time_s: float = 0.0) -> None:
        super().__init__(SourceInfo("camera", "camera", "the page's camera", 0, 0, None, None, None, True, TIME_BASE))
        self._index, self._first_s, self._last_s = start_index, start_time_s, -1.0
        self._began: float | None = None
        self._slot: LatestSlot[tuple[float, bytes]] = LatestSlot()
        self._there = threading.Event()

    def push(self, jpeg: bytes) -> None:
        """Take a JPEG from the page; one that is damaged or has another size is dropped and counted as a warning."""
        try:
            width, height = _size_of(jpeg)
        except InputError as error:
            self._warn(str(error))
            return
        if not self._there.is_set():
            self.info = SourceInfo(
                "camera", "camera", "the page's camera", width, height, None, None, None, True, TIME_BASE
            )
            self._began = time.monotonic()
            self._there.set()
        self._slot.put((time.monotonic(), jpeg))

    def wait(self) -> BrowserCamera:
        """Wait for the first picture, from which on the size is known."""
        if not self._there.wait(_FIRST_WITHIN_S):
            raise InputError(
                "no picture came from the camera; allow this page to use it, see that no other program has it, and "
                "open it again"
            )
        return self

    def __next__(self) -> Frame:
        while True:
            try:
                arrived, jpeg = self._slot.take(_SILENT_S)
            except TimeoutError:
                raise InputError(
                    f"the camera sent no picture for {_SILENT_S:.0f} seconds: was it unplugged, or its page put to "
                    "sleep? Export what was found, or open it again"
                ) from None
            self.num_dropped = self._slot.num_dropped
            picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            if picture is None:
                self._warn("a damaged picture of the camera was skipped")
                continue
            if picture.shape[:2] != (self.info.height, self.info.width):
                picture = cv2.resize(picture, (self.info.width, self.info.height), interpolation=cv2.INTER_AREA)
            frame = Frame("camera", self._index, self._tick(arrived), cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            self._index += 1
            return frame

    def close(self) -> None:
        self._slot.close()
        self._there.set()

    def _tick(self, arrived: float) -> float:
        """Time of the stream, a multiple of the time base, strictly increasing."""
        wanted = self._first_s + arrived - (self._began or arrived)
        ticks = max(round(wanted / TIME_BASE), round(Fraction(self._last_s) / TIME_BASE) + 1)
        self._last_s = float(ticks * TIME_BASE)
        return self._last_s

    def _warn(self, text: str) -> None:
        if text not in self.warnings and len(self.warnings) < 20:
            self.warnings.append(text)


def _size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height from the header alone; a small file may claim a picture that fills the memory."""
    if len(jpeg) > MAX_BYTES:
        raise InputError(f"a picture of the camera had {len(jpeg) >> 20} MiB; at most {MAX_BYTES >> 20} are taken")
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
            width, height = image.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        raise InputError("a damaged picture of the camera was skipped") from None
    if max(width, height) > MAX_SIDE_PX or min(width, height) < 16:
        raise InputError(f"the camera sends {width}x{height} pixels; expected 16 to {MAX_SIDE_PX} on each side")
    return width, height
