"""One page's video: a run that a person steers while it goes."""

from __future__ import annotations

import dataclasses
import logging
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from apps.live.archive import Log, write_archive
from apps.live.gate import Gate
from apps.live.prompting import Prompting
from apps.live.view import PageView, source_facts
from apps.settings import DemoConfig, RunConfig, for_a_person
from pipelines.graph.chain import Step
from pipelines.run_recorder import record
from pipelines.session import Session
from streamvos.answers import Answer
from streamvos.errors import InputError
from streamvos.export.draw import Shown
from streamvos.export.run_dir import RunDirectory
from streamvos.video.info import Source, SourceInfo

_log = logging.getLogger(__name__)
State = Literal["opening", "ready", "loading", "playing", "paused", "ended", "stopped", "failed"]
_END_WITHIN_S = 60.0


class Player:
    """Runs a source as `streamvos run` does, into a folder of its own. All methods may be called from any thread.

    Args:
        open_source: opens the source at a frame and a time, from which it goes on.
        run: settings; objects may come at any time (`segment.interactive`).
        limits: see `DemoConfig`.
        folder: of the results; made here, removed by `close`.
        discover: also follow what the detector finds.
        playing: let the video run once it is open.
        runner: "local" or "ray".
        cluster: of Ray, shared by all pages.
        expect_room: raises `InputError` where a run that was stopped may not go on now.
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
        playing: bool = False,
        runner: Literal["local", "ray"] = "local",
        cluster: Any = None,
        expect_room: Callable[[], None] = lambda: None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._run, self._limits = dataclasses.replace(run, graph=for_a_person(run.graph)), limits
        self._open, self._discover, self._runner, self._cluster = open_source, discover, runner, cluster
        self.folder, self.on_change, self._expect_room = folder, on_change, expect_room
        self.view = PageView(limits)
        self._lock = self.view.lock
        self._log = Log()
        self._prompting = Prompting(self.view, self._log, "segment" in run.graph.stages)
        self._info: SourceInfo | None = None
        self._notice: str | None = None
        self._gate: Gate | None = None
        self._session: Session | None = None
        self._thread: threading.Thread | None = None
        self._state: State = "opening"
        self._stop_asked = self._is_closed = False
        self._created_s = time.monotonic()
        self._packing = threading.Lock()
        self.packed: Path | None = None  # the latest archive
        self._next = 0, 0.0
        self._start(playing)

    def play(self) -> None:
        """Let the video run; a run that was stopped goes on where it was."""
        if self._state == "stopped" and self._next[0] and not self._is_closed:
            if self._age_s() > self._limits.max_run_s:
                raise InputError(self._limits.time_is_up())
            self._expect_room()
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
                self._notice = self._limits.time_is_up()
            self.stop()

    def click(self, x: float, y: float, on: bool, object_id: int | None = None, is_new: bool = False) -> dict[str, int]:
        """Point at the picture that is shown; while the video opens, this is kept for its first frame.

        Args:
            x, y: as shares of its width and height.
            on: on the object, or off it.
            object_id: the object that is corrected. None: the one whose mask is clicked, else a new one.
            is_new: a new one in any case.

        Returns:
            {"object", "frame"}: who was pointed at, and at which frame it takes effect.

        Raises:
            InputError: nothing can be pointed at now.
        """
        with self._lock:
            gate, size = self._pointed_at()
            return self._prompt(gate, *self._prompting.click(size, x, y, on, object_id, is_new))

    def box(self, x1: float, y1: float, x2: float, y2: float, object_id: int | None = None) -> dict[str, int]:
        """Draw a box, its corners as shares of the picture's width and height; see `click`."""
        with self._lock:
            gate, size = self._pointed_at()
            return self._prompt(gate, *self._prompting.box(size, (x1, y1, x2, y2), object_id))

    def name(self, object_id: int, label: str) -> None:
        """Give an object a name."""
        self._running()
        with self._lock:
            self.view.objects.checked(object_id)
            self._session.name(object_id, label)
            self.view.objects.rename(object_id, label)
            self._log.name(object_id, label)
        self._tell()

    def remove(self, object_id: int) -> None:
        """Follow an object no longer."""
        self._running()
        with self._lock:
            self.view.objects.checked(object_id)
            # a click of this moment goes with the same frame, and would bring it back
            index = self._session.next_index + self.view.objects.is_pointed_at(object_id)
            self._session.remove(object_id, index)
            self._log.remove(index, object_id)
            self.view.objects.remove(object_id)
            self._prompting.forget(object_id)
        self._tell()

    def hide(self, object_id: int, hidden: bool) -> None:
        """Leave an object out of the picture, or put it back."""
        with self._lock:
            self.view.objects.hide(object_id, hidden)
        self._tell()

    def show(self, shown: Shown) -> None:
        """What is drawn into the picture; who is hidden is decided by `hide`."""
        self.view.show(shown)
        self._tell()

    def look_at(self, time_s: float | None) -> None:
        """Show the kept moment nearest to a time; None: the newest again."""
        self.view.look_at(time_s)
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
            return "loading" if self._gate.is_playing else "ready"
        return "playing" if self._gate.is_playing else "paused"

    def report(self) -> dict[str, Any]:
        """What the page is told beside the picture, as plain values."""
        with self._lock:
            gate, info = self._gate, self._info
            return {
                "type": "state",
                "video": round(1000 * self._created_s),  # another one for another video
                "state": self.state,
                "notice": self._notice,
                "warning": gate.warnings[-1] if gate is not None and gate.warnings else None,
                "source": None if info is None else source_facts(info),
                "num_done": self._next[0],
                "num_dropped": 0 if gate is None else gate.num_dropped,
                "can_point": "segment" in self._run.graph.stages,
                **self.view.report(),
            }

    def note_shown(self, frame_index: int) -> None:
        """The page has this frame on its screen now."""
        passed_s = None if self._gate is None else self._gate.passed_s(frame_index)
        if passed_s is not None:
            self.view.note_delay(time.monotonic() - passed_s)

    def _start(self, playing: bool) -> None:
        with self._lock:
            self._state, self._notice, self._gate, self._stop_asked = "opening", None, None, self._is_closed
        self._thread = threading.Thread(target=self._work, args=(playing,), name="player", daemon=True)
        self._thread.start()
        self._tell()

    def _work(self, playing: bool) -> None:
        try:
            with self._open(*self._next) as source:
                if (source.info.duration_s or 0) > self._limits.max_video_s:
                    raise InputError(self._limits.too_long(source.info.duration_s))
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
            self._info = info
        if not info.is_live and self.view.is_empty and (first := gate.look()) is not None:
            self.view.take_first(first)
            self._tell()
        given = {"runner": self._runner, "discover": self._discover}
        run_dir = RunDirectory(self.folder, info, self._run.to_dict(), given, resume=True, config=self._run.output)
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
                if self._prompting.send_kept(session) and not gate.is_playing:
                    gate.advance()
                stop_asked = self._stop_asked
            if stop_asked:
                gate.stop()
            self._tell()
            try:
                status = record(
                    session,
                    gate,
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
        result = step.result
        stats = self._session.stats() if self.view.gauges_are_due else None  # before the lock: with Ray it waits
        with self._lock:
            self.view.take(step.frame, result, stats)
            self._next = result.frame_index + 1, result.time_s + 0.001
            for event in result.events:
                if event.action == "reject" and event.entry in {f"object {one.object_id}" for one in result.prompts}:
                    self._notice = f"{event.entry} could not be followed: {event.reason}"
                    self._log.take_back(result.frame_index, event.entry)
        self._tell()
        if self._age_s() > self._limits.max_run_s:
            self._notice = self._limits.time_is_up()
            gate.stop()
        elif not gate.info.is_live and result.time_s > self._limits.max_video_s:
            self._notice = self._limits.too_long(result.time_s)
            gate.stop()

    def _fail(self, message: str) -> None:
        # where things lie on the server is nobody's business
        message = re.sub(rf"{re.escape(tempfile.gettempdir())}/(?:[^/\s']+/)*", "", message)
        with self._lock:
            self._state, self._notice = "failed", message

    def _age_s(self) -> float:
        return time.monotonic() - self._created_s

    def _running(self) -> Gate:
        gate = self._gate
        if gate is None or self._state != "paused":
            why = {
                "opening": "the video is still being opened",
                "ended": "the video is over, so nothing new can be followed: play it again to start anew",
                "stopped": "the run is stopped: press play to go on",
            }
            raise InputError(why.get(self._state, "nothing is running: open a video first"))
        return gate

    def _pointed_at(self) -> tuple[Gate | None, tuple[int, int]]:
        """The gate, None while the video opens, and the (H, W) of its frames."""
        is_opening = self._state == "opening" and not self.view.is_empty
        gate = None if is_opening else self._running()
        return gate, (self._info.height, self._info.width)

    def _prompt(self, gate: Gate | None, object_id: int, fields: dict[str, np.ndarray]) -> dict[str, int]:
        """Send a prompt with the next frame, and that frame on its way where the video rests."""
        if gate is None:
            self._prompting.keep(object_id, fields)
            return {"object": object_id, "frame": self._next[0]}
        index = self._prompting.send(self._session, object_id, fields)
        self._notice = None
        if not gate.is_playing:
            gate.advance()
        return {"object": object_id, "frame": index}

    def _tell(self) -> None:
        self.view.number += 1
        self.on_change()
