"""SAM-HQ as refiner of tracked masks, end to end: a checkpoint on disk, the real network, the gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipelines.refiners.config import RefineConfig
from pipelines.refiners.sam_hq import SamHqConfig
from streamvos.models.sam_hq import _build


def test_the_gate_refuses_what_random_weights_propose(make_squares: Callable[..., Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(_build("vit_tiny").state_dict(), tmp_path / "tiny.pth")
    sam = SamHqConfig(weights=str(tmp_path / "tiny.pth"))
    refined = make_squares(refiner="sam-hq", refiner_settings=sam, refine=RefineConfig(every=1))
    plain = make_squares(refiner="none")
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
    assert all(event.numbers["candidates"] == 5 and event.numbers["agreement"] <= 0.59 for event in rejected)
