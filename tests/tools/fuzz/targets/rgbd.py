"""RGB-D folders in both layouts, with their true poses, and trajectories in the TUM format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from eval.commands.trajectory import compare
from eval.datasets.rgbd import find_sequences
from streamvos.export.trajectory import Trajectory, read_trajectory, write_trajectory
from tests.tools.fuzz.target import Target
from tests.tools.fuzz.targets.images import picture

_TIMES = (1305031102.1753, 1305031102.2112, 1305031102.2434, 1305031102.2755)


def _make(folder: Path) -> None:
    tum, scenes, path = folder / "tum", folder / "scenes", folder / "path"
    for place in (tum, scenes, path):
        place.mkdir()
    depth = Image.fromarray(np.full((24, 32), 5000, np.uint16))
    for number, time_s in enumerate(_TIMES):
        picture(number).save(tum / f"{number}.png")
        depth.save(tum / f"depth{number}.png")
        for name, file in (("rgb", f"{number}.png"), ("depth", f"depth{number}.png")):
            with (tum / f"{name}.txt").open("a") as out:
                out.write(f"{time_s:.6f} {file}\n")
        picture(number).save(scenes / f"frame-{number:06d}.color.png")
        depth.save(scenes / f"frame-{number:06d}.depth.png")
        np.savetxt(scenes / f"frame-{number:06d}.pose.txt", np.eye(4))
    np.savetxt(scenes / "camera-intrinsics.txt", np.diag([50.0, 50, 1]))
    for file in (tum / "groundtruth.txt", path / "estimate.txt", path / "truth.txt"):
        write_trajectory(file, _true())


def _true() -> Trajectory:
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, 0, 3], poses[2, 1, 3] = np.arange(4), 1
    return Trajectory(np.array(_TIMES), poses, np.array([0, 0, 1, 1]))


def _read(folder: Path) -> object:
    if (folder / "truth.txt").is_file() or (folder / "estimate.txt").is_file():
        estimate, truth = read_trajectory(folder / "estimate.txt"), read_trajectory(folder / "truth.txt")
        return [compare(estimate, truth, with_scale, 1) for with_scale in (False, True)]
    came = []
    for sequence in find_sequences(folder):
        with sequence.open() as source:
            times = np.array([frame.time_s for frame in source])
        came.append(sequence.truth(times))
    return came


TARGET = Target("rgbd", _make, _read, together=3)
