"""Records as other libraries have them: `supervision.Detections`, `pandas.DataFrame`. Only here are both imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from streamvos import masks as mask_codec
from streamvos.errors import InputError
from streamvos.models import coco

if TYPE_CHECKING:
    from streamvos.records import Detections, ObjectMasks

_INSTALL = {
    "pandas": "pip install pandas",
    # with its dependencies opencv-python comes, which overwrites the files of opencv-python-headless
    "supervision": "pip install --no-deps supervision defusedxml pydeprecate",
}


def detections_to_supervision(found: Detections) -> Any:
    """See `Detections.to_supervision`."""
    with _needs("supervision"):
        import supervision as sv
    return sv.Detections(
        xyxy=found.boxes_xyxy.reshape(-1, 4).copy(),
        confidence=found.scores.copy(),
        class_id=found.class_ids.copy(),
        tracker_id=found.object_ids.copy(),
        data={"class_name": np.array(found.class_names, dtype=str)},
    )


def masks_to_supervision(masks: ObjectMasks) -> Any:
    """See `ObjectMasks.to_supervision`."""
    with _needs("supervision"):
        import supervision as sv
    shown = masks[masks.boxes_xyxy[:, 2] > masks.boxes_xyxy[:, 0]]
    return sv.Detections(
        xyxy=shown.boxes_xyxy.copy(),
        mask=shown.masks,
        confidence=shown.scores.copy(),
        class_id=np.array([coco.ID_OF.get(name, -1) for name in shown.class_names], np.int64),
        tracker_id=shown.object_ids.copy(),
        data={
            "class_name": np.array(shown.class_names, dtype=str),
            "class_score": shown.class_scores.copy(),
            "state": np.array(shown.states, dtype=str),
        },
    )


def detections_to_pandas(found: Detections) -> Any:
    """See `Detections.to_pandas`."""
    columns = {
        "object_id": found.object_ids,
        "class_id": found.class_ids,
        "class_name": list(found.class_names),
        "score": found.scores,
    }
    with _needs("pandas"):
        import pandas
    return pandas.DataFrame(columns | _corners(found.boxes_xyxy))


def masks_to_pandas(masks: ObjectMasks) -> Any:
    """See `ObjectMasks.to_pandas`."""
    columns = {
        "object_id": masks.object_ids,
        "class_name": list(masks.class_names),
        "state": list(masks.states),
        "score": masks.scores,
        "class_score": masks.class_scores,
    }
    area = {"area_px": [mask_codec.area_px(rle) for rle in masks.rles]}
    with _needs("pandas"):
        import pandas
    return pandas.DataFrame(columns | _corners(masks.boxes_xyxy) | area)


def _corners(boxes_xyxy: np.ndarray) -> dict[str, np.ndarray]:
    return {name: boxes_xyxy[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))}


@contextmanager
def _needs(name: str) -> Iterator[None]:
    """What an import that fails says: how to get the package."""
    try:
        yield
    except ImportError as error:
        raise InputError(f"to_{name}() needs the package {name} ({error}); install it: {_INSTALL[name]}") from None
