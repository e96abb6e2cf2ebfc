"""How good a mask of a click is: `python -m pipelines.training.click_quality --source DIR --source DIR …`.

Fits what `pipelines.refiners.embedded.QUALITY` holds, by least squares, on objects of pictures that the refiner has
learned from: one click anywhere on each, all masks that it may mean, their true IoU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipelines.refiners.embedded import EmbeddedRefiner
from pipelines.refiners.gate import intersection_over_union
from pipelines.refiners.protocol import RefinerSetup
from pipelines.refiners.refine_net import RefineNet
from pipelines.training.datasets import Picture
from pipelines.training.mask_sources import read_source
from streamvos.models.catalogue import locate

_SHORT_SIDE_PX = 480


def facts_of(refiner: EmbeddedRefiner, pictures: Sequence[Picture], count: int, seed: int) -> np.ndarray:
    """(N, 3): predicted IoU, agreement and true IoU of all masks of a click on each of `count` objects."""
    rng = np.random.default_rng(seed)
    objects = [(picture.image, region.mask) for picture in pictures for region in picture.regions]
    rows: list[tuple[float, float, float]] = []
    for number, place in enumerate(rng.permutation(len(objects))[:count]):
        image, truth = objects[place]
        refiner.set_image(image, number)
        inside = np.argwhere(truth)
        click = inside[rng.integers(len(inside))][::-1].astype(np.float32)
        offers = refiner.offers(click[None], np.ones(1, bool))
        rows += [(one.predicted, one.agreement, intersection_over_union(one.mask, truth)) for one in offers]
    return np.array(rows).reshape(-1, 3)


def fit(facts: np.ndarray) -> np.ndarray:
    """Least squares of the true IoU, (3,): for the predicted IoU, for the agreement, and what is always there."""
    known = np.column_stack([facts[:, :2], np.ones(len(facts))])
    return np.linalg.lstsq(known, facts[:, 2], rcond=None)[0]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.training.click_quality", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--source", type=Path, action="append", required=True, metavar="DIR", help="as in trainings")
    parser.add_argument("--weights", type=Path, help="of the refiner; the shipped ones where not given")
    parser.add_argument("--count", type=int, default=200, help="objects of each source")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    device = torch.device("cpu")
    net = RefineNet.from_file(given.weights or locate("embedded-refiner"), device)
    refiner = EmbeddedRefiner(net, RefinerSetup(device))
    facts = np.concatenate(
        [facts_of(refiner, read_source(folder, _SHORT_SIDE_PX)[0], given.count, given.seed) for folder in given.source]
    )
    weights = fit(facts)
    error = np.abs(np.column_stack([facts[:, :2], np.ones(len(facts))]) @ weights - facts[:, 2]).mean()
    alone = np.abs(facts[:, 0] - facts[:, 2]).mean()
    sys.stdout.write(
        f"{len(facts)} masks: IoU = {weights[0]:.2f} predicted + {weights[1]:.2f} agreement {weights[2]:+.2f}; "
        f"mean error {error:.3f}, of the predicted IoU alone {alone:.3f}\n"
    )


if __name__ == "__main__":
    main()
