"""Compares weights of the tracker on held-out clips: `python -m pipelines.training.compare --source DIR A B`.

Every file is scored on the same clips, kind by kind; the last columns are the difference to the first file, clip by
clip, with its standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipelines.trackers.propagation_net import PropagationNet
from pipelines.training import command
from pipelines.training.datasets import TRACKER_SHORT_SIDE_PX
from pipelines.training.held_out_clips import HELD_OUT_KINDS, held_out_clip, mean_overlap
from pipelines.training.picture_pool import PicturePool
from pipelines.training.pieces import ClipConfig
from pipelines.training.tracker_batches import BatchMaker, TrackerTaskConfig


def mean_and_error(scores: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error, in percent; the error of one score is not known (nan)."""
    spread = float(scores.std(ddof=1)) if len(scores) > 1 else float("nan")
    return 100.0 * float(scores.mean()), 100.0 * spread / len(scores) ** 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m pipelines.training.compare", description=__doc__.split("\n")[0])
    parser.add_argument("weights", type=Path, nargs="+", help="safetensors of the propagation network")
    command.add_sources(parser)
    parser.add_argument("--kinds", nargs="+", choices=HELD_OUT_KINDS, default=HELD_OUT_KINDS, help="of clips")
    parser.add_argument("--count", type=int, default=48, help="clips of each kind")
    parser.add_argument("--size", type=int, default=ClipConfig.size_px, help="side of the clips in pixels")
    parser.add_argument("--frames", type=int, default=6, help="of a clip")
    given = parser.parse_args(arguments)
    device = command.set_up(given)
    config = TrackerTaskConfig(clip=ClipConfig(num_frames=given.frames, size_px=given.size), bfloat16=given.bfloat16)
    nets = [PropagationNet.from_file(path, device) for path in given.weights]
    maker = BatchMaker(config, device)
    for name, pictures in command.read_pictures(given, TRACKER_SHORT_SIDE_PX, held_out_only=True).validation.items():
        pool = PicturePool(pictures)
        for kind in given.kinds:
            batches = (maker.make([held_out_clip(pool, config.clip, kind, i)], None) for i in range(given.count))
            rows = np.array([[mean_overlap(net, batch, config) for net in nets] for batch in batches])
            _report(f"{name} {kind}", rows)


def _report(title: str, rows: np.ndarray) -> None:
    """One line: mean J ± standard error of each file, and the difference of the later ones to the first."""
    means = [mean_and_error(column) for column in rows.T]
    gains = [mean_and_error(column - rows[:, 0]) for column in rows.T[1:]]
    cells = [f"{mean:5.1f} ± {error:.1f}" for mean, error in means] + [
        f"{mean:+5.2f} ± {error:.2f}" for mean, error in gains
    ]
    sys.stdout.write(f"{title:22s} {len(rows):4d}  " + "  ".join(cells) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with torch.inference_mode():
        main()
