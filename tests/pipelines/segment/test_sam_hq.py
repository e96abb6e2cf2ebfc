"""SAM-HQ as refiner of tracked masks, end to end: a checkpoint on disk, the real network, the gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipelines.refiners.policy import RefineConfig
from pipelines.refiners.triggers import TriggerConfig
from streamvos.models.sam_hq import _build

EVERY_FRAME = TriggerConfig(every=1, memory_gap=0, doubt_gap=0)


def test_the_gate_refuses_what_random_weights_propose(make_squares: Callable[..., Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(_build("vit_tiny").state_dict(), tmp_path / "tiny.pth")
    sam = {"refiner": "sam-hq", "sam_weights": str(tmp_path / "tiny.pth"), "refine": RefineConfig(EVERY_FRAME)}
    refined, plain = make_squares(**sam), make_squares(refiner="none")
    decisions = []
    for index in range(3):
        image, truth = plain.two(index)
        given = {"prompts": plain.given(0, truth)} if index == 0 else {}
        ours, theirs = refined.step(index, image, **given), plain.step(index, image, **given)
        new = [event for event in ours.events if event.action in ("refine", "reject")]
        decisions += new
        if all(event.action == "reject" for event in new):  # the coarse masks go out as they are
            assert ours.masks.rles == theirs.masks.rles
    assert len(decisions) == 4  # two objects in two frames; where they were given there is nothing to refine
    rejected = [event for event in decisions if event.action == "reject"]
    assert len(rejected) >= 3
    assert all("of 5 candidates is not above 0.59" in event.reason for event in rejected)
