"""What `streamvos run` says at the end: what came out, and why something a user would look for did not."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def summary(folder: Path, report: dict[str, Any]) -> list[str]:
    """Lines for the console.

    Args:
        folder: of the run.
        report: its run.json.
    """
    counts = report["counts"]
    facts = [f"{counts['frames']} frames"]
    if report["steady_frames_per_s"]:
        facts.append(f"{report['steady_frames_per_s']:.2f} frames/s after start")
    facts += [f"{counts[name]} {name}" for name in ("objects", "detections", "cuts") if name in counts]
    if counts.get("map_points"):
        facts.append(f"{counts['map_points']} map points")
    if report["dropped_frames"]:
        facts.append(f"{report['dropped_frames']} dropped")
    lines = [f"{folder.name}: {report['status']}, {', '.join(facts)}"]
    lines.append(f"  results in {folder}: {' '.join(report['files'])}")
    if report["status"] == "interrupted":
        lines.append("  go on with the same command and --resume")
    else:
        lines += [f"  {reason}" for reason in missing(report)]
        if (folder / "memory").is_dir():
            lines.append(f'  ask: streamvos ask {folder} "what was seen?"')
    return lines


def missing(report: dict[str, Any]) -> list[str]:
    """A sentence for each kind of result that is empty: the reason, and what to do."""
    counts, config = report["counts"], report["config"]
    stages, num_frames = config["stages"], counts["frames"]
    told = []
    if num_frames == 0:
        return told
    has_masks = counts.get("masks", 0) > 0
    if "detect" in stages and not counts["detections"] and not has_masks:
        looked_for = config["detect"]["classes"]
        what = f"no {', '.join(looked_for)}" if looked_for else "none of the 80 classes of COCO"
        told.append(
            f"nothing was found: the detector saw {what} with a score of {config['scores']['detect']}; lower "
            "--min-score, or show what is meant with --box or --point"
        )
    elif "segment" not in stages and counts["detections"]:
        told.append("no masks and no ids: the segment stage was left out (--stages)")
    elif "segment" in stages and not has_masks:
        told.append(
            f"no masks: of {counts['detections']} detections none was large and sure enough to be followed; show what "
            f"is meant with --box or --point, or lower scores.start ({config['scores']['start']})"
        )
    if "reconstruct" in stages and counts.get("map_points") == 0:
        told.append(f"the map is empty: {_why_no_map(counts['poses'], num_frames)}")
    return told


def _why_no_map(num_poses: int, num_frames: int) -> str:
    if num_poses < num_frames / 2:
        return (
            f"the camera's place is known in {num_poses} of {num_frames} frames only; too few things with corners "
            "stand still in view"
        )
    return "the camera rested, or only turned; distances show when it moves sideways, or come with depth pictures"
