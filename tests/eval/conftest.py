"""RGB-D sequences of the ray-cast room, written in the layouts that evaluations read."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.raycast import RoomConfig, intrinsics, render, swaying_path
from streamvos.export.trajectory import pose_line
from streamvos.masks import label_map

ROOM = RoomConfig(depth_noise=0.002)


@pytest.fixture(scope="session")
def write_room() -> Callable[..., None]:
    """Write a room: `write_room(folder, num_frames, labels=FOLDER)`; with labels there is a moving box."""

    def write(folder: Path, num_frames: int = 12, labels: Path | None = None, layout: str = "7scenes") -> None:
        room = ROOM if labels is not None else dataclasses.replace(ROOM, box_size_m=0.0)
        folder.mkdir(parents=True)
        np.savetxt(folder / "camera-intrinsics.txt", intrinsics(room))
        poses = swaying_path(40)[:num_frames]
        listing, truth = {"rgb": [], "depth": []}, []
        for (frame, masks), pose in zip(render(room, poses), poses, strict=True):
            if labels is not None:
                labels.mkdir(parents=True, exist_ok=True)
                Image.fromarray(label_map(masks).astype(np.uint8)).save(labels / f"{frame.index:05d}.png")
            stem = f"frame-{frame.index:06d}"
            per_metre = 1000 if layout == "7scenes" else 5000
            Image.fromarray(frame.image).save(folder / f"{stem}.color.png")
            Image.fromarray((frame.depth_m * per_metre).astype(np.uint16)).save(folder / f"{stem}.depth.png")
            if layout == "7scenes":
                np.savetxt(folder / f"{stem}.pose.txt", pose)
            time_s = 1305031100.0 + frame.index / 30
            listing["rgb"].append(f"{time_s:.6f} {stem}.color.png")
            listing["depth"].append(f"{time_s + 0.004:.6f} {stem}.depth.png")
            truth += [pose_line(time_s + 0.001, pose), pose_line(time_s + 0.012, pose)]
        if layout == "tum":
            for name, lines in listing.items():
                (folder / f"{name}.txt").write_text("# timestamp filename\n" + "\n".join(lines) + "\n")
            (folder / "groundtruth.txt").write_text("# ground truth\n" + "\n".join(truth) + "\n")

    return write
