"""Long-time Video (Liang et al., NeurIPS 2020; the copy that XMem tells of): a few very long videos, few annotations.

Layout: `JPEGImages/<video>/*.jpg`, all frames, and `Annotations/<video>/*.png`, about twenty of each video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.datasets.mask_sequences import MaskSequence, choose, expect_folders, pair_up, subfolders
from streamvos.errors import InputError


def list_videos(root: Path, names: Sequence[str] | None = None) -> list[str]:
    """Names of the videos, all or those named, in order; raises `InputError` for another layout or an unknown name."""
    inside = [name for name in ("long_video", "long_video_x3") if (root / name / "JPEGImages").is_dir()]
    hint = f"; give the folder of a version, such as {root / inside[0]}" if inside else ""
    expect_folders(root, "a Long Videos", root / "JPEGImages", root / "Annotations", hint=hint)
    there = subfolders(root / "Annotations")
    if not there:
        raise InputError(f"{root / 'Annotations'} holds no folders of videos")
    return choose("Long Videos", names, there)


def find_video(root: Path, name: str) -> MaskSequence:
    """One video; raises `InputError` where frames, or frames of annotations, are not there."""
    return pair_up(name, root / "JPEGImages" / name, root / "Annotations" / name, dense=False)
