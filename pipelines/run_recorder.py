"""A session whose results go into a run directory, with checkpoints, whatever way it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

from pipelines.graph.chain import Step
from pipelines.session import Session
from streamvos.export.run_dir import RunDirectory
from streamvos.video.info import Source

_SHOWN_PROMPTS = 5


def record(
    session: Session,
    source: Source,
    run_dir: RunDirectory,
    *,
    checkpoint_every: int = 300,
    was_stopped: Callable[[], bool] = lambda: False,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Literal["complete", "interrupted"]:
    """Run a source to its end, or to where it was stopped, and close the run directory.

    Args:
        session: fresh; goes on from the directory's checkpoint where there is one.
        source: open, its next frame is `run_dir.next_index`.
        run_dir: takes the results; closed at the end, also after an error.
        checkpoint_every: frames between two points to which a later run can come back; smaller loses less, and
            waits for the disk more often.
        was_stopped: True where the source ended because someone asked for it; the run can then go on later.
        on_step: called with every frame and its result, once it is written.
    """
    pace = _Pace()
    try:
        state = run_dir.load_state()
        if state is not None:
            session.restore(state, run_dir.next_index, run_dir.last_time_s)
        for step in session.steps(source, snapshot_every=checkpoint_every):
            pace.count()
            run_dir.write(step.frame, step.result)
            if step.snapshot is not None:
                run_dir.checkpoint(step.snapshot)
            on_step(step)
        status: Literal["complete", "interrupted"] = "interrupted" if was_stopped() else "complete"
        if status == "interrupted":
            run_dir.checkpoint(session.state_dict())
        session.finish()
        products = session.products()
    except Exception as error:
        _warn(run_dir, source)
        run_dir.close("failed", error=error, extra=_extra(session, source, pace))
        raise
    except BaseException as error:  # a second Ctrl-C
        run_dir.close("interrupted", error=error, extra=_extra(session, source, pace))
        raise
    if status == "complete" and (unused := unused_prompts(session)):
        run_dir.warn(unused)
    _warn(run_dir, source)
    run_dir.close(status, products, extra=_extra(session, source, pace))
    return status


def unused_prompts(session: Session) -> str | None:
    """One sentence on the prompts and removals whose frame never came; None where all were used."""
    told = [f"prompt for object {prompt.object_id} at frame {prompt.frame_index}" for prompt in session.waiting_prompts]
    told += [f"removal of object {one.object_id} at frame {one.frame_index}" for one in session.waiting_removals]
    if not told:
        return None
    more = f" and {len(told) - _SHOWN_PROMPTS} more" if len(told) > _SHOWN_PROMPTS else ""
    return f"never used, the source ended before: {', '.join(told[:_SHOWN_PROMPTS])}{more}"


def _warn(run_dir: RunDirectory, source: Source) -> None:
    for warning in source.warnings:
        run_dir.warn(warning)


class _Pace:
    """Frames per second from the first result on, without the time that models take to load."""

    def __init__(self) -> None:
        self._num, self._first_s, self._last_s = 0, 0.0, 0.0

    def count(self) -> None:
        self._num, self._last_s = self._num + 1, time.perf_counter()
        if self._num == 1:
            self._first_s = self._last_s

    @property
    def frames_per_s(self) -> float | None:
        return round((self._num - 1) / (self._last_s - self._first_s), 3) if self._num > 1 else None


def _extra(session: Session, source: Source, pace: _Pace) -> dict[str, Any]:
    try:
        stats = session.stats()
    except Exception:  # the processes that could say so are gone, which is reported already
        stats = {}
    memories = {name: asdict(memory) for name, memory in stats.items()}
    return {
        "memories": memories,
        "dropped_frames": source.num_dropped,
        "steady_frames_per_s": pace.frames_per_s,  # since the last start
    }
