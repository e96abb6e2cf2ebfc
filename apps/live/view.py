"""What a page sees of its video: the newest picture or one gone by, who is in it, rates, gauges, decisions."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.live.history import History, Moment, encode_jpeg, fitted
from apps.live.objects import Objects
from apps.live.words import Feed, gauges
from apps.settings import DemoConfig
from memory_bank.protocol import MemoryStats
from streamvos.errors import InputError
from streamvos.export.draw import EVERYTHING, Shown, draw_result
from streamvos.export.masks import paint
from streamvos.export.timeline import Timeline
from streamvos.records import Frame, StepResult
from streamvos.video.info import SourceInfo

_RATE_OVER_S = 3.0
_GAUGES_EVERY_S = 0.4  # with Ray they wait for the stages


class PageView:
    """Bounded however long the video runs. May be used from any thread.

    Args:
        limits: see `DemoConfig`.

    Attributes:
        lock: held while several things are to be seen as one.
        objects: who is followed.
        number: changes whenever there may be another picture.
    """

    def __init__(self, limits: DemoConfig) -> None:
        self.lock = threading.RLock()
        self.objects = Objects()
        self.number = 0
        self._view_px = limits.view_px
        self._history = History(limits.history_mib << 20)
        self._timeline = Timeline(max_rows=24, max_spans=60)
        self._feed = Feed()
        self._gauges: list[dict[str, Any]] = []
        self._gauged_s = 0.0
        self._taken_s: deque[float] = deque(maxlen=256)
        self._delays_s: deque[float] = deque(maxlen=512)
        self._moment: Moment | None = None
        self._past: Moment | None = None
        self._is_raw = False  # the newest picture was not processed yet
        self._shown = EVERYTHING

    @property
    def is_empty(self) -> bool:
        """True before the first picture."""
        return self._moment is None

    @property
    def gauges_are_due(self) -> bool:
        """Whether `take` wants the sizes of the memories again."""
        return time.monotonic() - self._gauged_s >= _GAUGES_EVERY_S

    def take(self, frame: Frame, result: StepResult, stats: Mapping[str, MemoryStats] | None = None) -> None:
        """Take in one frame and its result; the sizes of the memories where they are due."""
        moment, now = fitted(frame.image, result, self._view_px), time.monotonic()
        with self.lock:
            self._history.add(moment)
            self._moment = moment
            self._is_raw = False
            self._taken_s.append(now)
            self.objects.take(frame, result)
            self._timeline.add(result)
            self._feed.add(result)
            if stats is not None:
                self._gauges, self._gauged_s = gauges(stats), now

    def take_first(self, frame: Frame) -> None:
        """Show a frame that has not been processed."""
        with self.lock:
            self._moment = fitted(frame.image, StepResult.of(frame), self._view_px)  # looking back has its result
            self._is_raw = True

    def show(self, shown: Shown) -> None:
        """What is drawn into the picture; who is hidden stands in `objects`."""
        with self.lock:
            self._shown = shown

    def look_at(self, time_s: float | None) -> None:
        """Show the kept moment nearest to a time; None: the newest again."""
        with self.lock:
            self._past = None if time_s is None else self._history.at(time_s)

    def pointed_at(self) -> Moment:
        """The picture that can be pointed at; raises `InputError` where none can."""
        if self._past is not None:
            raise InputError("this moment is past: go back to now to point at something")
        if self._moment is None:
            raise InputError("there is no picture yet")
        return self._moment

    def object_at(self, x: float, y: float) -> int | None:
        """Whose mask is drawn at a place of the newest picture, in shares of its sides; None where none is."""
        with self.lock:
            result = None if self._moment is None else self._moment.result
            if result is None or result.masks is None:
                return None
            masks = result.masks
            keep = [row for row, one in enumerate(masks.object_ids.tolist()) if one not in self.objects.hidden]
            labels = paint(masks[keep])
            height, width = labels.shape
            return int(labels[round(min(y, 1.0) * (height - 1)), round(min(x, 1.0) * (width - 1))]) or None

    def picture(self) -> tuple[dict[str, Any], bytes] | None:
        """What is shown now as JPEG, with what the page must know of it; None before the first frame."""
        with self.lock:
            moment, number, is_past = self._past or self._moment, self.number, self._past is not None
            is_raw = self._is_raw and not is_past
            shown = dataclasses.replace(self._shown, hidden=self.objects.hidden)
        if moment is None:
            return None
        result = moment.result
        labels = None if result.masks is None else paint(result.masks)
        head = {"type": "picture", "number": number, "frame": result.frame_index, "time_s": result.time_s}
        return head | {"past": is_past, "raw": is_raw}, encode_jpeg(draw_result(moment.image, result, labels, shown))

    def report(self) -> dict[str, Any]:
        """Everything else that is shown, as plain values."""
        with self.lock:
            result = None if self._moment is None else self._moment.result
            timeline = self._timeline.state_dict()
            switches = [field.name for field in dataclasses.fields(Shown) if field.name not in ("header", "hidden")]
            return {
                "frame": None if result is None else result.frame_index,
                "time_s": None if result is None else result.time_s,
                "looking_back_s": None if self._past is None else self._past.result.time_s,
                "frames_per_s": self._rate(),
                "delay_s": round(float(np.median(list(self._delays_s)[-25:])), 3) if self._delays_s else None,
                "shown": {name: getattr(self._shown, name) for name in switches},
                "has_depth": result is not None and result.scene is not None and result.scene.depth_m is not None,
                "objects": self.objects.rows(),
                "timeline": {"rows": self.objects.timeline_rows(timeline["rows"]), "cuts": timeline["cuts"][:200]},
                "memories": self._gauges,
                "feed": self._feed.lines(),
            }

    def thumbnails(self) -> dict[int, tuple[int, bytes]]:
        """Number and JPEG of each object's picture; the number changes with it."""
        with self.lock:
            return self.objects.thumbnails()

    def note_delay(self, seconds: float) -> None:
        """A frame took so long from leaving the source to the page's word that it is on the screen."""
        with self.lock:
            self._delays_s.append(seconds)

    def delays_s(self) -> list[float]:
        """The latest of them."""
        with self.lock:
            return list(self._delays_s)

    def forget_delays(self) -> None:
        """What is measured from now on counts."""
        with self.lock:
            self._delays_s.clear()

    def _rate(self) -> float | None:
        """Frames per second of late, None where too few came."""
        now = time.monotonic()
        late = [at for at in self._taken_s if now - at < _RATE_OVER_S]
        return round((len(late) - 1) / (late[-1] - late[0]), 2) if len(late) > 1 and late[-1] > late[0] else None


def source_facts(info: SourceInfo) -> dict[str, Any]:
    """What the page shows of a source."""
    return {
        "name": info.name,
        "kind": info.kind,
        "width": info.width,
        "height": info.height,
        "rate": None if info.rate is None else round(float(info.rate), 2),
        "num_frames": info.num_frames,
        "duration_s": info.duration_s,
        "live": info.is_live,
    }
