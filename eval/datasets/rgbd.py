"""RGB-D sequences with true camera poses: one folder, a folder of several, or composed data (its `rgbd` folder).

Layouts of `streamvos.video.rgbd`: 7-Scenes (`frame-000000.pose.txt` beside the pictures) and TUM RGB-D
(`groundtruth.txt`, camera in the world, at its own times).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamvos.errors import InputError, unknown_name
from streamvos.export.trajectory import Trajectory, associate, read_trajectory
from streamvos.video.info import Source
from streamvos.video.names import files_in, folders_in
from streamvos.video.rates import parse_time
from streamvos.video.rgbd import layout_of, read_pose
from streamvos.video.sources import open_source

_TRUTH_GAP_S = 0.02  # a frame whose nearest true pose is further away in time is not scored


@dataclass(frozen=True)
class RgbdSequence:
    """One sequence on disk."""

    name: str
    folder: Path

    def open(self, max_frames: int | None = None) -> Source:
        """The frames, with depth and intrinsics; to be used in a `with` block."""
        return open_source(self.folder, max_frames=max_frames)

    def truth(self, times_s: np.ndarray) -> Trajectory:
        """The true poses of the frames at times (N,), as `open` numbers them; frames without a true pose are left out.

        Raises:
            InputError: there is no truth, or not for all frames of a 7-Scenes folder.
        """
        if layout_of(self.folder) == "tum":
            return _tum_truth(self.folder, times_s)
        files = files_in(self.folder, "frame-*.pose.txt")
        if len(files) < len(times_s):
            raise InputError(f"{self.folder}: expected a .pose.txt for each of {len(times_s)} frames, got {len(files)}")
        poses = np.stack([read_pose(path) for path in files[: len(times_s)]])
        return Trajectory(np.asarray(times_s), poses, np.zeros(len(poses), np.int64))

    def label_paths(self) -> list[Path]:
        """Label maps of what moves, one for each frame, as composed data has them beside `rgbd`.

        Raises:
            InputError: there are none.
        """
        folder = self.folder.parent.parent / "Annotations" / "480p" / self.name
        paths = files_in(folder, "*.png")
        if not paths:
            raise InputError(f"{self.folder}: expected label maps of what moves in {folder} (composed data has them)")
        return paths


def find_sequences(root: Path, names: Sequence[str] | None = None) -> list[RgbdSequence]:
    """The RGB-D sequences of a folder, all of them or those named, in order of name.

    Args:
        root: one sequence, a folder of sequences, or composed data, whose sequences lie in `rgbd`.
        names: of folders; None for all.

    Raises:
        InputError: no RGB-D folder is there, or no such name.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; expected an RGB-D sequence or a folder of several")
    if layout_of(root):
        there = [RgbdSequence(root.resolve().name, root)]
    else:
        parent = root / "rgbd" if (root / "rgbd").is_dir() else root
        folders = [path for path in folders_in(parent) if layout_of(path)]
        there = [RgbdSequence(path.name, path) for path in folders]
    if not there:
        raise InputError(
            f"{root} holds no RGB-D sequence: expected frame-000000.color.jpg with .depth.png and .pose.txt "
            "(7-Scenes), or rgb.txt, depth.txt and groundtruth.txt (TUM RGB-D), in it or in its folders"
        )
    for name in names or ():
        if name not in [one.name for one in there]:
            raise unknown_name("RGB-D sequence", name, [one.name for one in there])
    return [one for one in there if not names or one.name in names]


def _tum_truth(folder: Path, times_s: np.ndarray) -> Trajectory:
    """Each frame takes the true pose nearest in time; frame times count from the first colour picture."""
    path = folder / "groundtruth.txt"
    if not path.is_file():
        raise InputError(f"{folder}: expected {path.name}, the true poses in TUM format")
    truth = read_trajectory(path)
    pairs = associate(np.asarray(times_s), truth.times_s - _first_time_s(folder / "rgb.txt"), _TRUTH_GAP_S)
    poses = truth.world_from_camera[pairs[:, 1]]
    return Trajectory(np.asarray(times_s)[pairs[:, 0]], poses, np.zeros(len(pairs), np.int64))


def _first_time_s(listing: Path) -> float:
    words = (line.split() for line in listing.read_text(encoding="utf-8-sig", errors="replace").splitlines())
    return min(float(parse_time(line[0])) for line in words if line and not line[0].startswith("#"))
