"""A small folder in the DAVIS layout: two sequences, objects that come late, leave and return, and void pixels."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.davis import write_label_map

SIZE = (64, 80)
LENGTH = 6


def labels_at(name: str, index: int) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    labels[10:30, 8 + 2 * index : 28 + 2 * index] = 1
    if name == "pair" and index >= 2 and index != 4:
        labels[40:58, 50 - index : 70 - index] = 3
    if name == "pair":
        labels[60:, :10] = 255
    return labels


@pytest.fixture(scope="session")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("davis")
    noise = np.random.default_rng(0).integers(0, 60, (*SIZE, 3), np.uint8)
    colours = np.array([[20, 60, 20], [220, 40, 40], [0, 0, 0], [40, 60, 230]], np.uint8)
    for name in ("pair", "single"):
        for part in ("JPEGImages", "Annotations"):
            (root / part / "480p" / name).mkdir(parents=True)
        for index in range(LENGTH):
            labels = labels_at(name, index)
            image = colours[np.where(labels == 255, 0, labels)] // 2 + noise
            Image.fromarray(image).save(root / "JPEGImages" / "480p" / name / f"{index:05d}.jpg", quality=95)
            write_label_map(root / "Annotations" / "480p" / name / f"{index:05d}.png", labels)
    return root


@pytest.fixture(scope="session")
def vot() -> Path:
    """The VOT toolkit's program."""
    found = os.environ.get("STREAMVOS_VOT") or shutil.which("vot")
    if not found or not Path(found).is_file():
        pytest.skip("the VOT toolkit is not here: STREAMVOS_VOT names no program and vot is not on the PATH")
    return Path(found)
