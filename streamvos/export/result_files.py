"""All files that one run writes frame by frame, as one thing: write, mark a moment, go back, publish."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamvos.config import Settings, setting
from streamvos.export.boxes import box_lines
from streamvos.export.draw import draw_result
from streamvos.export.masks import MaskWriter, paint
from streamvos.export.overlay import OverlayWriter
from streamvos.export.parts import PartFile
from streamvos.export.ply import write_scene
from streamvos.export.timeline import Timeline
from streamvos.export.tracks import assemble_tracks, track_line
from streamvos.export.trajectory import pose_line
from streamvos.records import Frame, StepResult
from streamvos.video.info import SourceInfo

_log = logging.getLogger(__name__)
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_TRAJECTORY_HEAD = "# timestamp tx ty tz qx qy qz qw (world from camera; x right, y down, z forward)\n"


@dataclass(frozen=True)
class OutputConfig(Settings, at="output"):
    """What a run leaves behind, and at what cost."""

    masks: bool = setting(True, "write masks/; tracks.json has the same masks in a tenth of the files' time")
    overlay: bool = setting(True, "write overlay.mp4; without it a run needs about 6 ms less a frame at 854x480")
    overlay_crf: int = setting(23, "quality of the overlay; lower looks better and takes more room", low=0, high=51)
    overlay_preset: str = setting("veryfast", "of libx264; slower ones make smaller files", names=_PRESETS)
    overlay_threads: int = setting(1, "of the encoder, 0: its own choice; more only helps where cores are idle", low=0)
    segment_frames: int = setting(
        1500, "frames in a segment of the overlay; a kill costs at most the last two seconds", low=1
    )
    timeline_rows: int = setting(200, "objects in timeline.png; beyond it the longest-lived are shown", low=1)
    queue_frames: int = setting(
        4, "frames that wait for the writing thread; more smooths, and costs 1.2 MB each at 480p", low=1
    )


class ResultFiles:
    """The result files of one run.

    Args:
        folder: exists.
        info: of the source.
        config: what to write.
    """

    def __init__(self, folder: Path, info: SourceInfo, config: OutputConfig) -> None:
        self._folder, self._info, self._config = folder, info, config
        self._tracks = PartFile(folder / "tracks.json", "tracks.jsonl.part")
        self._boxes = PartFile(folder / "boxes.txt")
        self._events = PartFile(folder / "events.jsonl")
        self._trajectory = PartFile(folder / "trajectory.txt")
        self._parts = (self._tracks, self._boxes, self._events, self._trajectory)
        self._masks = MaskWriter(folder / "masks")
        self._overlay = OverlayWriter(
            folder / "overlay.mp4",
            info,
            config.overlay_crf,
            config.overlay_preset,
            config.overlay_threads,
            config.segment_frames,
        )
        self._timeline = Timeline(config.timeline_rows)
        self._map_id: int | None = None
        self._num_detections = self._num_events = 0
        self._objects: list[dict[str, Any]] | None = None

    @property
    def warnings(self) -> list[str]:
        return list(self._masks.warnings)

    def counts(self) -> dict[str, int]:
        """Numbers for run.json."""
        counts = {
            "detections": self._num_detections,
            "memory_events": self._num_events,
            "cuts": self._timeline.num_cuts,
        }
        return counts if self._objects is None else counts | {"objects": len(self._objects)}

    def write(self, frame: Frame, result: StepResult) -> None:
        """Write everything that one frame leaves."""
        labels = None if result.masks is None else paint(result.masks)
        if labels is not None and self._config.masks:
            self._masks.write(frame.index, labels)
        if result.masks is not None or result.detections is not None:
            self._tracks.append(track_line(result))
            self._boxes.append(box_lines(result).encode())
        self._write_events(result)
        self._write_pose(result)
        self._timeline.add(result)
        self._num_detections += 0 if result.detections is None else len(result.detections)
        if self._config.overlay:
            self._overlay.write(draw_result(frame.image, result, labels), frame.time_s)

    def mark(self) -> dict[str, Any]:
        """Bring everything to the disk; returns what `go_back` needs to come back to this moment."""
        return {
            "lengths": {part.path.name: part.sync() for part in self._parts},
            "segments": self._overlay.mark(),
            "last_ticks": self._overlay.last_ticks,
            "timeline": self._timeline.state_dict(),
            "map_id": self._map_id,
            "counts": [self._num_detections, self._num_events],
            "mask_warnings": list(self._masks.warnings),
        }

    def go_back(self, mark: dict[str, Any] | None, next_index: int) -> None:
        """Cut all files of an earlier run back to a mark; None is the beginning."""
        lengths = {} if mark is None else mark["lengths"]
        for part in self._parts:
            part.resume(lengths.get(part.path.name, -1))
        self._masks.forget_from(next_index)
        self._overlay.resume(*((), -1) if mark is None else (mark["segments"], mark["last_ticks"]))
        if mark is not None:
            self._timeline.load_state_dict(mark["timeline"])
            self._map_id = mark["map_id"]
            self._num_detections, self._num_events = mark["counts"]
            self._masks.warnings = list(mark["mask_warnings"])

    def finish(self, products: Mapping[str, Any], is_complete: bool) -> list[Exception]:
        """Give all files their final names. What a run needs to go on stays, until `folder.remove_leftovers`.

        Returns:
            The errors, in order.
        """
        errors: list[Exception] = []

        def attempt(step: Callable[[], Any]) -> None:
            try:
                step()
            except Exception as error:  # one file that fails must not take the others along
                _log.warning("finishing %s: %s", self._folder, error)
                errors.append(error)

        for part in self._parts:
            attempt(part.close)
        attempt(self._overlay.end_segment)
        attempt(self._assemble_tracks)
        attempt(self._overlay.join)
        attempt(lambda: self._timeline.draw(self._folder / "timeline.png", self._info.name))
        if "reconstruct" in products:
            attempt(lambda: write_scene(self._folder / "scene.ply", products["reconstruct"]))
        may_go_on = not is_complete or bool(errors)
        for part in (self._boxes, self._events, self._trajectory):
            attempt(lambda part=part: part.publish(keep_part=may_go_on))
        return errors

    def _write_events(self, result: StepResult) -> None:
        self._events.begin()
        lines = []
        for event in result.events:
            entry = asdict(event) | {"numbers": {name: round(value, 6) for name, value in event.numbers.items()}}
            entry = {"frame": entry.pop("frame_index"), "time_s": round(result.time_s, 6)} | entry
            lines.append(json.dumps(entry, separators=(",", ":"), ensure_ascii=False) + "\n")
        self._num_events += len(lines)
        self._events.append("".join(lines).encode())

    def _write_pose(self, result: StepResult) -> None:
        if result.scene is None:
            return
        text = "" if self._trajectory.is_begun else _TRAJECTORY_HEAD
        if result.scene.world_from_camera is not None:
            if result.scene.map_id != self._map_id:
                self._map_id = result.scene.map_id
                text += f"# map {self._map_id}\n"
            text += pose_line(result.time_s, result.scene.world_from_camera) + "\n"
        self._trajectory.append(text.encode())

    def _assemble_tracks(self) -> None:
        if self._tracks.is_begun:
            self._objects = assemble_tracks(self._tracks.part, self._tracks.path, self._info)
