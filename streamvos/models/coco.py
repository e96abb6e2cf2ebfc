"""The COCO vocabulary: 80 things with ids out of 1..90, their group, and which of them can move.

Ids are those of the COCO annotations (and of detectors trained with 91 outputs, 0 the background), with the
gaps that COCO left. A thing is *movable* where it moves by itself, is ridden, thrown, worn or carried;
furniture, appliances and street fixtures are not: the map of a scene may be built on them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from streamvos.errors import unknown_name

NUM_IDS = 91  # 0 is the background; ids that COCO never used have no name

# group: (id, name)...; groups are COCO's super-categories
_GROUPS: dict[str, tuple[tuple[int, str], ...]] = {
    "person": ((1, "person"),),
    "vehicle": (
        (2, "bicycle"),
        (3, "car"),
        (4, "motorcycle"),
        (5, "airplane"),
        (6, "bus"),
        (7, "train"),
        (8, "truck"),
        (9, "boat"),
    ),
    "outdoor": (
        (10, "traffic light"),
        (11, "fire hydrant"),
        (13, "stop sign"),
        (14, "parking meter"),
        (15, "bench"),
    ),
    "animal": (
        (16, "bird"),
        (17, "cat"),
        (18, "dog"),
        (19, "horse"),
        (20, "sheep"),
        (21, "cow"),
        (22, "elephant"),
        (23, "bear"),
        (24, "zebra"),
        (25, "giraffe"),
    ),
    "accessory": ((27, "backpack"), (28, "umbrella"), (31, "handbag"), (32, "tie"), (33, "suitcase")),
    "sports": (
        (34, "frisbee"),
        (35, "skis"),
        (36, "snowboard"),
        (37, "sports ball"),
        (38, "kite"),
        (39, "baseball bat"),
        (40, "baseball glove"),
        (41, "skateboard"),
        (42, "surfboard"),
        (43, "tennis racket"),
    ),
    "kitchen": (
        (44, "bottle"),
        (46, "wine glass"),
        (47, "cup"),
        (48, "fork"),
        (49, "knife"),
        (50, "spoon"),
        (51, "bowl"),
    ),
    "food": (
        (52, "banana"),
        (53, "apple"),
        (54, "sandwich"),
        (55, "orange"),
        (56, "broccoli"),
        (57, "carrot"),
        (58, "hot dog"),
        (59, "pizza"),
        (60, "donut"),
        (61, "cake"),
    ),
    "furniture": (
        (62, "chair"),
        (63, "couch"),
        (64, "potted plant"),
        (65, "bed"),
        (67, "dining table"),
        (70, "toilet"),
    ),
    "electronic": (
        (72, "tv"),
        (73, "laptop"),
        (74, "mouse"),
        (75, "remote"),
        (76, "keyboard"),
        (77, "cell phone"),
    ),
    "appliance": (
        (78, "microwave"),
        (79, "oven"),
        (80, "toaster"),
        (81, "sink"),
        (82, "refrigerator"),
    ),
    "indoor": (
        (84, "book"),
        (85, "clock"),
        (86, "vase"),
        (87, "scissors"),
        (88, "teddy bear"),
        (89, "hair drier"),
        (90, "toothbrush"),
    ),
}

NAME_OF: dict[int, str] = dict(sorted(pair for pairs in _GROUPS.values() for pair in pairs))
ID_OF: dict[str, int] = {name: class_id for class_id, name in NAME_OF.items()}
NAMES: tuple[str, ...] = tuple(ID_OF)
GROUP_OF: dict[str, str] = {name: group for group, pairs in _GROUPS.items() for _, name in pairs}

_MOVABLE_GROUPS = ("person", "vehicle", "animal", "accessory", "sports", "kitchen", "food")
_MOVABLE_SINGLY = (
    "laptop",
    "mouse",
    "remote",
    "cell phone",
    "book",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)
MOVABLE: frozenset[str] = frozenset(
    name for name in NAMES if GROUP_OF[name] in _MOVABLE_GROUPS or name in _MOVABLE_SINGLY
)


class _MayMove(Container[str]):
    def __contains__(self, name: object) -> bool:
        return name in MOVABLE or name not in ID_OF


# What the map of a scene must not be built on: the movable, and what COCO does not name, which may be anything.
MAY_MOVE: Container[str] = _MayMove()


def class_ids(names: Iterable[str]) -> frozenset[int]:
    """The ids of some names; an unknown name raises `InputError` with the nearest valid one."""
    ids = set()
    for name in names:
        if name not in ID_OF:
            raise unknown_name("class", name, NAMES)
        ids.add(ID_OF[name])
    return frozenset(ids)
