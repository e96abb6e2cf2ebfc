"""One stream through the graph: frames in, results out, prompts and questions at any time."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from memory_bank.protocol import MemoryStats
from pipelines.answer import ask
from pipelines.graph.build import GraphConfig, StreamSetup, resolve, with_settings
from pipelines.graph.chain import Runner, Step
from pipelines.graph.runners import RUNNERS, RunnerSetup
from pipelines.prompts import Schedule, check_prompts
from streamvos.answers import Answer
from streamvos.errors import InputError
from streamvos.models.detectors import DetectorFunction
from streamvos.records import Frame, Prompt, Removal, StepResult
from streamvos.video.arrays import ArraySource, FrameClock, is_source_of_arrays
from streamvos.video.info import Source, SourceConfig, SourceInfo, parse_rate
from streamvos.video.sources import open_source

_BUILDING = threading.Lock()  # models load one after the other: libraries that import on demand fail in two threads


class Session:
    """Follows objects through one stream and remembers it.

    Args:
        config: settings; the defaults where None.
        runner: "local" computes in this process, "ray" in processes of their own, with the same results.
        memory_dir: folder of the long memory; a temporary one, removed by `close`, where None.
        prompts: objects to follow; more may come by `add`.
        discover: also start objects that the detector finds; None: only where no `prompts` are given.
        rate: frames a second, as 30 or "30000/1001", of pictures that come without a time.
        address: of a running Ray cluster; None starts Ray on this machine.
        placement: "fused" or "split", see `pipelines.graph.ray_runner`; None decides by the number of CPUs.
        cluster: a `pipelines.graph.ray_cluster.Cluster` shared with other sessions, in place of `address`; not closed
            here.
        detector: your own: takes an (H, W, 3) uint8 RGB picture, gives `Detections` or boxes (N, 4) xyxy in pixels,
            scores (N,) from 0 to 1 and N class names, which may be any. `runner="ray"` sends it to another process.
        settings: fields of `GraphConfig` by name, such as `size=256` or `detect={"every": 3}`.

    Raises:
        InputError: an unknown setting, or one out of range.
        MissingWeightsError: the profile needs weights that are not on this machine.

    Example:
        with Session() as session:
            for result in session.run("clip.mp4"):
                print(result.frame_index, result.masks.object_ids)
            print(session.ask("when did the first dog appear?").text)
    """

    def __init__(
        self,
        config: GraphConfig | None = None,
        *,
        runner: Literal["local", "ray"] = "local",
        memory_dir: str | Path | None = None,
        prompts: Iterable[Prompt] = (),
        discover: bool | None = None,
        rate: str | float | Fraction | None = None,
        address: str | None = None,
        placement: Literal["fused", "split"] | None = None,
        cluster: Any = None,
        detector: DetectorFunction | None = None,
        **settings: Any,
    ) -> None:
        self._make_runner = RUNNERS.get(str(runner))
        self._prompts = tuple(prompts)
        self._detector = detector
        config = with_settings(config or GraphConfig(), settings, detector)
        config = _with_discovery(config, discover, bool(self._prompts))
        self.config = resolve(config)
        self._rate = None if rate is None else parse_rate(str(rate))
        self._address, self._placement = address, placement
        self._cluster, self._owns_cluster = cluster, cluster is None
        self._memory_dir = None if memory_dir is None else Path(memory_dir)
        self._temporary: Path | None = None
        self._closed = False
        self._begin()

    @property
    def next_index(self) -> int:
        """Index of the frame that is sent next; prompts may speak of it and of later ones."""
        return self._schedule.next_index

    @property
    def waiting_prompts(self) -> list[Prompt]:
        """Prompts whose frame has not come; after the end of the stream, those that were never used."""
        return self._schedule.waiting

    @property
    def waiting_removals(self) -> list[Removal]:
        """Removals whose frame has not come."""
        return self._schedule.waiting_removals

    def add(self, prompt: Prompt) -> None:
        """Follow an object, or correct one, from `prompt.frame_index` on.

        Raises:
            InputError: that frame is past, the mask has not the size of the frames, or nothing follows objects here.
        """
        if "segment" not in self.config.stages:
            raise InputError("prompts need the segment stage, which is not among the stages of this session")
        if self._size is not None:
            check_prompts([prompt], self._size)
        self._schedule.add(prompt)

    def remove(self, object_id: int, frame_index: int | None = None) -> None:
        """Stop following an object, from the next frame on or from `frame_index` on.

        The memories that follow objects forget it; the long memory keeps what was seen of it, and that it was taken
        out.

        Raises:
            InputError: no such object is followed, or the frame is past.
        """
        self._schedule.remove(object_id, frame_index)

    def name(self, object_id: int, label: str) -> None:
        """Give an object a name from the next frame on, by which it can be asked for.

        Raises:
            InputError: no such object is followed, or the name is empty.
        """
        self._schedule.name(object_id, label)

    def step(
        self,
        image: np.ndarray,
        time_s: float | None = None,
        depth_m: np.ndarray | None = None,
        intrinsics: np.ndarray | None = None,
    ) -> StepResult:
        """Send one frame and wait for its result.

        Args:
            image: (H, W, 3) uint8 RGB, the same size for all frames of the session.
            time_s: when it was taken, in seconds; later than the frame before. None: one step of the session's `rate`
                after the frame before; where it has no rate, as much later as this call came after the one before.
                The first frame is then at 0.
            depth_m: (H, W) float32 metres, 0 where unknown, aligned with the image.
            intrinsics: (3, 3) pinhole matrix in pixels of the image.

        Raises:
            InputError: an array of another form, or a time that does not increase.
        """
        at_s = self._clock.stamp(self._last_time_s, time_s)
        frame = Frame("stream", self.next_index, at_s, np.asarray(image), depth_m, intrinsics)
        envelope = self._envelope(frame)
        result = self._start("stream", "frames of a program").step(frame, envelope)
        self._schedule.note(result.masks)
        return result

    def run(
        self, source: str | int | Path | Source | Iterable[Any], max_frames: int | None = None
    ) -> Iterator[StepResult]:
        """Results of a source, frame by frame, as they come; at its end the stream ends, and can be asked about.

        With `runner="ray"` up to four frames are on their way when a result comes, so `next_index` is ahead of it.
        Where a loop over the results was left early, the next `run` goes on at `next_index`. After the end of a stream
        it starts anew, with the prompts of the constructor; the memory of the stream before is let go.

        Args:
            source: what `open_source` takes (a path, a folder, a URL, a camera's number), an open source, or pictures:
                a list, an (N, H, W, 3) array or a generator of (H, W, 3) uint8 RGB arrays or of `Frame` records. Their
                times are counted at the session's `rate`; without one, at that of a folder of pictures (setting
                `source.image_rate`, 24) for what is there already, and by their arrival for a generator.
            max_frames: frames of index `max_frames` and above are not read.

        Raises:
            InputError: the source cannot be read, there is nothing to follow, or the session cannot start anew: it is
                closed, or was given a `memory_dir`, which holds what was remembered.
        """
        for step in self.steps(source, max_frames):
            yield step.result
        self.finish()

    def steps(
        self,
        source: str | int | Path | Source | Iterable[Any],
        max_frames: int | None = None,
        snapshot_every: int | None = None,
        source_config: SourceConfig | None = None,
    ) -> Iterator[Step]:
        """As `run`, with the frames, and with a snapshot of all stages after every so many-th frame."""
        if self._ended:
            self._begin_anew()
        check_followable(self.config, not self._schedule.is_empty)
        opened = self._open(source, max_frames, source_config)
        try:
            first = next(opened, None)
            if first is None and self.next_index == 0:
                raise InputError(f"{opened.info.location!r} gave no frame; expected at least one")
            items = self._envelopes(first, opened, max_frames)
            ahead = next(items, None)  # what is wrong with the first frame or its prompts shows before models load
            runner = self._start(opened.info.name, opened.info.location, opened.info)
            if ahead is not None:
                for step in runner.run(_chain(ahead, items), snapshot_every):
                    self._schedule.note(step.result.masks)
                    yield step
        finally:
            if opened is not source:
                opened.close()

    def prepare(self, info: SourceInfo) -> None:
        """Load models before the first frame of a source comes, which would do it otherwise."""
        self._start(info.name, info.location, info)

    def ask(self, question: str, as_of_s: float | None = None) -> Answer:
        """Answer a question from the long memory, from the first frame on, also while frames are still coming.

        Args:
            question: in English. as_of_s: with what was known at this time of the stream; None for everything.

        Raises:
            InputError: there is no long memory, or not yet.
        """
        if "remember" not in self.config.stages:
            raise InputError("questions need the remember stage, which is not among the stages of this session")
        if self._memory_dir is None:
            why = "closed, and its memory was temporary; give memory_dir" if self._ended else "still without a frame"
            raise InputError(f"the session is {why}")
        return ask(self._memory_dir, question, as_of_s)

    def stats(self) -> dict[str, MemoryStats]:
        """Size of each memory, by its name."""
        return self._runner.stats() if self._runner is not None else self._last[0]

    def products(self) -> dict[str, Any]:
        """What the stages leave beside their results, by the stage's name."""
        return self._runner.products() if self._runner is not None else self._last[1]

    def state_dict(self) -> dict[str, Any]:
        """Snapshots of all stages."""
        if self._runner is None:
            raise InputError("a snapshot needs a stream that has begun and not ended")
        return self._runner.state_dict()

    def restore(self, state: dict[str, Any] | None, next_index: int, last_time_s: float) -> None:
        """Go on from a snapshot: the next frame is `next_index`. Before the first frame only."""
        if self._runner is not None or self._ended:
            raise InputError("a snapshot can be restored only before the first frame of a session")
        self._restored = state
        self._schedule.restart(next_index)
        self._last_time_s = last_time_s if next_index else None

    def finish(self) -> None:
        """End the stream: the memory is completed, no frame can follow; stats, products and questions still work."""
        if self._runner is not None:
            self._last = self._runner.stats(), self._runner.products()
            self._end()

    def close(self) -> None:
        """Let go of processes, and of the memory where it was temporary."""
        self._closed = True
        try:
            self._end()
        finally:
            if self._owns_cluster and self._cluster is not None:
                self._cluster.close()
            self._drop_temporary()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        """As nothing had come yet."""
        self._schedule, self._clock = Schedule(), FrameClock(self._rate)
        self._runner: Runner | None = None
        self._restored: dict[str, Any] | None = None
        self._size: tuple[int, int] | None = None
        self._last_time_s: float | None = None
        self._last: tuple[dict[str, MemoryStats], dict[str, Any]] = {}, {}
        self._ended = False
        for prompt in self._prompts:
            self.add(prompt)

    def _begin_anew(self) -> None:
        """After the end of a stream."""
        if self._closed:
            raise InputError("this session is closed; make a new Session for another stream")
        if self._memory_dir is not None and self._temporary is None:
            raise InputError(
                f"this session's stream has ended, and {str(self._memory_dir)!r} holds its memory; make a new Session "
                "with another memory_dir for another stream"
            )
        self._drop_temporary()
        self._begin()

    def _drop_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = self._memory_dir = None

    def _open(self, source: Any, max_frames: int | None, config: SourceConfig | None) -> Source:
        if isinstance(source, Source):
            return source
        if not is_source_of_arrays(source):
            source = int(source) if isinstance(source, np.integer) else source
            return open_source(source, max_frames=max_frames, start_index=self.next_index, config=config)
        rate = self._rate
        if rate is None and isinstance(source, np.ndarray | Sequence):  # arrival says nothing of what is there already
            rate = parse_rate((config or SourceConfig()).image_rate)
        return ArraySource(source, rate, self.next_index, max_frames)

    def _end(self) -> None:
        runner, self._runner, self._ended = self._runner, None, True
        if runner is not None:
            runner.close()

    def _envelopes(
        self, first: Frame | None, source: Source, max_frames: int | None
    ) -> Iterator[tuple[Frame, StepResult]]:
        frame = first
        while frame is not None:
            yield frame, self._envelope(frame)
            frame = None if frame.index + 1 == max_frames else next(source, None)

    def _envelope(self, frame: Frame) -> StepResult:
        """Check the frame and give it the user's words that are due."""
        if self._ended:
            raise InputError("this session's stream has ended; make a new Session for another one")
        if self._size is not None and frame.size != self._size:
            have, want = (f"{width}x{height}" for height, width in (frame.size, self._size))
            raise InputError(f"frame {frame.index}: expected {want} pixels as the frames before, got {have}")
        if self._last_time_s is not None and frame.time_s <= self._last_time_s:
            raise InputError(f"frame {frame.index}: expected a time after {self._last_time_s} s, got {frame.time_s} s")
        self._size, self._last_time_s = frame.size, frame.time_s
        prompts, removals, namings = self._schedule.take(frame.index)
        check_prompts(prompts, frame.size)
        return StepResult.of(frame, prompts, removals, namings)

    def _start(self, stream_id: str, location: str, info: SourceInfo | None = None) -> Runner:
        """The runner, built when it is first needed."""
        if self._runner is None:
            if self._memory_dir is None and "remember" in self.config.stages:
                self._temporary = Path(tempfile.mkdtemp(prefix="streamvos-memory-"))
                self._memory_dir = self._temporary
            stream = StreamSetup(stream_id, location, self._memory_dir, self._detector)
            # a live picture grows old while it waits, and so does a person who has clicked: then none waits
            waits = not self.config.segment.interactive and (info is None or not info.is_live)
            setup = RunnerSetup(self._ray_cluster, self._placement, 4 if waits else 1)
            with _BUILDING:
                self._runner = self._make_runner(self.config, stream, setup)
            if self._restored is not None:
                state, self._restored = self._restored, None
                self._runner.load_state_dict(state)
        return self._runner

    def _ray_cluster(self) -> Any:
        """The cluster that was given, or one of this session's own."""
        if self._cluster is None:
            from pipelines.graph.ray_cluster import Cluster  # Ray takes a second to import

            self._cluster = Cluster(self._address)
        return self._cluster


def check_followable(config: GraphConfig, has_prompts: bool) -> None:
    """Raise `InputError` where the segment stage would never have an object to follow."""
    if "segment" not in config.stages or has_prompts or config.segment.interactive:
        return
    if "detect" not in config.stages:
        raise InputError(
            "the segment stage has nothing to follow: give prompts, or add the detect stage, which finds objects"
        )
    if not config.segment.discover:
        raise InputError(
            "the segment stage has nothing to follow: give prompts, or let it discover objects (discover=True)"
        )


def _with_discovery(config: GraphConfig, discover: bool | None, has_prompts: bool) -> GraphConfig:
    if discover is None:
        discover = config.segment.discover and not has_prompts
    return dataclasses.replace(config, segment=dataclasses.replace(config.segment, discover=discover))


def _chain(first: tuple[Frame, StepResult], rest: Iterator[Any]) -> Iterator[tuple[Frame, StepResult]]:
    yield first
    yield from rest
