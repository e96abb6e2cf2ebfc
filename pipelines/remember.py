"""The stage that remembers: turns masks and detections of each frame into the long memory's facts.

After the perception-memory split of InternLM-XComposer2.5-OmniLive (2412.09596): this stage only writes; questions
are answered by `pipelines.answer.answering` from the same directory, also while the stream runs.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from memory_bank.episodes import EpisodeConfig, EpisodeMemory, Moment, Sighting, policy
from memory_bank.episodes.colours import colour_name
from memory_bank.protocol import MemoryStats
from pipelines.scores import ScoreThresholds
from streamvos import masks as mask_codec
from streamvos.config import Settings, setting, table
from streamvos.errors import MissingWeightsError
from streamvos.models.minilm import SentenceEncoder, load_minilm
from streamvos.records import Frame, ObjectMasks, StepResult

_MAX_LABEL = 64


@dataclass(frozen=True)
class RememberConfig(Settings, at="remember"):
    """Settings of the stage."""

    thumbnail_px: int = setting(256, "longer side of the key-frame pictures; larger shows more, costs bytes", low=16)
    jpeg_quality: int = setting(75, "of these pictures; higher looks better, costs bytes", low=1, high=100)
    text_embeddings: Literal["auto", "on", "off"] = setting(
        "auto",
        "sentence embeddings of the summaries; auto: where the extra `text` is installed, on: refuse to run without it",
    )
    episodes: EpisodeConfig = table(EpisodeConfig)


class RememberStage:
    """Writes one stream's long memory.

    Args:
        config: settings.
        directory: where the memory lies; must be empty, or be resumed by `load_state_dict`.
        stream_id: name of the stream.
        source: where it comes from, without secrets.
        min_score: of detections, from which they are remembered where no objects are followed.
        budget_bytes: of the memory on disk.

    Raises:
        InputError: the directory holds something that is not a memory.
        MissingWeightsError: `text_embeddings` is "on" and the extra is absent.
    """

    name = "remember"

    def __init__(
        self,
        config: RememberConfig,
        directory: Path,
        stream_id: str,
        source: str,
        min_score: float = ScoreThresholds().episodes,
        budget_bytes: int = policy.BUDGET_BYTES,
    ) -> None:
        self.config, self._min_score = config, min_score
        encoder, absent = _encoder(config.text_embeddings)
        self.memory = EpisodeMemory(Path(directory), stream_id, source, config.episodes, budget_bytes, encoder, absent)
        self._labels: dict[int, str] = {}
        self._detector_ran = False

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        """Remember a frame; returns the envelope with the memory's decisions added."""
        moment = self._moment(frame, result)
        self.memory.write(moment)
        if result.detections is not None and not self._detector_ran:
            self._detector_ran = True
            self.memory.note("detector", "ran")
        return dataclasses.replace(result, events=result.events + self.memory.drain_events())

    def reset(self) -> None:
        self.memory.reset()
        self._labels, self._detector_ran = {}, False

    def stats(self) -> Mapping[str, MemoryStats]:
        return {"episodes": self.memory.stats()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "memory": self.memory.state_dict(),
            "labels": dict(self._labels),
            "detector_ran": self._detector_ran,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.memory.load_state_dict(state["memory"])
        self._labels = dict(state["labels"])
        self._detector_ran = state["detector_ran"]

    def products(self) -> dict[str, Any]:
        stats = self.memory.stats()
        return {"memory_entries": stats.entries, "memory_bytes": stats.bytes}

    def close(self) -> None:
        self.memory.close()

    def _moment(self, frame: Frame, result: StepResult) -> Moment:
        prompted = set()
        for prompt in result.prompts:
            prompted.add(prompt.object_id)
            if prompt.label and (label := _clean(prompt.label)):
                self._labels[prompt.object_id] = label
        names = {naming.object_id: label for naming in result.namings if (label := _clean(naming.label))}
        self._labels |= names
        t_ms = round(1000 * frame.time_s)
        sightings: tuple[Sighting, ...] | None = None
        if result.masks is not None:
            sightings = self._from_masks(frame, result, result.masks, prompted, t_ms)
        elif result.detections is not None:
            sightings = self._from_detections(frame, result, t_ms)
        removed = tuple(removal.object_id for removal in result.removals)
        for object_id in removed:
            self._labels.pop(object_id, None)
        return Moment(
            frame.index,
            t_ms,
            frame.size,
            result.shot_index,
            result.is_cut,
            sightings,
            functools.cache(lambda: self._thumbnail(frame.image)),
            removed,
            names,
            None if result.scene is None else result.scene.tracking,
        )

    def _from_masks(
        self, frame: Frame, result: StepResult, masks: ObjectMasks, prompted: set[int], t_ms: int
    ) -> tuple[Sighting, ...]:
        height, width = masks.size
        scale = np.array([width, height, width, height], np.float32)
        detected = _detected_classes(result)  # of what the user has named, the class is still worth knowing
        sightings = []
        for row, object_id in enumerate(masks.object_ids.tolist()):
            area = mask_codec.area_px(masks.rles[row])
            # a mask without pixels shows nothing, whatever the tracker calls it
            state = masks.states[row] if area or masks.states[row] != "tracked" else "occluded"
            label, class_name = self._labels.get(object_id), masks.class_names[row]
            colour = None
            if state == "tracked" and self.memory.wants_pixels(object_id, t_ms):
                colour = _mask_colour(frame.image, masks, row)
            sightings.append(
                Sighting(
                    object_id=object_id,
                    class_name=detected.get(object_id, class_name) if label else class_name,
                    state=state,
                    score=float(masks.scores[row]),
                    box=_box(masks.boxes_xyxy[row] / scale),
                    area=area / (height * width),
                    colour=colour,
                    label=label,
                    prompted=object_id in prompted,
                )
            )
        return tuple(sightings)

    def _from_detections(self, frame: Frame, result: StepResult, t_ms: int) -> tuple[Sighting, ...]:
        """Detections have no identity: one entry for each class, with its number and its best box."""
        found = result.detections
        assert found is not None
        height, width = frame.size
        scale = np.array([width, height, width, height], np.float32)
        sightings = []
        by_class: dict[str, list[int]] = {}
        for row in range(len(found)):
            if found.scores[row] >= self._min_score:
                by_class.setdefault(found.class_names[row], []).append(row)
        for name, rows in sorted(by_class.items()):
            best = max(rows, key=lambda row: (float(found.scores[row]), -row))
            box = _box(found.boxes_xyxy[best] / scale)
            colour = None
            if self.memory.wants_pixels(name, t_ms):
                colour = colour_name(_box_pixels(frame.image, box))
            area = (box[2] - box[0]) * (box[3] - box[1])
            score = float(found.scores[best])
            sightings.append(Sighting(None, name, "tracked", score, box, area, colour, count=len(rows)))
        return tuple(sightings)

    def _thumbnail(self, image: np.ndarray) -> bytes:
        height, width = image.shape[:2]
        factor = min(1.0, self.config.thumbnail_px / max(height, width))
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if factor < 1 else image
        bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self.config.jpeg_quality])
        return data.tobytes()


def _encoder(wanted: str) -> tuple[SentenceEncoder | None, str]:
    if wanted == "off":
        return None, "switched off"
    try:
        return load_minilm(), ""
    except MissingWeightsError as error:
        if wanted == "on":
            raise
        return None, str(error)


def _clean(label: str) -> str:
    """A label as one line of bounded length, without control characters."""
    return re.sub(r"\s+", " ", re.sub(r"[\x00-\x1f\x7f]", " ", label)).strip()[:_MAX_LABEL]


def _box(box: np.ndarray) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (min(1.0, max(0.0, float(side))) for side in box)
    return x1, y1, x2, y2


def _detected_classes(result: StepResult) -> dict[int, str]:
    """The class that the detector gave each followed object in this frame."""
    found = result.detections
    if found is None:
        return {}
    order = np.argsort(found.scores, kind="stable")  # the best comes last and stays
    return {int(found.object_ids[row]): found.class_names[row] for row in order.tolist() if found.object_ids[row] > 0}


def _mask_colour(image: np.ndarray, masks: ObjectMasks, row: int) -> str | None:
    if masks.size != image.shape[:2]:
        return None
    x1, y1, x2, y2 = (int(side) for side in masks.boxes_xyxy[row])
    inside = mask_codec.decode(masks.rles[row])[y1:y2, x1:x2]
    return colour_name(image[y1:y2, x1:x2][inside])


def _box_pixels(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The (P, 3) pixels of the middle half of a box, where the thing itself most likely is."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) / 4, (y2 - y1) / 4
    rows = slice(int((y1 + dy) * height), int((y2 - dy) * height) + 1)
    cols = slice(int((x1 + dx) * width), int((x2 - dx) * width) + 1)
    return image[rows, cols].reshape(-1, 3)
