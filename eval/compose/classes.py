"""What is known of the things that are drawn: how large they are, whether they stand or fly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Manner = Literal["stand", "fly"]


@dataclass(frozen=True)
class ClassTraits:
    """How a class is placed in the world.

    Args:
        size_m: usual longest side in metres.
        manner: "stand": its lowest point touches the floor; "fly": it moves free in space.
    """

    size_m: float
    manner: Manner = "stand"


DEFAULT_TRAITS = ClassTraits(0.5)
_FLYING = {"airplane": 3.0, "kite": 0.9, "frisbee": 0.27, "sports ball": 0.24, "umbrella": 0.9}
_STANDING = {
    "person": 1.7, "bicycle": 1.7, "car": 4.2, "motorcycle": 2.0, "bus": 10.0, "train": 15.0, "truck": 7.0,
    "boat": 5.0, "bird": 0.45, "cat": 0.45, "dog": 0.8, "horse": 2.2, "sheep": 1.2, "cow": 2.2, "elephant": 4.0,
    "bear": 1.8, "zebra": 2.2, "giraffe": 4.5, "backpack": 0.5, "handbag": 0.35, "suitcase": 0.7, "skateboard": 0.8,
    "teddy bear": 0.5, "bottle": 0.3, "vase": 0.35,
}  # fmt: skip
TRAITS: dict[str, ClassTraits] = {
    **{name: ClassTraits(size_m, "fly") for name, size_m in _FLYING.items()},
    **{name: ClassTraits(size_m) for name, size_m in _STANDING.items()},
}
# COCO classes that look wrong when they wander through a room: furniture, things on plates, things held in hands.
UNMOVABLE = frozenset({
    "bench", "traffic light", "stop sign", "parking meter", "fire hydrant", "tie", "skis", "snowboard",
    "baseball bat", "baseball glove", "tennis racket", "wine glass", "cup", "fork", "knife", "spoon", "bowl",
    "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair",
    "couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "scissors", "hair drier",
    "toothbrush", "train", "surfboard", "boat",
})  # fmt: skip


def traits_of(class_name: str) -> ClassTraits:
    """Traits of a class, a sane default for one that is not in the table."""
    return TRAITS.get(class_name, DEFAULT_TRAITS)
