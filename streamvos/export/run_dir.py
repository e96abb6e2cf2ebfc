"""The folder of one run: written as the frames come, closed properly whatever happens, able to go on.

During the run the files have temporary names; `checkpoint` makes a point to which a later run can come back:
stage snapshots and the lengths of all files in state.npz, the overlay's segment closed, everything on the
disk. `close` gives the files their final names. A run that did not end keeps what it needs to go on beside
them.

Writing and encoding run in a thread of their own, in order, a few frames behind; its errors are raised by the
next call.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from streamvos.errors import InputError, IntegrityError, OutputError
from streamvos.export import folder as folders
from streamvos.export.parts import disk_errors
from streamvos.export.result_files import OutputConfig, ResultFiles
from streamvos.export.run_report import now, overwrite_status, peak_rss_bytes, versions, write_report
from streamvos.export.same_run import expect_same_settings, expect_same_source
from streamvos.export.timings import Timings
from streamvos.export.worker import Worker
from streamvos.records import Frame, StepResult
from streamvos.snapshot import load_snapshot, save_snapshot
from streamvos.video.info import SourceInfo

_log = logging.getLogger(__name__)
Status = Literal["running", "complete", "interrupted", "failed"]


class RunDirectory:
    """Everything that a run leaves.

    Args:
        path: the folder.
        source_info: of the source that is run.
        config_dict: the resolved configuration, for run.json; a run goes on only with the same.
        given: what else decides the results (where the source is, how far it is read), likewise.
        overwrite: remove the results of an earlier run.
        resume: go on with an earlier run; a new one where there is none.
        config: what to write.

    Attributes:
        is_complete: True where `resume` found a finished run: there is nothing to do.
        next_index: index of the first frame that is still to come.
        last_time_s: time of the last frame, 0 before the first.

    Raises:
        InputError: the folder may not be used, or belongs to another source or other settings.
        OutputError: it cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        source_info: SourceInfo,
        config_dict: Mapping[str, Any],
        given: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
        resume: bool = False,
        config: OutputConfig | None = None,
    ) -> None:
        self.path = Path(path)
        self._info = source_info
        self._config_dict, self._given = _plain(config_dict), _plain(given or {})
        self._config = config or OutputConfig()
        earlier, self._lock = folders.claim(self.path, overwrite, resume)
        self.is_complete = earlier is not None and earlier["status"] == "complete"
        self.next_index, self.last_time_s, self._num_frames = 0, 0.0, 0
        self._stages: dict[str, Any] | None = None
        self._warnings: list[str] = []
        self._timings, self._wall_s = Timings(), 0.0
        self._started, self._began_s = now(), time.perf_counter()
        self._closed = self._is_reported = False
        try:
            self._begin(earlier)
        except BaseException:
            self._lock.release()
            raise

    def write(self, frame: Frame, result: StepResult) -> None:
        """Write one frame; frames come in ascending order of index.

        Raises:
            OutputError: this or an earlier frame could not be written.
        """
        if frame.index != result.frame_index or frame.index < self.next_index:
            raise InputError(
                f"run {str(self.path)!r}: expected frame {self.next_index} or later, got frame {frame.index} "
                f"with the result of frame {result.frame_index}"
            )
        self._timings.add(result.timings_s)
        self.next_index, self.last_time_s = frame.index + 1, frame.time_s
        self._num_frames += 1
        with disk_errors(self.path, self._kept()):
            self._worker.submit(lambda: self._files.write(frame, result))

    def warn(self, text: str) -> None:
        """Note something in run.json that a reader of the results must know."""
        if text not in self._warnings and len(self._warnings) < 200:
            self._warnings.append(text)

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Make this moment, after all frames written so far, the one to which a later run can come back.

        Args:
            state: snapshots of the stages, as `streamvos.snapshot` takes them.
        """
        with disk_errors(self.path, self._kept()):
            self._worker.drain()
            snapshot = {
                "files": self._files.mark(),
                "next_index": self.next_index,
                "num_frames": self._num_frames,
                "last_time_s": self.last_time_s,
                "timings": self._timings.state_dict(),
                "wall_s": self._elapsed_s(),
                "warnings": list(self._warnings),
                "stages": state,
            }
            save_snapshot(self._state_path, snapshot)
            self._report("running")

    def load_state(self) -> dict[str, Any] | None:
        """The stages' snapshots of the last checkpoint; None where the run begins at the beginning."""
        return self._stages

    def close(
        self,
        status: Literal["complete", "interrupted", "failed"],
        products: Mapping[str, Any] | None = None,
        error: BaseException | str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Finish all files.

        Args:
            status: how the run ended.
            products: what the stages left, by the name of the stage; "reconstruct" becomes scene.ply.
            error: why it failed.
            extra: more for run.json.

        Raises:
            OutputError: results could not be written, and the caller does not know yet (gave no `error`).
        """
        if self.is_complete or self._closed:
            return
        self._closed = True
        try:
            self._end(status, products or {}, error, extra)
        except KeyboardInterrupt:
            self._note_interrupt()
            raise
        finally:
            self._lock.release()

    @property
    def _state_path(self) -> Path:
        return self.path / "state.npz"

    def _begin(self, earlier: dict[str, Any] | None) -> None:
        if earlier is not None:
            expect_same_source(self.path, earlier["source"], self._info.to_dict())
            expect_same_settings(
                self.path, earlier["config"] | earlier.get("given", {}), self._config_dict | self._given
            )
        if self.is_complete:
            self.next_index = earlier["counts"]["next_index"]
            self._tidy()
            self._lock.release()
            return
        self._files = ResultFiles(self.path, self._info, self._config)
        self._worker = Worker(self._config.queue_frames)  # before the report says that a run is going on
        try:
            with disk_errors(self.path, "nothing was written"):
                if earlier is not None:
                    self._go_on(earlier)
                self._report("running")
        except BaseException:
            self._worker.stop()
            raise

    def _end(self, status: Status, products: Mapping[str, Any], error: Any, extra: Mapping[str, Any] | None) -> None:
        kept = self._kept()
        problem: BaseException | None = self._worker.stop()
        errors = self._files.finish(products, is_complete=status == "complete" and problem is None)
        problem = problem or next(iter(errors), None)
        if problem is not None:
            status, problem = "failed", self._clear(problem, kept)
        try:
            self._report(status, error or problem, extra)  # from here on the run is what its report says
            self._is_reported = True
        except Exception as failed:
            problem = problem or self._clear(failed, kept)
            status = "failed" if status == "complete" else status
            self._report_in_place(status, str(error or problem))
        if status == "complete":
            self._tidy()
        if problem is not None and error is None:
            raise problem

    def _clear(self, problem: BaseException, kept: str) -> BaseException:
        """The error that says what happened to a user."""
        try:
            with disk_errors(self.path, kept):
                raise problem
        except MemoryError as cause:
            clear = OutputError(f"not enough memory; {kept}; end other programs and go on with resume=True")
            clear.__cause__ = cause
            return clear
        except Exception as clear:
            return clear

    def _tidy(self) -> None:
        """Remove what a complete run no longer needs, also where a kill kept an earlier process from it."""
        try:
            folders.remove_leftovers(self.path)
        except OSError as failed:
            _log.warning("%s: what the run needed to go on was not removed: %s", self.path, failed)

    def _note_interrupt(self) -> None:
        """Someone did not wait for the end: the run can go on, unless its report says already that it is complete."""
        if not self._is_reported:
            self._report_in_place("interrupted", "interrupted while the results were being closed")

    def _report_in_place(self, status: Status, error: str) -> None:
        """So that run.json does not say "running" for ever."""
        try:
            overwrite_status(self.path, status, error)
        except Exception as failed:
            _log.warning("run.json could not be written: %s", failed)

    def _go_on(self, earlier: dict[str, Any]) -> None:
        self._started = earlier["started"]
        snapshot = load_snapshot(self._state_path) if self._state_path.is_file() else None
        try:
            if snapshot is not None:
                self.next_index, self.last_time_s = snapshot["next_index"], snapshot["last_time_s"]
                self._num_frames = snapshot["num_frames"]
                self._timings.load_state_dict(snapshot["timings"])
                self._wall_s, self._warnings = float(snapshot["wall_s"]), [*snapshot["warnings"]]
                self._stages = dict(snapshot["stages"])
            self._files.go_back(None if snapshot is None else dict(snapshot["files"]), self.next_index)
        except (KeyError, IndexError, TypeError, AttributeError, OverflowError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise IntegrityError(
                f"snapshot {self._state_path} is damaged ({type(error).__name__}: {error}); run again with "
                "overwrite=True"
            ) from None

    def _kept(self) -> str:
        return f"results of about {self._num_frames} frames are kept"

    def _elapsed_s(self) -> float:
        return self._wall_s + time.perf_counter() - self._began_s

    def _report(self, status: Status, error: Any = None, extra: Mapping[str, Any] | None = None) -> None:
        wall_s = self._elapsed_s()
        report = {
            "status": status,
            "error": None if error is None else str(error) or type(error).__name__,
            "started": self._started,
            "updated": now(),
            "source": self._info.to_dict(),
            "config": self._config_dict,
            "given": self._given,
            "versions": versions(),
            "counts": {"frames": self._num_frames, "next_index": self.next_index} | self._files.counts(),
            "timings_s": self._timings.summary(),
            "wall_s": round(wall_s, 3),
            "frames_per_s": round(self._num_frames / wall_s, 3) if wall_s > 0 else 0.0,
            "peak_rss_bytes": peak_rss_bytes(),
            "warnings": self._warnings + self._files.warnings,
            "files": sorted({*folders.list_results(self.path, status == "complete"), "run.json"}),
        }
        write_report(self.path, report | dict(extra or {}))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives them back."""
    return json.loads(json.dumps(values, default=str))
