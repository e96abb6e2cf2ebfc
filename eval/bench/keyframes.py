"""Whether the key-frame memory keeps to its budget, and a frame costs as much late as early, while objects come and go.

The segment stage runs alone over a clip that is played to and fro. Patches of made-up texture wander over it, one in
each of a few lanes: one comes, goes behind nothing for a while, comes back, is removed, and the next one comes in its
place under a new id. The schedule repeats, so every stretch of whole rounds has the same work in it. Frames are small
by default: what is measured is whether anything grows, not how fast the tracker is.

What else the machine does must not decide. So besides seconds on the clock, those of this process' own computing are
taken; and while the last tenth runs, a fresh stage runs the first tenth once more, in turns with it, frame by frame.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import psutil
from matplotlib.figure import Figure

from eval.bench.playback import LoopedSource, load_images
from eval.reporting.results import Headline, Plot
from memory_bank.budgets import MemoryBudgets
from memory_bank.keyframes.config import KeyFrameConfig
from pipelines.graph.chain import available_threads, use_threads
from pipelines.segment import SegmentConfig, SegmentStage
from streamvos.device import pick_device
from streamvos.errors import InputError
from streamvos.records import Frame, Prompt, Removal, StepResult

_TENTHS = 10
_AWAY = 0.2  # share of a round in which an object is out of sight between its two visits
_CENTRE_Y, _REACH_Y = 0.5, 0.2  # shares of the height; patches wander up and down


@dataclass(frozen=True)
class KeyFramesBench:
    """What is measured."""

    source: str = "sample:bikes"
    clip: int = 40  # frames of the source, played to and fro
    first: int = 200  # frame of the source to begin at, so that the clip is one shot
    base: str = "trained"  # the base tracker: trained or embedded, which have key frames
    policy: str = "smart"  # what is written and dropped, see `KeyFrameConfig`
    frames: int = 5000  # in all; shorter says less about what grows slowly
    round: int = 125  # frames from an object's coming to the next one's; shorter means more objects
    lanes: int = 3  # objects at a time
    budget_mib: float = 8.0  # of all key frames; small, so that the budget is reached and views are dropped
    width: int = 256
    height: int = 144
    size: int = 144  # working short side
    threads: int = 1  # CPU threads; 0: all cores
    device: str = "cpu"
    seed: int = 0  # of textures and ways


@dataclass(frozen=True)
class Sample:
    """One frame, as the bench saw it."""

    frame: int
    num_objects: int
    num_so_far: int
    num_written: int
    num_dropped: int
    num_views: int
    memory_bytes: int
    state_bytes: int
    resident_bytes: int
    wall_s: float
    cpu_s: float


def bench_keyframes(bench: KeyFramesBench, log: list[Sample] | None = None) -> list[dict[str, Any]]:
    """Measure; a row for each tenth, and a last one for the first tenth run once more beside the last.

    Args:
        bench: what is measured.
        log: every frame is added to it, in order; None where only the rows are wanted.
    """
    tenth = bench.frames // _TENTHS
    if bench.frames % _TENTHS or bench.round < 10 or tenth % bench.round or bench.lanes < 1:
        raise InputError(
            "bench keyframes: expected a lane or more, rounds of 10 frames or more, and a number of frames whose tenth "
            f"is whole rounds, such as {10 * max(10, bench.round)}; got {bench.frames} frames in rounds of "
            f"{bench.round} on {bench.lanes} lanes"
        )
    use_threads(bench.threads or available_threads())
    images = load_images(bench.source, bench.clip, (bench.height, bench.width), bench.first)
    long = _Runner(bench, images)
    samples = [] if log is None else log
    samples += [long.step() for _ in range(bench.frames - tenth)]
    fresh, again = _Runner(bench, images), []
    for turn in range(tenth):
        for runner in (long, fresh) if turn % 2 else (fresh, long):
            (samples if runner is long else again).append(runner.step())
    parts = [(f"{part + 1}", samples[part * tenth : (part + 1) * tenth]) for part in range(_TENTHS)]
    parts.append(("1 again, beside 10", again))
    return [_row(bench, name, part, again) for name, part in parts]


def headline(rows: Sequence[dict[str, Any]]) -> Headline:
    """The last tenth's time beside that of the first, run in turns."""
    return Headline("CPU ms a frame, last tenth", rows[-2]["ms, CPU"], rows[-1]["ms, CPU"], "first tenth, in turns")


def plot_of(bench: KeyFramesBench, samples: Sequence[Sample]) -> Plot:
    """Bytes against the budget, and time, over frames."""
    at = [one.frame for one in samples]
    smooth = np.ones(bench.round) / bench.round

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(at, [one.memory_bytes / 2**20 for one in samples], linewidth=0.8, label="key-frame memory")
        above.axhline(bench.budget_mib, color="tab:red", linewidth=1, label="its budget")
        above.set_ylim(0, 1.15 * bench.budget_mib)
        above.set_ylabel("MiB")
        for name, label in (("wall_s", "on the clock"), ("cpu_s", "of computing")):
            values = np.convolve([1000 * getattr(one, name) for one in samples], smooth, mode="valid")
            below.plot(at[bench.round - 1 :], values, linewidth=1, label=label)
        below.set_ylim(bottom=0)
        below.set_ylabel(f"ms a frame, mean of {bench.round}")
        below.set_xlabel("frame")
        for axes in (above, below):
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8)
            axes.spines[["top", "right"]].set_visible(False)

    return draw


class _Runner:
    """A segment stage on its way through the frames."""

    def __init__(self, bench: KeyFramesBench, images: list[np.ndarray]) -> None:
        budgets, device = MemoryBudgets(keyframes_mib=bench.budget_mib), pick_device(bench.device)
        self._stage = SegmentStage(_config(bench), bench.size, device, bench.seed, budgets=budgets)
        self._frames = iter(LoopedSource(images, 0, bench.frames))
        self._play = _Play(bench)
        self._process = psutil.Process()

    def step(self) -> Sample:
        """The next frame; only the stage is timed."""
        frame, prompts, removals = self._play.put(next(self._frames))
        given = StepResult.of(frame, prompts, removals)
        wall, cpu = time.perf_counter(), time.process_time()
        events = self._stage.step(frame, given).events
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        views = self._stage.stats()["keyframes"]
        actions = [event.action for event in events if event.bank == "keyframes"]
        return Sample(
            frame.index,
            self._play.num_followed,
            self._play.num_so_far,
            actions.count("write"),
            actions.count("evict"),
            views.entries,
            views.bytes,
            self._stage.tracker.state_bytes(),
            self._process.memory_info().rss,
            wall,
            cpu,
        )


class _Play:
    """Who is where in which frame; everything follows from the seed and the frame's index."""

    def __init__(self, bench: KeyFramesBench) -> None:
        self._bench = bench
        self._given: dict[int, int] = {}  # lane: id of the object that is followed there
        self.num_so_far = 0

    @property
    def num_followed(self) -> int:
        return len(self._given)

    def put(self, frame: Frame) -> tuple[Frame, tuple[Prompt, ...], tuple[Removal, ...]]:
        """The frame with the objects that are there, those that are new, and those that go for good."""
        image, prompts, removals = frame.image.copy(), [], []
        for lane in range(self._bench.lanes):
            turn, tick = divmod(frame.index + lane * self._bench.round // self._bench.lanes, self._bench.round)
            object_id = 1 + lane + turn * self._bench.lanes
            if self._given.get(lane, object_id) != object_id:
                removals.append(Removal(frame.index, self._given.pop(lane)))
            phase = tick / self._bench.round
            if 0.5 - _AWAY / 2 <= phase < 0.5 + _AWAY / 2:
                continue
            mask = self._draw(image, lane, object_id, phase)
            if lane not in self._given:
                self._given[lane] = object_id
                self.num_so_far += 1
                prompts.append(Prompt(frame.index, object_id, mask=mask))
        return replace(frame, image=image), tuple(prompts), tuple(removals)

    def _draw(self, image: np.ndarray, lane: int, object_id: int, phase: float) -> np.ndarray:
        """Draw an object into the picture; its (H, W) bool mask."""
        height, width = image.shape[:2]
        rng = np.random.default_rng([self._bench.seed, object_id])
        sides = max(4, round(0.3 * height)), max(4, round(min(0.3 * height, 0.7 * width / self._bench.lanes)))
        texture = cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), sides[::-1], interpolation=cv2.INTER_CUBIC)
        sway = np.sin(2 * np.pi * (phase + rng.random()))
        top = round(height * (_CENTRE_Y + _REACH_Y * sway)) - sides[0] // 2
        left = round(width * (lane + 0.5 + 0.15 * np.cos(4 * np.pi * phase)) / self._bench.lanes) - sides[1] // 2
        mask = np.zeros((height, width), bool)
        whole = cv2.ellipse(
            np.zeros(sides, np.uint8), (sides[1] // 2, sides[0] // 2), (sides[1] // 2, sides[0] // 2), 0, 0, 360, 1, -1
        )
        top, left = int(np.clip(top, 0, height - sides[0])), int(np.clip(left, 0, width - sides[1]))
        window = slice(top, top + sides[0]), slice(left, left + sides[1])
        mask[window] = whole > 0
        image[window][whole > 0] = texture[whole > 0]
        return mask


def _config(bench: KeyFramesBench) -> SegmentConfig:
    """The tracker and its memory alone: nothing keeps views out of it, or is timed with it."""
    plain = SegmentConfig(base=bench.base)
    if not hasattr(plain.tracker, "keyframes"):
        raise InputError(f"bench keyframes: expected base trained or embedded, which have key frames, got {bench.base}")
    tracker = replace(plain.tracker, keyframes=KeyFrameConfig(policy=bench.policy))
    return replace(plain, tracker=tracker, discover=False, refiner="none", verify=False)


def _row(bench: KeyFramesBench, name: str, part: Sequence[Sample], first: Sequence[Sample]) -> dict[str, Any]:
    wall, cpu, cpu_of_first = (
        1000 * float(np.mean([getattr(one, key) for one in of]))
        for key, of in (("wall_s", part), ("cpu_s", part), ("cpu_s", first))
    )
    return {
        "tenth": name,
        "frames": f"{part[0].frame}-{part[-1].frame}",
        "objects": round(float(np.mean([one.num_objects for one in part])), 2),
        "objects so far": part[-1].num_so_far,
        "views written": sum(one.num_written for one in part),
        "dropped": sum(one.num_dropped for one in part),
        "views, most": max(one.num_views for one in part),
        "key frames, most, MiB": round(max(one.memory_bytes for one in part) / 2**20, 3),
        "budget, MiB": bench.budget_mib,
        "all state, most, MiB": round(max(one.state_bytes for one in part) / 2**20, 2),
        "process, MiB": round(part[-1].resident_bytes / 2**20, 1),
        "ms, wall": round(wall, 2),
        "ms, CPU": round(cpu, 2),
        "CPU by the first's, in turns": round(cpu / cpu_of_first, 3),
    }
