"""Camera trajectories as text in the TUM format: `timestamp tx ty tz qx qy qz qw`, camera in the world.

One line for each frame that has a pose. A comment `# map K` stands before the first pose of each map, because
poses of different maps share neither origin nor (without depth) scale. Tools that read TUM files skip comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from scipy.spatial.transform import Rotation

from streamvos.errors import InputError
from streamvos.foreign_files import read_text

_FARTHEST_M = 1e9  # of a position: beyond, errors of centimetres are lost in rounding, and squares overflow


@dataclass(frozen=True)
class Trajectory:
    """Poses over time.

    Args:
        times_s: (N,) float64 seconds.
        world_from_camera: (N, 4, 4) float64.
        map_ids: (N,) int64, 0 where the file names no map.
    """

    times_s: np.ndarray
    world_from_camera: np.ndarray
    map_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.times_s)


class TrajectoryWriter:
    """Appends poses to an open text file, as they come.

    Args:
        file: opened for writing text; stays the caller's to close.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._map_id: int | None = None
        file.write("# timestamp tx ty tz qx qy qz qw (world from camera; x right, y down, z forward)\n")

    def append(self, time_s: float, world_from_camera: np.ndarray | None, map_id: int = 0) -> None:
        """Write one (4, 4) pose; a frame without a pose (None) leaves no line."""
        if world_from_camera is None:
            return
        if map_id != self._map_id:
            self._file.write(f"# map {map_id}\n")
            self._map_id = map_id
        self._file.write(pose_line(time_s, world_from_camera) + "\n")


def pose_line(time_s: float, world_from_camera: np.ndarray) -> str:
    """One TUM line of a (4, 4) pose, without the line break."""
    quaternion = Rotation.from_matrix(world_from_camera[:3, :3]).as_quat(canonical=True)
    numbers = [*world_from_camera[:3, 3], *quaternion]
    return f"{time_s:.6f} " + " ".join(f"{number:.9f}" for number in numbers)


def write_trajectory(path: Path, trajectory: Trajectory) -> None:
    """Write a whole trajectory."""
    with path.open("w", encoding="utf-8") as file:
        writer = TrajectoryWriter(file)
        for time_s, pose, map_id in zip(
            trajectory.times_s, trajectory.world_from_camera, trajectory.map_ids, strict=True
        ):
            writer.append(float(time_s), pose, int(map_id))


def read_trajectory(path: Path) -> Trajectory:
    """Read a TUM file; raises `InputError` that names the line where it is malformed."""
    times, poses, maps, map_id = [], [], [], 0
    lines = read_text(path, f"trajectory {path}").splitlines()
    for number, line in enumerate(lines, start=1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            if len(words) == 3 and words[:2] == ["#", "map"] and re.fullmatch("[0-9]{1,18}", words[2]):
                map_id = int(words[2])
            continue
        time_s, pose = _parse(words, f"trajectory {path}, line {number}")
        times.append(time_s)
        poses.append(pose)
        maps.append(map_id)
    return Trajectory(np.array(times), np.array(poses).reshape(-1, 4, 4), np.array(maps, np.int64))


def _parse(words: list[str], place: str) -> tuple[float, np.ndarray]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != 8 or not np.isfinite(values).all() or not 1e-6 < np.linalg.norm(values[4:]) < 1e6:
        raise InputError(f"{place}: expected 'timestamp tx ty tz qx qy qz qw', got {' '.join(words)!r}")
    if max(map(abs, values[1:4])) > _FARTHEST_M:
        raise InputError(f"{place}: expected positions in metres, got {' '.join(words[1:4])!r}")
    pose = np.eye(4)
    pose[:3, 3] = values[1:4]
    pose[:3, :3] = Rotation.from_quat(values[4:]).as_matrix()
    return values[0], pose


def associate(times_a: np.ndarray, times_b: np.ndarray, max_difference_s: float) -> np.ndarray:
    """Pairs of rows (P, 2) whose times match best, each row used at most once, nearest pairs first."""
    if not len(times_a) or not len(times_b):
        return np.zeros((0, 2), np.int64)
    right = np.searchsorted(times_b, times_a)
    candidates = []
    for offset in (-1, 0):
        rows_b = np.clip(right + offset, 0, len(times_b) - 1)
        gaps = np.abs(times_b[rows_b] - times_a)
        candidates += [
            (gap, a, b) for a, (gap, b) in enumerate(zip(gaps, rows_b, strict=True)) if gap <= max_difference_s
        ]
    used_a: set[int] = set()
    used_b: set[int] = set()
    pairs = []
    for _, a, b in sorted(candidates):
        if a not in used_a and b not in used_b:
            used_a.add(a)
            used_b.add(b)
            pairs.append((a, b))
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)
