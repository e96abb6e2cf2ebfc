"""Feature memory, after MAMBA (Sun et al., AAAI 2021, 2401.09923): how detected instances look, and where they are.

Two banks under one budget, as the paper has a pixel and an instance level. `FeatureVectors` keeps single feature
vectors, written and erased vector by vector, and enhances feature maps. `ExpectedInstances` keeps box, motion and class
evidence of each instance; it is read by place instead of appearance, which is ours, because on degraded frames
appearance is what is broken. Reading is causal, frames in order, from an empty memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from memory_bank.features.instances import ExpectedInstances
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.features.vectors import FeatureVectors
from memory_bank.protocol import MemoryStats
from streamvos.records import MemoryEvent


class FeatureMemory:
    """Both banks of one stream.

    Args:
        config: sizes and trust.
        budget_bytes: of both; the expected instances take what their slots need, the vectors the rest.
        levels: channels of each feature map by the level's name.
        class_names: of class ids, for the reasons that people read.
        seed: of the random keys, cells and erasures.

    Raises:
        InputError: the budget is too small.
    """

    def __init__(
        self,
        config: FeatureMemoryConfig,
        budget_bytes: int,
        levels: Mapping[str, int],
        class_names: Mapping[int, str],
        seed: int = 0,
    ) -> None:
        self.instances = ExpectedInstances(config, budget_bytes, class_names)
        self.vectors = FeatureVectors(config, budget_bytes - self.instances.capacity_bytes, levels, seed)

    def write(
        self,
        frame_index: int,
        size: tuple[int, int],
        maps: Mapping[str, np.ndarray],
        boxes_xyxy: np.ndarray,
        class_ids: np.ndarray,
        scores: np.ndarray,
        object_ids: np.ndarray,
        degraded: str | None,
    ) -> None:
        """Take in what the detector found in a frame; arguments as those of the banks.

        Args:
            degraded: why the frame counts as degraded, which moves expected places and stores no vectors; None: clean.
        """
        object_ids = self.instances.write(frame_index, boxes_xyxy, class_ids, scores, object_ids, degraded is not None)
        if degraded:
            self.vectors.skip(frame_index, f"nothing is learned from a degraded frame: {degraded}")
        else:
            self.vectors.write(frame_index, size, maps, boxes_xyxy, object_ids)

    def remove(self, object_id: int, frame_index: int = -1) -> None:
        """Forget every vector and expected place of one object."""
        self.vectors.remove(object_id, frame_index)
        self.instances.remove(object_id, frame_index)

    def reset(self) -> None:
        """Forget everything, events included."""
        self.vectors.reset()
        self.instances.reset()

    def stats(self) -> Mapping[str, MemoryStats]:
        """The size of each bank by its name; their capacities are the budget."""
        return {bank.name: bank.stats() for bank in (self.vectors, self.instances)}

    def state_dict(self) -> dict[str, Any]:
        return {"vectors": self.vectors.state_dict(), "instances": self.instances.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.vectors.load_state_dict(state["vectors"])
        self.instances.load_state_dict(state["instances"])

    def drain_events(self) -> tuple[MemoryEvent, ...]:
        """The decisions of both banks since the last call."""
        return self.instances.drain_events() + self.vectors.drain_events()
