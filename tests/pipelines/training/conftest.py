"""Pictures drawn here and now: textured discs and boxes on noise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipelines.training.datasets import Picture, Region


def drawn(seed: int) -> Picture:
    """(120, 160) with a disc and a box in it."""
    rng = np.random.default_rng(seed)
    noise = cv2.resize(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8), (160, 120))
    disc, box = np.zeros((120, 160), np.uint8), np.zeros((120, 160), np.uint8)
    cv2.circle(disc, (50, 60), 28, 1, -1)
    box[30:100, 95:140] = 1
    image = noise // 3 + 40
    for mask in (disc, box):
        tint = rng.integers(0, 200, 3)
        image[mask > 0] = (noise[mask > 0] // 4 + tint).clip(0, 255)
    regions = (Region("disc", disc > 0), Region("box", box > 0))
    return Picture(image.astype(np.uint8), regions, regions)


@pytest.fixture(scope="session")
def pictures() -> list[Picture]:
    return [drawn(seed) for seed in range(4)]
