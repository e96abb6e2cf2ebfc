"""EdgeTAM (Zhou et al., 2025) as a base tracker, through `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.trackers.protocol import TRACKERS, TrackerSetup
from pipelines.trackers.video_model import VideoModelConfig, VideoModelTracker
from streamvos.models.sam2_video import load_edgetam


@dataclass(frozen=True)
class EdgeTamConfig(VideoModelConfig, at="segment.edgetam"):
    """How much EdgeTAM may remember."""


@TRACKERS.register("edgetam")
class EdgeTamTracker(VideoModelTracker):
    """A `BaseTracker`; arguments and errors as for `Sam2Tracker`."""

    settings = EdgeTamConfig

    def __init__(self, config: EdgeTamConfig, setup: TrackerSetup, weights: Path | None = None) -> None:
        super().__init__(load_edgetam(weights, setup.device), config, setup)
