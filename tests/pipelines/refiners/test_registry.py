"""Refiners by name: their settings, what they may do, and that no name stands for another."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipelines.refiners.protocol import REFINERS, RefinerSetup
from pipelines.refiners.registry import expect_weights, first_mask_names, make_refiner, refiner_kinds, refiner_names
from pipelines.refiners.sam_hq import SamHqConfig
from pipelines.segment import SegmentConfig
from streamvos.errors import InputError, MissingWeightsError

SETUP = RefinerSetup(torch.device("cpu"))


def test_names_and_what_they_may_do() -> None:
    assert set(refiner_names()) == {"none", "grabcut", "embedded", "sam-hq"} == set(refiner_kinds())
    assert set(first_mask_names()) == {"grabcut", "embedded"}
    assert SegmentConfig().refiner_settings is None
    assert SegmentConfig(refiner="sam-hq").refiner_settings == SamHqConfig("vit_tiny", "")


@pytest.mark.parametrize("name", ["grabcut", "embedded"])
def test_a_refiner_bears_its_name(name: str) -> None:
    refiner = make_refiner(name, None, SETUP)
    assert refiner.name == name and type(refiner) is REFINERS.get(name)
    expect_weights(name, None)


def test_none_makes_nothing() -> None:
    assert make_refiner("none", None, SETUP) is None
    expect_weights("none", None)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(InputError, match=r"unknown refiner 'grabct'; did you mean 'grabcut'\?"):
        make_refiner("grabct", None, SETUP)
    with pytest.raises(InputError, match=r"unknown value of segment.refiner 'grabct'; did you mean 'grabcut'\?"):
        SegmentConfig(refiner="grabct")
    with pytest.raises(InputError, match=r"unknown value of segment.first_masks 'sam-hq'"):
        SegmentConfig(first_masks="sam-hq")


def test_weights_that_are_not_here_are_told_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="sam-hq-vit-b"):
        expect_weights("sam-hq", SamHqConfig(size="vit_b"))
    expect_weights(
        "sam-hq", SamHqConfig(size="vit_b", weights="own.pth")
    )  # a checkpoint of one's own needs no catalogue
