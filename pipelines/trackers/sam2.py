"""SAM 2.1 (Ravi et al., 2024) as a base tracker, through `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.trackers.protocol import TRACKERS, TrackerSetup
from pipelines.trackers.video_model import VideoModelConfig, VideoModelTracker
from streamvos.config import setting
from streamvos.models.sam2_video import Sam2Size, load_sam2


@dataclass(frozen=True)
class Sam2Config(VideoModelConfig, at="segment.sam2"):
    """Which SAM 2.1, and how much it may remember."""

    model: Sam2Size = setting("tiny", "which SAM 2.1; larger is finer and slower")


@TRACKERS.register("sam2")
class Sam2Tracker(VideoModelTracker):
    """A `BaseTracker`.

    Args:
        config, setup: as for `VideoModelTracker`.
        weights: a folder with `config.json` and `model.safetensors`; None: the catalogue's.

    Raises:
        MissingWeightsError: the weights are not here; says the command that fetches them. Nothing is downloaded.
    """

    settings = Sam2Config

    def __init__(self, config: Sam2Config, setup: TrackerSetup, weights: Path | None = None) -> None:
        super().__init__(load_sam2(config.model, weights, setup.device), config, setup)
