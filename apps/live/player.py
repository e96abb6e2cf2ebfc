"""One page's video: a run that a person steers while it goes, and what the page is told of it."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from apps.live.archive import Log, write_archive
from apps.live.gate import Gate
from apps.live.history import History, Moment, encode_jpeg, fitted
from apps.live.objects import Objects
from apps.live.pointing import Pointing
from apps.live.words import Feed, gauges
from apps.settings import DemoConfig, RunConfig
from pipelines.graph import GraphConfig
from pipelines.pipeline import Step
from pipelines.recorder import record
from pipelines.session import Session
from streamvos.answers import Answer
from streamvos.config import to_dict
from streamvos.errors import InputError
from streamvos.export.draw import EVERYTHING, Shown, draw_result
from streamvos.export.masks import paint
from streamvos.export.run_dir import RunDirectory
from streamvos.export.timeline import Timeline
from streamvos.records import Frame, Prompt, StepResult
from streamvos.video.info import Source, SourceInfo

_log = logging.getLogger(__name__)
State = Literal["opening", "ready", "loading", "playing", "paused", "ended", "stopped", "failed"]
_RATE_OVER_S = 3.0
_GAUGES_EVERY_S = 0.4  # with Ray they wait for the stages
_COMMIT_S = 0.2  # of video until the memory can be asked about it
_END_WITHIN_S = 60.0


class Player:
    """Runs a source as `streamvos run` does, into a folder of its own. All methods may be called from any thread.

    Args:
        open_source: opens the source at a frame and a time, from which it goes on.
        run: settings; objects may come at any time (`segment.interactive`).
        limits: see `DemoConfig`.
        folder: of the results; made here, removed by `close`.
        discover: also follow what the detector finds.
        runner: "local" or "ray".
        cluster: of Ray, shared by all pages.
        on_change: called when there is something new to show; must not wait.
    """

    def __init__(
        self,
        open_source: Callable[[int, float], Source],
        run: RunConfig,
        limits: DemoConfig,
        folder: Path,
        *,
        discover: bool = False,
        runner: Literal["local", "ray"] = "local",
        cluster: Any = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._run, self._limits = dataclasses.replace(run, graph=_for_a_person(run.graph)), limits
        self._open, self._discover, self._runner, self._cluster = open_source, discover, runner, cluster
        self.folder, self.on_change = folder, on_change
        self._lock = threading.RLock()
        self._history = History(limits.history_mib << 20)
        self._timeline = Timeline(max_rows=24, max_spans=60)
        self._feed, self._log = Feed(), Log()
        self._objects, self._pointing = Objects(), Pointing()
        self._gauges: list[dict[str, Any]] = []
        self._gauged_s = 0.0
        self._shown_at: deque[float] = deque(maxlen=256)
        self._moment: Moment | None = None
        self._looking_back: Moment | None = None
        self._shown = EVERYTHING
        self._info: SourceInfo | None = None
        self._full_size = (0, 0)
        self._notice: str | None = None
        self._answer: dict[str, Any] | None = None
        self._number = 0  # of the picture, for the page
        self._gate: Gate | None = None
        self._session: Session | None = None
        self._thread: threading.Thread | None = None
        self._state: State = "opening"
        self._stop_asked = self._is_closed = False
        self._created_s = time.monotonic()
        self._packing = threading.Lock()
        self.packed: Path | None = None  # the latest archive
        self._next = 0, 0.0
        self._let_through: dict[int, float] = {}
        self._delays_s: deque[float] = deque(maxlen=512)
        self._start()

    # -- what a person does ------------------------------------------------------------------------------------

    def play(self) -> None:
        """Let the video run; a run that was stopped goes on where it was."""
        if self._state == "stopped" and self._next[0] and not self._is_closed:
            self._expect_time()
            self._start(playing=True)
            return
        self._running().play()
        self.look_at(None)

    def pause(self) -> None:
        self._running().pause()
        self._tell()

    def advance(self) -> None:
        """Process one frame."""
        self._running().advance()
        self.look_at(None)

    def stop(self) -> None:
        """End the run properly; its results are complete up to here, and `play` goes on."""
        with self._lock:
            self._stop_asked = True
            gate, thread = self._gate, self._thread
        if gate is not None:
            gate.stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_END_WITHIN_S)

    def close(self) -> None:
        """End the run; nothing can follow."""
        self._is_closed = True
        self.stop()

    def expire(self) -> None:
        """Stop a run that has taken its time, also one that rests."""
        if self.is_running and self._age_s() > self._limits.max_run_s:
            with self._lock:
                self._notice = self._time_is_up()
            self.stop()

    def click(self, x: float, y: float, on: bool, object_id: int | None = None) -> dict[str, int]:
        """Point at the picture that is shown.

        Args:
            x, y: as shares of its width and height.
            on: on the object, or off it.
            object_id: the object that is corrected; None for a new one.

        Returns:
            {"object", "frame"}: who was pointed at, and at which frame it takes effect.

        Raises:
            InputError: nothing can be pointed at now.
        """
        gate = self._running()
        with self._lock:
            moment = self._moment_to_point_at()
            height, width = self._full_size
            number = self._objects.new_id() if object_id is None else self._objects.checked(object_id)
            box = self._objects.box_in(moment.result, number)
            if box is not None:
                box = box * (np.array([width, height] * 2, np.float32) / np.array([*moment.image.shape[1::-1]] * 2))
            at = min(x, 1.0) * (width - 1), min(y, 1.0) * (height - 1)
            fields = self._pointing.click(number, *at, on, moment.result.frame_index, box)
            return self._prompt(gate, number, fields)

    def box(self, x1: float, y1: float, x2: float, y2: float, object_id: int | None = None) -> dict[str, int]:
        """Draw a box, its corners as shares of the picture's width and height; see `click`."""
        gate = self._running()
        with self._lock:
            self._moment_to_point_at()
            height, width = self._full_size
            number = self._objects.new_id() if object_id is None else self._objects.checked(object_id)
            corners = np.array([min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]) * ([width, height] * 2)
            self._pointing.forget(number)
            return self._prompt(gate, number, {"box": corners.astype(np.float32)})

    def name(self, object_id: int, label: str) -> None:
        """Give an object a name."""
        self._running()
        with self._lock:
            self._objects.checked(object_id)
            self._session.name(object_id, label)
            self._objects.rename(object_id, label)
            self._log.name(object_id, label)
        self._tell()

    def remove(self, object_id: int) -> None:
        """Follow an object no longer."""
        self._running()
        with self._lock:
            self._objects.checked(object_id)
            # a click of this moment goes with the same frame, and would bring it back
            index = self._session.next_index + self._objects.is_pointed_at(object_id)
            self._session.remove(object_id, index)
            self._log.remove(index, object_id)
            self._objects.remove(object_id)
            self._pointing.forget(object_id)
        self._tell()

    def hide(self, object_id: int, hidden: bool) -> None:
        """Leave an object out of the picture, or put it back."""
        with self._lock:
            self._objects.hide(object_id, hidden)
        self._tell()

    def show(self, shown: Shown) -> None:
        """What is drawn into the picture; who is hidden is decided by `hide`."""
        with self._lock:
            self._shown = shown
        self._tell()

    def look_at(self, time_s: float | None) -> None:
        """Show the kept moment nearest to a time; None: the newest again."""
        with self._lock:
            self._looking_back = None if time_s is None else self._history.at(time_s)
        self._tell()

    def ask(self, question: str) -> Answer:
        """Answer a question from the long memory."""
        if self._session is None:
            raise InputError("there is nothing to ask about yet: let the video play first")
        return self._session.ask(question)

    def archive(self) -> Path:
        """Stop the run and pack its results.

        Raises:
            InputError: there are none yet.
        """
        if not self._next[0]:
            raise InputError("there is nothing to export yet: let the video play first")
        with self._packing:
            self.stop()
            if self.is_running:
                raise InputError("the run has not ended yet: try again in a minute")
            self.packed = write_archive(self.folder, self._info.name, self._log.to_dict(self._next[0]))
            return self.packed

    # -- what the page is told ---------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether the run is still going, or resting; its results stay when it is not."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def state(self) -> State:
        """What the run does now."""
        if self._state != "paused":
            return self._state
        if not self._next[0]:
            return "loading" if self._gate.is_playing or self._session is None else "ready"
        return "playing" if self._gate.is_playing else "paused"

    def picture(self) -> tuple[dict[str, Any], bytes] | None:
        """What is shown now as JPEG, with what the page must know of it; None before the first frame."""
        with self._lock:
            moment, number = self._looking_back or self._moment, self._number
            shown = dataclasses.replace(self._shown, hidden=self._objects.hidden)
            is_past = self._looking_back is not None
        if moment is None:
            return None
        result = moment.result
        labels = None if result.masks is None else paint(result.masks)
        head = {
            "type": "picture",
            "number": number,
            "frame": result.frame_index,
            "time_s": result.time_s,
            "past": is_past,
        }
        return head, encode_jpeg(draw_result(moment.image, result, labels, shown))

    @property
    def number(self) -> int:
        """Changes whenever `picture` does."""
        return self._number

    def report(self) -> dict[str, Any]:
        """Everything else, as plain values."""
        with self._lock:
            info, result = self._info, None if self._moment is None else self._moment.result
            timeline = self._timeline.state_dict()
            return {
                "type": "state",
                "state": self.state,
                "notice": self._notice,
                "warning": self._gate.warnings[-1] if self._gate is not None and self._gate.warnings else None,
                "source": None if info is None else _source(info),
                "frame": None if result is None else result.frame_index,
                "time_s": None if result is None else result.time_s,
                "looking_back_s": None if self._looking_back is None else self._looking_back.result.time_s,
                "num_done": self._next[0],
                "frames_per_s": self._rate(),
                "num_dropped": 0 if self._gate is None else self._gate.num_dropped,
                "delay_s": round(float(np.median(list(self._delays_s)[-25:])), 3) if self._delays_s else None,
                "can_point": "segment" in self._run.graph.stages,
                "shown": {
                    field.name: getattr(self._shown, field.name)
                    for field in dataclasses.fields(self._shown)
                    if field.name not in ("header", "hidden")
                },
                "has_depth": result is not None and result.scene is not None and result.scene.depth_m is not None,
                "objects": self._objects.rows(),
                "timeline": {"rows": self._objects.timeline_rows(timeline["rows"]), "cuts": timeline["cuts"][:200]},
                "memories": self._gauges,
                "feed": self._feed.lines(),
            }

    def thumbnails(self) -> dict[int, tuple[int, bytes]]:
        """Number and JPEG of each object's picture; the number changes with it."""
        with self._lock:
            return self._objects.thumbnails()

    def note_shown(self, frame_index: int) -> None:
        """The page has this frame on its screen now."""
        with self._lock:
            began = self._let_through.pop(frame_index, None)
            if began is not None:
                self._delays_s.append(time.monotonic() - began)

    def delays_s(self) -> list[float]:
        """Seconds from a frame's leaving the source to the page's word that it is on the screen; the latest."""
        with self._lock:
            return list(self._delays_s)

    def forget_delays(self) -> None:
        """What is measured from now on counts."""
        with self._lock:
            self._delays_s.clear()

    # -- the run -----------------------------------------------------------------------------------------------

    def _start(self, playing: bool = False) -> None:
        with self._lock:
            self._state, self._notice, self._gate, self._stop_asked = "opening", None, None, self._is_closed
        self._thread = threading.Thread(target=self._work, args=(playing,), name="player", daemon=True)
        self._thread.start()
        self._tell()

    def _work(self, playing: bool) -> None:
        try:
            with self._open(*self._next) as source:
                self._expect_allowed(source.info)
                # a camera's picture would grow old while it waits
                with Gate(source, playing or source.info.is_live) as gate:
                    self._go_through(gate)
        except InputError as error:
            self._fail(str(error))
        except Exception as error:
            _log.exception("a run of the demo failed")
            self._fail(f"the run failed ({type(error).__name__}: {error}); export what it found, or open it again")
        self._tell()

    def _go_through(self, gate: Gate) -> None:
        info = gate.info
        with self._lock:
            self._info, self._full_size = info, (info.height, info.width)
        if not info.is_live and self._moment is None and (first := gate.look()) is not None:
            with self._lock:
                self._show(fitted(first.image, StepResult.of(first), self._limits.view_px))
            self._tell()
        config = to_dict(self._run) | {"runner": self._runner, "discover": self._discover}
        run_dir = RunDirectory(self.folder, info, config, resume=True, config=self._run.output)
        session = Session(
            self._run.graph,
            runner=self._runner,
            memory_dir=self.folder / "memory",
            discover=self._discover,
            cluster=self._cluster,
        )
        with session:
            try:
                if run_dir.load_state() is None:
                    session.prepare(info)  # so that the first click does not wait for models
            except BaseException as error:
                run_dir.close("failed", error=error)
                raise
            with self._lock:
                self._gate, self._session, self._state = gate, session, "paused"
                stop_asked = self._stop_asked
            if stop_asked:
                gate.stop()
            self._tell()
            try:
                status = record(
                    session,
                    _Timed(gate, self._let_through),
                    run_dir,
                    was_stopped=lambda: gate.is_stopped,
                    on_step=lambda step: self._take(step, gate),
                )
            except InputError:
                if gate.is_stopped and not self._next[0]:
                    status = "interrupted"  # before its first frame: nothing was to be written
                else:
                    raise
        with self._lock:
            self._state = "ended" if status == "complete" else "stopped"

    def _take(self, step: Step, gate: Gate) -> None:
        """Take in one frame's result; runs in the run's own thread."""
        result, now = step.result, time.monotonic()
        moment = fitted(step.frame.image, result, self._limits.view_px)
        is_due = now - self._gauged_s >= _GAUGES_EVERY_S
        stats = self._session.stats() if is_due else {}  # before the lock: with Ray they wait for the stages
        with self._lock:
            self._show(moment)
            self._shown_at.append(now)
            self._objects.take(step.frame, result)
            self._timeline.add(result)
            self._feed.add(result)
            if is_due:
                self._gauges, self._gauged_s = gauges(stats), now
            self._next = result.frame_index + 1, result.time_s + 0.001
            for event in result.events:
                if event.action == "reject" and event.entry in {f"object {one.object_id}" for one in result.prompts}:
                    self._notice = f"{event.entry} could not be followed: {event.reason}"
                    self._log.take_back(result.frame_index, event.entry)
        self._tell()
        if self._age_s() > self._limits.max_run_s:
            self._notice = self._time_is_up()
            gate.stop()
        elif not gate.info.is_live and result.time_s > self._limits.max_video_s:
            self._notice = self._too_long(result.time_s)
            gate.stop()

    def _show(self, moment: Moment) -> None:
        self._history.add(moment)
        self._moment = moment

    def _fail(self, message: str) -> None:
        place = self.folder.parent  # of this page on the server, which is nobody's business
        message = message.replace(f"{place}/upload/", "").replace(f"{place}/", "")
        with self._lock:
            self._state, self._notice = "failed", message

    def _expect_allowed(self, info: SourceInfo) -> None:
        if info.duration_s is not None and info.duration_s > self._limits.max_video_s:
            raise InputError(self._too_long(info.duration_s))

    def _too_long(self, duration_s: float) -> str:
        return (
            f"the video is {duration_s / 60:.1f} minutes long or more; at most {self._limits.max_video_s / 60:.0f} "
            "minutes are taken here: cut it, or use `streamvos run`, which has no limit"
        )

    def _time_is_up(self) -> str:
        return f"a run ends after {self._limits.max_run_s / 60:.0f} minutes here: export it, or open another video"

    def _expect_time(self) -> None:
        if self._age_s() > self._limits.max_run_s:
            raise InputError(self._time_is_up())

    def _age_s(self) -> float:
        return time.monotonic() - self._created_s

    def _running(self) -> Gate:
        gate = self._gate
        if gate is None or self._state != "paused":
            why = {
                "opening": "the video is still being opened",
                "ended": "the video is over: open it again to start anew",
                "stopped": "the run is stopped: press play to go on",
            }
            raise InputError(why.get(self._state, "nothing is running: open a video first"))
        return gate

    def _moment_to_point_at(self) -> Moment:
        if "segment" not in self._run.graph.stages:
            raise InputError("nothing can be followed without the segment stage")
        if self._looking_back is not None:
            raise InputError("this moment is past: go back to now to point at something")
        if self._moment is None:
            raise InputError("there is no picture yet")
        return self._moment

    def _prompt(self, gate: Gate, object_id: int, fields: dict[str, np.ndarray]) -> dict[str, int]:
        """Send a prompt with the next frame, and that frame on its way where the video rests."""
        session = self._session
        while True:
            index = session.next_index
            try:
                session.add(Prompt(index, object_id, **fields))
                break
            except InputError:
                if session.next_index == index:  # otherwise that frame left in this very moment
                    raise
        self._objects.point_at(object_id)
        self._log.prompt(index, object_id, fields)
        self._notice = None
        if not gate.is_playing:
            gate.advance()
        return {"object": object_id, "frame": index}

    def _rate(self) -> float | None:
        """Frames per second of late, None where too few came."""
        now = time.monotonic()
        late = [at for at in self._shown_at if now - at < _RATE_OVER_S]
        return round((len(late) - 1) / (late[-1] - late[0]), 2) if len(late) > 1 and late[-1] > late[0] else None

    def _tell(self) -> None:
        self._number += 1
        self.on_change()


def _for_a_person(graph: GraphConfig) -> GraphConfig:
    """The graph with objects that may come at any time, and a memory that can be asked about what just happened."""
    episodes = graph.remember.episodes
    episodes = dataclasses.replace(episodes, commit_s=min(episodes.commit_s, _COMMIT_S))
    return dataclasses.replace(
        graph,
        segment=dataclasses.replace(graph.segment, interactive=True),
        remember=dataclasses.replace(graph.remember, episodes=episodes),
    )


class _Timed(Source):
    """Notes when each frame was let through; of the latest few."""

    def __init__(self, gate: Gate, times: dict[int, float]) -> None:
        self._gate, self._times = gate, times

    @property
    def info(self) -> SourceInfo:
        return self._gate.info

    @property
    def warnings(self) -> list[str]:
        return self._gate.warnings

    @property
    def num_dropped(self) -> int:
        return self._gate.num_dropped

    def __next__(self) -> Frame:
        frame = next(self._gate)
        self._times[frame.index] = time.monotonic()
        self._times.pop(frame.index - 64, None)
        return frame


def _source(info: SourceInfo) -> dict[str, Any]:
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
