"""The graph: which stages there are, in which order, with which settings, and how they are built."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from memory_bank.budgets import MemoryBudgets
from pipelines.detect import DetectConfig, DetectStage
from pipelines.graph.chain import available_threads
from pipelines.graph.moved_settings import MOVED
from pipelines.graph.stage import Stage
from pipelines.reconstruct import ReconstructConfig, ReconstructStage
from pipelines.refiners.registry import expect_weights
from pipelines.remember import RememberConfig, RememberStage
from pipelines.scores import ScoreThresholds
from pipelines.segment import SegmentConfig, SegmentStage
from pipelines.shots import ShotsConfig, ShotStage
from pipelines.trackers.registry import with_keyframes
from streamvos.config import Settings, merge, setting, table
from streamvos.device import Precision, pick_device
from streamvos.errors import InputError
from streamvos.models.coco import MAY_MOVE
from streamvos.models.detectors import FUNCTION, DetectorFunction, expect_detector_weights

STAGES = ("detect", "segment", "reconstruct", "remember")


@dataclass(frozen=True)
class GraphConfig(Settings, at=""):
    """Everything that decides what comes out of a stream."""

    stages: tuple[str, ...] = setting(STAGES, "which parts run; always in this order", names=STAGES)
    size: int = setting(416, "working short side in pixels; larger is finer and slower", low=64)
    device: Literal["auto", "cpu", "cuda", "mps"] = setting("auto", "where networks run; auto: the best present")
    precision: Precision = setting("auto", "of networks; auto: bfloat16 where the processor has it, twice as fast")
    profile: Literal["embedded", "hub"] = setting(
        "embedded", "hub refines masks by SAM-HQ, whose weights are fetched before"
    )
    seed: int = setting(0, "of all random choices", low=0)
    threads: int = setting(0, "CPU threads of all stages together; 0: all cores, or OMP_NUM_THREADS", low=0)
    memory: MemoryBudgets = table(MemoryBudgets)
    scores: ScoreThresholds = table(ScoreThresholds)
    shots: ShotsConfig = table(ShotsConfig)
    detect: DetectConfig = table(DetectConfig)
    segment: SegmentConfig = table(SegmentConfig)
    reconstruct: ReconstructConfig = table(ReconstructConfig)
    remember: RememberConfig = table(RememberConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stages:
            raise InputError(f"setting stages: expected at least one of {', '.join(STAGES)}; got none")
        if len(set(self.stages)) != len(self.stages):
            raise InputError(f"setting stages: expected each once, got {', '.join(self.stages)}")


@dataclass(frozen=True)
class StreamSetup:
    """What the stages must know of their stream.

    Args:
        stream_id: its name.
        source: where it comes from, without secrets.
        memory_dir: folder of the long memory; needed by the remember stage alone.
        detector: the user's own, where the configuration names it; needed by the detect stage alone.
    """

    stream_id: str
    source: str
    memory_dir: Path | None = None
    detector: DetectorFunction | None = None


def with_settings(
    config: GraphConfig, settings: Mapping[str, Any], detector: DetectorFunction | None = None
) -> GraphConfig:
    """The configuration with settings laid over it: values, tables, or whole nested configurations.

    Where the user brings a `detector`, it takes the place of the configured one.
    """
    if detector is not None:
        detect = settings.get("detect", {})
        named = {"detector": FUNCTION}
        if isinstance(detect, DetectConfig):
            detect = dataclasses.replace(detect, **named)
        elif isinstance(detect, Mapping):
            detect = {**detect, **named}
        settings = {**settings, "detect": detect}
    whole = {name: value for name, value in settings.items() if dataclasses.is_dataclass(value)}
    values = {name: value for name, value in settings.items() if name not in whole}
    config = merge(config, values, moved=MOVED)
    for name, value in whole.items():
        if type(getattr(config, name, None)) is not type(value):
            raise InputError(f"setting {name}: expected another kind of value, got {type(value).__name__}")
    return dataclasses.replace(config, **whole)


def resolve(config: GraphConfig) -> GraphConfig:
    """The configuration with everything decided: order, device, threads, profile and budgets where they act.

    Raises:
        InputError: the device is not there.
        MissingWeightsError: weights that must be fetched are not; known here, before anything is opened or written.
    """
    segment = config.segment
    if config.profile == "hub" and segment.refiner != "sam-hq":
        segment = dataclasses.replace(segment, refiner="sam-hq", refiner_settings=None)
    if "segment" in config.stages:
        expect_weights(segment.refiner, segment.refiner_settings)
    if "detect" in config.stages:
        expect_detector_weights(config.detect.detector)
    return dataclasses.replace(
        config,
        stages=tuple(name for name in STAGES if name in config.stages),
        device=pick_device(config.device).type,
        threads=config.threads or available_threads(),
        memory=with_keyframes(config.memory, segment.base),
        segment=segment,
    )


def all_names(config: GraphConfig) -> tuple[str, ...]:
    """All stages of a resolved configuration in their order; the shot boundaries always come first."""
    return "shots", *config.stages


def build_stages(config: GraphConfig, names: Sequence[str], stream: StreamSetup) -> list[Stage]:
    """Build stages of a resolved configuration.

    Args:
        config: see `resolve`.
        names: some or all of `all_names(config)`.
        stream: what they work on.

    Raises:
        InputError: a setting out of range.
        MissingWeightsError: a stage needs weights that are not on this machine.
    """
    return [_BUILDERS[name](config, stream) for name in names]


def _shots(config: GraphConfig, stream: StreamSetup) -> Stage:
    return ShotStage(config.shots)


def _detect(config: GraphConfig, stream: StreamSetup) -> Stage:
    device = pick_device(config.device)
    return DetectStage(config.detect, config.scores, config.memory, device, config.seed, stream.detector)


def _segment(config: GraphConfig, stream: StreamSetup) -> Stage:
    device = pick_device(config.device)
    scores, budgets, precision = config.scores, config.memory, config.precision
    return SegmentStage(config.segment, config.size, device, config.seed, scores, budgets, precision)


def _reconstruct(config: GraphConfig, stream: StreamSetup) -> Stage:
    return ReconstructStage(config.reconstruct, config.scores, config.memory, config.size, MAY_MOVE, config.seed)


def _remember(config: GraphConfig, stream: StreamSetup) -> Stage:
    if stream.memory_dir is None:
        raise InputError("the remember stage needs memory_dir, the folder of the long memory")
    min_score, budget_bytes = config.scores.episodes, config.memory.bytes_of("episodes")
    return RememberStage(config.remember, stream.memory_dir, stream.stream_id, stream.source, min_score, budget_bytes)


_BUILDERS: dict[str, Callable[[GraphConfig, StreamSetup], Stage]] = {
    "shots": _shots,
    "detect": _detect,
    "segment": _segment,
    "reconstruct": _reconstruct,
    "remember": _remember,
}
