"""The refiners by name; a new one adds its file to the imports here."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.refiners import embedded as embedded
from pipelines.refiners import grabcut as grabcut
from pipelines.refiners import sam_hq as sam_hq
from pipelines.refiners.protocol import REFINERS, Refiner, RefinerSetup
from streamvos.config import Settings
from streamvos.models.catalogue import locate

NONE = "none"  # tracked masks stay as they are


def refiner_names() -> tuple[str, ...]:
    """What may refine tracked masks."""
    return NONE, *REFINERS.names()


def first_mask_names() -> tuple[str, ...]:
    """What may make masks of boxes and clicks."""
    return tuple(name for name in REFINERS.names() if REFINERS.get(name).makes_first_masks)


def refiner_kinds() -> Mapping[str, type[Settings] | None]:
    """The settings of each refiner, None where it has none."""
    return {NONE: None} | {name: REFINERS.get(name).settings for name in REFINERS.names()}


def expect_weights(name: str, config: Settings | None) -> None:
    """Raise `MissingWeightsError` where the weights of a refiner are not here; says the command that gets them."""
    for weights in () if name == NONE else REFINERS.get(name).weights(config):
        locate(weights)


def make_refiner(name: str, config: Settings | None, setup: RefinerSetup) -> Refiner | None:
    """The refiner of that name, None for "none".

    Raises:
        InputError: an unknown name; lists the valid ones.
        MissingWeightsError: its weights are not here.
    """
    return None if name == NONE else REFINERS.get(name).build(config, setup)
