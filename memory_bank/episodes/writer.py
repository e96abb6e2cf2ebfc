"""Following the stream: each frame's coverage, cuts, summaries, names, removals and sightings, in this order."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from memory_bank.episodes import budget, journal, policy, rows
from memory_bank.episodes.coverage import Coverage
from memory_bank.episodes.moment import Moment, Tell
from memory_bank.episodes.open_spans import OpenSpans
from memory_bank.episodes.policy import EpisodeConfig
from memory_bank.episodes.recorder import SpanRecorder
from memory_bank.episodes.store import Store
from memory_bank.episodes.summaries import Encoder
from memory_bank.episodes.summary_windows import SummaryWindows


@dataclass(frozen=True)
class _Progress:
    """How far the stream is written.

    Args:
        last_ms, last_frame: the newest frame; None and -1 before the first.
        commit_ms: the frame of the last commit, or the first frame.
        first_ms: the first frame.
        camera: whether the pose of the camera was known when last noted; None where nobody estimates it.
    """

    last_ms: int | None = None
    last_frame: int = -1
    commit_ms: int = 0
    first_ms: int = 0
    camera: str | None = None


class EpisodeWriter:
    """Writes frame after frame into an open store, and commits now and then.

    Args:
        store: where rows go.
        encoder: sentence embeddings for the summaries; None stores none.
        config: times.
        budget_bytes: of tables and pictures.
        tell: reports a decision.
    """

    def __init__(
        self, store: Store, encoder: Encoder | None, config: EpisodeConfig, budget_bytes: int, tell: Tell
    ) -> None:
        self._store, self._config, self._budget_bytes, self._tell = store, config, budget_bytes, tell
        self._progress = _Progress()
        self._spans = OpenSpans(config)
        self._coverage = Coverage(store, config.gap_s)
        self._windows = SummaryWindows(store, encoder, config, tell)
        self._recorder = SpanRecorder(store, self._spans, tell)

    @property
    def has_begun(self) -> bool:
        """Whether a frame was written."""
        return self._progress.last_ms is not None

    @property
    def last_frame(self) -> int:
        """The newest frame; -1 before the first."""
        return self._progress.last_frame

    def wants_pixels(self, key: int | str, t_ms: int) -> bool:
        """Whether the colour of a thing is wanted in the frame at `t_ms`."""
        return self._spans.wants_pixels(key, t_ms)

    def write(self, moment: Moment) -> None:
        """Take one frame; frames come in order."""
        t_ms, frame = moment.t_ms, moment.frame_index
        if not self.has_begun:
            self._progress = replace(self._progress, commit_ms=t_ms, first_ms=t_ms)
            self._windows.begin_stream(t_ms)
        gap = moment.sightings is not None and self._coverage.extend(moment)
        if gap:
            self._recorder.end_all("gap", t_ms)
        if moment.is_cut:
            self._recorder.end_all("cut", t_ms)
            rows.add_event(self._store, "cut", t_ms, frame, f"shot {moment.shot + 1}")
        self._turn_window(moment, gap)
        for object_id, label in moment.names.items():
            self._recorder.rename(object_id, label, moment)
        for object_id in moment.removed:
            self._recorder.take_out(object_id, t_ms)
        if moment.sightings is not None:
            self._recorder.record(moment, policy.bridge_ms(self._coverage.period_ms, self._config.bridge_s))
        self._note_camera(moment)
        self._windows.extend(moment)
        self._progress = replace(self._progress, last_ms=t_ms, last_frame=frame)
        pause_ms = round(1000 * self._config.commit_s)
        is_young = t_ms - self._progress.first_ms < pause_ms  # so that it can be asked about from the first frame on
        if is_young or t_ms - self._progress.commit_ms >= pause_ms or self._is_over_budget():
            self._commit(t_ms)

    def forget(self, object_id: int) -> None:
        """Let go of what is held in memory of an object."""
        self._spans.forget(object_id)

    def finish(self) -> None:
        """End what is open and commit."""
        last_ms = self._progress.last_ms
        if last_ms is None:
            return
        self._recorder.confirm_brief_stream()
        self._recorder.end_all("end", last_ms)
        self._windows.close("end")
        self._commit(last_ms)

    def state_dict(self) -> dict[str, Any]:
        return {
            "progress": asdict(self._progress),
            "spans": self._spans.state_dict(),
            "coverage": self._coverage.state_dict(),
            "windows": self._windows.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._progress = _Progress(**state["progress"])
        self._spans.load_state_dict(state["spans"])
        self._coverage.load_state_dict(state["coverage"])
        self._windows.load_state_dict(state["windows"])

    def _turn_window(self, moment: Moment, gap: bool) -> None:
        """End the summary that is due, begin the next one with a picture, and sum up the windows that passed."""
        if why := self._windows.must_close(moment, gap):
            self._recorder.flush()
            self._windows.close(why)
        if self._windows.open(moment):
            of = "a shot" if moment.is_cut else "a summary"
            picture = moment.picture()
            self._recorder.keep_picture(moment.frame_index, moment.t_ms, moment.shot, picture, "first", of)
        self._windows.roll_up(moment.t_ms)

    def _note_camera(self, moment: Moment) -> None:
        if moment.camera is None or moment.camera == self._progress.camera:
            return
        if self._spans.last_sample_ms != moment.t_ms:
            return  # at the pace of the observations, so that a flickering pose does not flood the events
        if self._progress.camera is not None:
            rows.add_event(self._store, "camera", moment.t_ms, moment.frame_index, moment.camera)
        self._progress = replace(self._progress, camera=moment.camera)

    def _is_over_budget(self) -> bool:
        """Whether store and journal outgrew the budget before the next commit is due."""
        taken = self._store.total_bytes()
        if taken <= self._budget_bytes - self._journal_share:
            return False  # the journal is not weighed at each frame: that takes a walk through it
        return taken + journal.journal_bytes(self._store.db) > self._budget_bytes

    @property
    def _journal_share(self) -> int:
        return int(self._budget_bytes * policy.JOURNAL_SHARE)

    def _commit(self, now_ms: int) -> None:
        self._recorder.flush()
        share = self._journal_share
        budget.enforce(self._store, self._budget_bytes - share, now_ms, self._tell)
        for frame in journal.limit(self._store.db, self._store.directory, share):
            reason = f"the journal that takes the memory back to it is limited to {share:,} bytes"
            self._tell("evict", f"snapshot of frame {frame}", reason)
        self._store.commit()
        self._progress = replace(self._progress, commit_ms=now_ms)
