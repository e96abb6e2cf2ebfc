"""The records that travel through the graph.

Frozen, validated once at construction, NumPy on the CPU; masks travel as COCO RLE. Lists and numbers of another type
are taken where they say the same (`streamvos.arrays`). A `Frame` enters the graph with a fresh `StepResult`; every
stage returns the `StepResult` with its own part filled in (`dataclasses.replace`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from streamvos.arrays import set_array, set_tuples
from streamvos.errors import InputError
from streamvos.rows import Detection, Rows, TrackedObject, row_of, some_rows

ObjectState = Literal["tracked", "occluded", "lost"]
OBJECT_STATES: tuple[ObjectState, ...] = ("tracked", "occluded", "lost")
MemoryAction = Literal["write", "skip", "merge", "evict", "refine", "reject", "remove", "reset"]
Rle = dict[str, Any]  # COCO run-length encoding: {"size": [H, W], "counts": bytes}
CHOICES = 3  # things that a single click may mean: a part, the whole, a group
_DETECTION_ROWS = ("scores", "boxes_xyxy", "class_ids", "class_names", "object_ids")
_MASK_ROWS = ("object_ids", "rles", "boxes_xyxy", "scores", "states", "class_names", "class_scores")
_MASK_ROWS += ("whole_boxes_xyxy",)


@dataclass(frozen=True)
class Frame:
    """One picture of a stream.

    Args:
        stream_id: which stream the frame belongs to.
        index: number of the frame in its stream, from 0.
        time_s: presentation time in seconds, from the container or the camera, never index / fps.
        image: (H, W, 3) uint8 RGB.
        depth_m: (H, W) float32 metres, 0 where unknown, aligned with `image`; RGB-D input only.
        intrinsics: (3, 3) float64 pinhole matrix in pixels of `image`.
    """

    stream_id: str
    index: int
    time_s: float
    image: np.ndarray
    depth_m: np.ndarray | None = None
    intrinsics: np.ndarray | None = None

    def __post_init__(self) -> None:
        set_array(self, "image", (None, None, 3), np.uint8)
        if min(self.image.shape[:2]) < 1:
            raise InputError(f"Frame.image: expected at least 1x1 pixels, got {self.image.shape[:2]}")
        if self.depth_m is not None:
            if np.asarray(self.depth_m).dtype.kind in "iu":
                raise InputError(
                    "Frame.depth_m: expected metres as floats, got whole numbers; divide millimetres by 1000"
                )
            set_array(self, "depth_m", self.image.shape[:2], np.float32)
        if self.intrinsics is not None:
            set_array(self, "intrinsics", (3, 3), np.float64)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True)
class Prompt:
    """A user's word that an object is here, at any frame of the stream.

    One of `mask`, `box`, `points`, or a box with points. A prompt for an id that is already followed corrects it.

    Args:
        frame_index: of the frame that is meant. object_id: the stable identity, >= 1.
        mask: (H, W) bool, full frame size. box: (4,) float32 xyxy pixels.
        points: (P, 2) float32 xy pixels, with `labels` (P,) bool: True on the object; without a box at least one is.
        label: class or name that the user gives the object.
        choice: of a single click: which of the things that it may mean, 0 the likeliest; the last if fewer.
    """

    frame_index: int
    object_id: int
    mask: np.ndarray | None = None
    box: np.ndarray | None = None
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    label: str | None = None
    choice: int = 0

    def __post_init__(self) -> None:
        if self.object_id < 1:
            raise InputError(f"Prompt.object_id: expected >= 1 (0 is the background), got {self.object_id}")
        if self.frame_index < 0:
            raise InputError(f"Prompt.frame_index: expected >= 0, got {self.frame_index}")
        given = [name for name in ("mask", "box", "points") if getattr(self, name) is not None]
        if len(given) != 1 and given != ["box", "points"]:
            came = ", ".join(given) or "none"
            raise InputError(f"Prompt: expected one of mask, box, points, or a box with points; got {came}")
        if self.mask is not None:
            set_array(self, "mask", (None, None), np.bool_)
        if self.box is not None:
            set_array(self, "box", (4,), np.float32)
            if not (self.box[2] > self.box[0] and self.box[3] > self.box[1]):
                raise InputError(f"Prompt.box: expected x1 < x2 and y1 < y2, got {self.box.tolist()}")
        if self.points is not None:
            set_array(self, "points", (None, 2), np.float32)
            if self.labels is None:
                raise InputError("Prompt.points: expected labels, (P,) bool, one for each point")
            set_array(self, "labels", (len(self.points),), np.bool_)
            if self.box is None and not self.labels.any():
                raise InputError("Prompt.labels: expected at least one point on the object")
        if self.choice not in range(CHOICES if self.clicks_alone and len(self.points) == 1 else 1):
            raise InputError(f"Prompt.choice: expected 0 to 2, only a single click has a choice; got {self.choice!r}")

    @property
    def clicks_alone(self) -> bool:
        """True where nothing but clicks says how far the object reaches."""
        return self.points is not None and self.box is None


@dataclass(frozen=True)
class Removal:
    """A user's word that an object need not be followed from this frame on."""

    frame_index: int
    object_id: int


@dataclass(frozen=True)
class Naming:
    """A user's name for an object from this frame on."""

    frame_index: int
    object_id: int
    label: str


@dataclass(frozen=True)
class Detections:
    """What the detector found in one frame.

    `found[0]` is one `Detection`, and so is what a loop gives; `found[found.scores > 0.5]`, a slice or rows give
    `Detections` of some.

    Args:
        boxes_xyxy: (M, 4) float32 pixels of the full frame.
        scores: (M,) float32 in [0, 1].
        class_ids: (M,) int64, ids of the class vocabulary `class_names`.
        class_names: (M,) names, one for each detection.
        object_ids: (M,) int64 identity that the segmenter gave the detection, -1 where none.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    class_names: tuple[str, ...]
    object_ids: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.scores)
        set_array(self, "boxes_xyxy", (count, 4), np.float32)
        set_array(self, "scores", (count,), np.float32)
        set_array(self, "class_ids", (count,), np.int64)
        set_array(self, "object_ids", (count,), np.int64)
        set_tuples(self, "class_names")
        if len(self.class_names) != count:
            raise InputError(f"Detections.class_names: expected {count} names, got {len(self.class_names)}")

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: int | Rows) -> Any:
        row = row_of(rows, len(self), "detections")
        return some_rows(self, rows, _DETECTION_ROWS) if row is None else self._row(row)

    def __iter__(self) -> Iterator[Detection]:
        return (self._row(row) for row in range(len(self)))

    def to_supervision(self) -> Any:
        """As `supervision.Detections`; `tracker_id` is -1 for no object; raises `InputError` where it is absent."""
        from streamvos.tables import detections_to_supervision  # which imports the masks, and they the records

        return detections_to_supervision(self)

    def to_pandas(self) -> Any:
        """As a `pandas.DataFrame`, one row for each detection; raises `InputError` where pandas is absent."""
        from streamvos.tables import detections_to_pandas

        return detections_to_pandas(self)

    def _row(self, row: int) -> Detection:
        score, class_id, object_id = float(self.scores[row]), int(self.class_ids[row]), int(self.object_ids[row])
        return Detection(self.boxes_xyxy[row], score, class_id, self.class_names[row], object_id)


@dataclass(frozen=True)
class ObjectMasks:
    """The objects that are followed in one frame, in ascending order of id.

    `masks[0]` is one `TrackedObject`, and so is what a loop gives; `masks[masks.scores > 0.5]`, a slice or rows give
    `ObjectMasks` of some. `masks.find(3)` is the object of id 3.

    Args:
        size: (H, W) of the frame that the masks belong to.
        object_ids: (N,) int64, >= 1, unique.
        rles: N COCO run-length encodings at full size; masks do not overlap; empty where not visible.
        boxes_xyxy: (N, 4) float32 tight boxes, zeros where the mask is empty.
        scores: (N,) float32 in [0, 1], the tracker's confidence in the mask.
        states: N of "tracked" (seen now), "occluded" (expected, not seen), "lost" (given up until it returns).
        class_names: N names, "" where unknown.
        class_scores: (N,) float32 in [0, 1], of the detection that last confirmed the class; NaN where none did.
        whole_boxes_xyxy: (N, 4) float32 boxes of all of each object, also of what is hidden or outside the picture;
            where "occluded" ones are expected; zeros of "lost" ones. None: those of the masks.
    """

    size: tuple[int, int]
    object_ids: np.ndarray
    rles: tuple[Rle, ...]
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    states: tuple[ObjectState, ...]
    class_names: tuple[str, ...]
    class_scores: np.ndarray | None = None
    whole_boxes_xyxy: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.object_ids)
        if self.class_scores is None:
            object.__setattr__(self, "class_scores", np.full(count, np.nan, np.float32))
        if self.whole_boxes_xyxy is None:
            object.__setattr__(self, "whole_boxes_xyxy", self.boxes_xyxy)
        set_array(self, "class_scores", (count,), np.float32)
        set_array(self, "whole_boxes_xyxy", (count, 4), np.float32)
        set_tuples(self, "rles", "states", "class_names")
        set_array(self, "object_ids", (count,), np.int64)
        set_array(self, "boxes_xyxy", (count, 4), np.float32)
        set_array(self, "scores", (count,), np.float32)
        if count and (self.object_ids.min() < 1 or (np.diff(self.object_ids) <= 0).any()):
            raise InputError(f"ObjectMasks.object_ids: expected ascending ids >= 1, got {self.object_ids.tolist()}")
        for name in ("rles", "states", "class_names"):
            if len(getattr(self, name)) != count:
                raise InputError(f"ObjectMasks.{name}: expected {count} entries, got {len(getattr(self, name))}")
        unknown = set(self.states) - set(OBJECT_STATES)
        if unknown:
            raise InputError(f"ObjectMasks.states: expected {OBJECT_STATES}, got {sorted(unknown)}")

    def __len__(self) -> int:
        return len(self.object_ids)

    def __getitem__(self, rows: int | Rows) -> Any:
        row = row_of(rows, len(self), "objects")
        return some_rows(self, rows, _MASK_ROWS) if row is None else self._row(row)

    def __iter__(self) -> Iterator[TrackedObject]:
        return (self._row(row) for row in range(len(self)))

    @property
    def masks(self) -> np.ndarray:
        """(N, H, W) bool, decoded when asked for and not kept: N H W bytes."""
        from streamvos.masks import decode  # which imports the records

        return np.stack([decode(rle) for rle in self.rles]) if self.rles else np.zeros((0, *self.size), bool)

    def find(self, object_id: int) -> TrackedObject | None:
        """The object of this id; None where it is not followed."""
        row = int(np.searchsorted(self.object_ids, object_id))
        return self._row(row) if row < len(self) and self.object_ids[row] == object_id else None

    def to_supervision(self) -> Any:
        """As `supervision.Detections` with masks, of the objects that are visible; `InputError` where it is absent.

        `confidence` is the score of the mask; the class's is in `data["class_score"]`. `class_id` is COCO's number of
        the class, -1 where COCO has none of that name.
        """
        from streamvos.tables import masks_to_supervision

        return masks_to_supervision(self)

    def to_pandas(self) -> Any:
        """As a `pandas.DataFrame`, one row for each object; raises `InputError` where pandas is absent."""
        from streamvos.tables import masks_to_pandas

        return masks_to_pandas(self)

    def _row(self, row: int) -> TrackedObject:
        class_score = None if np.isnan(self.class_scores[row]) else float(self.class_scores[row])
        return TrackedObject(
            int(self.object_ids[row]),
            self.rles[row],
            self.boxes_xyxy[row],
            float(self.scores[row]),
            class_score,
            self.states[row],
            self.class_names[row],
            self.whole_boxes_xyxy[row],
        )


@dataclass(frozen=True)
class SceneEstimate:
    """Where the camera is and what it sees of the scene.

    Args:
        map_id: which map the pose belongs to; a cut or a loss that is not recovered starts a new one.
        world_from_camera: (4, 4) float64, camera x right, y down, z forward; None while `tracking` is "lost".
        intrinsics: (3, 3) float64 pixels of the full frame.
        depth_m: (h, w) float32, 0 where unknown, or None where the stage made none; h, w may be smaller.
        confidence: (h, w) float32 in [0, 1], or None.
        dynamic: (h, w) bool, pixels judged to move, or None.
        scale: "metric" where depth came in metres, otherwise "relative".
        tracking: "ok" or "lost"; a pose is never made up.
        num_static: points in the persistent memory.
        num_dynamic: points in the transient memory.
    """

    map_id: int
    world_from_camera: np.ndarray | None
    intrinsics: np.ndarray
    scale: Literal["metric", "relative"]
    tracking: Literal["ok", "lost"]
    depth_m: np.ndarray | None = None
    confidence: np.ndarray | None = None
    dynamic: np.ndarray | None = None
    num_static: int = 0
    num_dynamic: int = 0

    def __post_init__(self) -> None:
        set_array(self, "intrinsics", (3, 3), np.float64)
        if (self.world_from_camera is None) != (self.tracking == "lost"):
            raise InputError("SceneEstimate: expected a pose when tracking is ok, and none when it is lost")
        if self.world_from_camera is not None:
            set_array(self, "world_from_camera", (4, 4), np.float64)


@dataclass(frozen=True)
class MemoryEvent:
    """One decision of a memory, with a reason that a person can read.

    Args:
        bank: "keyframes", "features", "expected_places", "scene" or "episodes".
        action: what was done.
        frame_index: the frame at which it was decided.
        entry: which entry, in the bank's own words ("object 2, slot 5").
        reason: why, in a sentence.
        bytes: size of the bank after the decision.
        numbers: those that decided it, by name.
    """

    bank: str
    action: MemoryAction
    frame_index: int
    entry: str
    reason: str
    bytes: int
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepResult:
    """The envelope that goes from stage to stage; each fills in its own part.

    Args:
        stream_id, frame_index, time_s, size: which frame, (H, W).
        prompts, removals, namings: the user's words that take effect at this frame.
        shot_index: number of the shot, from 0; a cut starts the next one.
        is_cut: True on the first frame of a shot other than the first.
        detections: None where the detector did not run on this frame.
        masks: None where the segment stage is not in the graph.
        scene: None where the reconstruct stage is not in the graph.
        events: decisions of all memories at this frame, in order.
        timings_s: seconds that each stage took.
    """

    stream_id: str
    frame_index: int
    time_s: float
    size: tuple[int, int]
    prompts: tuple[Prompt, ...] = ()
    removals: tuple[Removal, ...] = ()
    namings: tuple[Naming, ...] = ()
    shot_index: int = 0
    is_cut: bool = False
    detections: Detections | None = None
    masks: ObjectMasks | None = None
    scene: SceneEstimate | None = None
    events: tuple[MemoryEvent, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        frame: Frame,
        prompts: tuple[Prompt, ...] = (),
        removals: tuple[Removal, ...] = (),
        namings: tuple[Naming, ...] = (),
    ) -> StepResult:
        """The empty envelope of a frame."""
        return cls(frame.stream_id, frame.index, frame.time_s, frame.size, prompts, removals, namings)
