"""The base trackers by name; a new one adds its file to the imports here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

from memory_bank.budgets import MemoryBudgets
from pipelines.trackers import cutie as cutie
from pipelines.trackers import edgetam as edgetam
from pipelines.trackers import embedded as embedded
from pipelines.trackers import sam2 as sam2
from pipelines.trackers import trained as trained
from pipelines.trackers.protocol import TRACKERS, BaseTracker, TrackerSetup
from streamvos.config import Settings
from streamvos.device import Precision


def tracker_settings() -> Mapping[str, type[Settings]]:
    """The settings of each base tracker."""
    return {name: TRACKERS.get(name).settings for name in TRACKERS.names()}


def with_keyframes(budgets: MemoryBudgets, name: str) -> MemoryBudgets:
    """The budgets with that of key frames: what the base tracker of that name needs, where nobody says."""
    if budgets.keyframes_mib is not None:
        return budgets
    return dataclasses.replace(budgets, keyframes_mib=TRACKERS.get(name).keyframes_mib)


def make_tracker(
    name: str,
    config: Settings,
    size: int,
    device: torch.device,
    budgets: MemoryBudgets | None = None,
    precision: Precision = "auto",
) -> BaseTracker:
    """Build a base tracker; nothing is downloaded.

    Args:
        name: a base tracker.
        config: its settings.
        size: working short side in pixels.
        device: where tensors live.
        budgets: of its key frames; None: the defaults.
        precision: of frozen networks.

    Raises:
        InputError: unknown name, a setting out of range, or an extra that is not installed.
        MissingWeightsError: the weights are not on this machine; says the command that gets them.
    """
    kind, budgets = TRACKERS.get(name), with_keyframes(budgets or MemoryBudgets(), name)
    keyframes, object_keyframes = budgets.bytes_of("keyframes"), budgets.bytes_of("object_keyframes")
    return kind(config, TrackerSetup(size, device, keyframes, object_keyframes, precision))
