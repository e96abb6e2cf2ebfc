"""The base trackers by name. A new one registers a maker here and gets a name in `SegmentConfig.base`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from pipelines.trackers.cutie import CutieConfig, CutieTracker
from pipelines.trackers.embedded import EmbeddedTracker, EmbeddedTrackerConfig
from pipelines.trackers.protocol import BaseTracker
from pipelines.trackers.sam2 import EdgeTamTracker, Sam2Config, Sam2Tracker, VideoModelConfig
from pipelines.trackers.trained import TrainedTracker, TrainedTrackerConfig
from streamvos.errors import InputError, unknown_name


class TrackerSettings(Protocol):
    """The settings of all base trackers, each under its own name but `embedded`; `SegmentConfig` has them."""

    @property
    def tracker(self) -> EmbeddedTrackerConfig: ...
    @property
    def trained(self) -> TrainedTrackerConfig: ...
    @property
    def cutie(self) -> CutieConfig: ...
    @property
    def sam2(self) -> Sam2Config: ...
    @property
    def edgetam(self) -> VideoModelConfig: ...


Maker = Callable[[TrackerSettings, int, torch.device], BaseTracker]

_MAKERS: dict[str, Maker] = {}


def register(name: str) -> Callable[[Maker], Maker]:
    """Decorate a maker of trackers; a name that is taken raises `InputError`."""

    def keep(maker: Maker) -> Maker:
        if name in _MAKERS:
            raise InputError(f"base tracker {name!r} is registered already; choose another name")
        _MAKERS[name] = maker
        return maker

    return keep


def tracker_names() -> tuple[str, ...]:
    """In the order in which they were registered."""
    return tuple(_MAKERS)


def make_tracker(name: str, settings: TrackerSettings, size: int, device: torch.device) -> BaseTracker:
    """Build a base tracker; nothing is downloaded.

    Args:
        name: one of `tracker_names()`.
        settings: of all trackers.
        size: working short side in pixels.
        device: where tensors live.

    Raises:
        InputError: unknown name, a setting out of range, or an extra that is not installed.
        MissingWeightsError: the weights are not on this machine; says the command that gets them.
    """
    if name not in _MAKERS:
        raise unknown_name("base tracker", name, _MAKERS)
    return _MAKERS[name](settings, size, device)


@register("embedded")
def _embedded(settings: TrackerSettings, size: int, device: torch.device) -> BaseTracker:
    return EmbeddedTracker(settings.tracker, size, device)


@register("trained")
def _trained(settings: TrackerSettings, size: int, device: torch.device) -> BaseTracker:
    return TrainedTracker(settings.trained, size, device)


@register("cutie")
def _cutie(settings: TrackerSettings, size: int, device: torch.device) -> BaseTracker:
    return CutieTracker(settings.cutie, size, device)


@register("sam2")
def _sam2(settings: TrackerSettings, size: int, device: torch.device) -> BaseTracker:
    return Sam2Tracker(settings.sam2, size, device)


@register("edgetam")
def _edgetam(settings: TrackerSettings, size: int, device: torch.device) -> BaseTracker:
    return EdgeTamTracker(settings.edgetam, size, device)
