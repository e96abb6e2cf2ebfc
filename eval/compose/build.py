"""Composes a whole benchmark: sequence after sequence, each complete or not there at all."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from eval.compose.background import HORIZON, Background, find_backgrounds, load_background
from eval.compose.cast import Casting, Plan, plan_cast
from eval.compose.crowd import plan_crowd
from eval.compose.cutouts import Candidate, find_candidates
from eval.compose.degrade import degrade, schedule
from eval.compose.layout import TRUTH, SequenceWriter, cocovid
from eval.compose.learned import Pictures
from eval.compose.lvos_layout import FOLDER as LVOS
from eval.compose.lvos_layout import write_lvos
from eval.compose.questions import write_questions
from eval.compose.recognise import Recogniser
from eval.compose.render import Renderer
from eval.compose.settings import FPS, Preset
from eval.datasets.composed import ObjectInfo, SequenceTruth
from streamvos.errors import InputError, OutputError
from streamvos.export.parts import replacing

MANIFEST = "compose.json"
FOLDERS = (
    "JPEGImages", "Annotations", "Full", "annotations", "mot", "rgbd", "cdnet", LVOS, TRUTH, "questions", "events",
    ".part",
)  # fmt: skip


@dataclass(frozen=True)
class Order:
    """What is to be composed.

    Args:
        backgrounds: folder or video. cutouts: folders, each with its class or None. preset: kind of sequences.
        num_frames, num_sequences: how long, how many. seed: everything random follows from it.
        size: (H, W), or None for the backgrounds' own. exclude: classes that are not drawn, because the backgrounds
            show some that the truth does not know.
        horizon: of plain video, see `load_background`.
        any_object: draw also what the packaged detector cannot name, see `recognise`.
        pictures: which of the cut-outs' pictures may be used, see `learned`.
    """

    backgrounds: Path
    cutouts: tuple[tuple[Path, str | None], ...]
    preset: Preset
    num_frames: int
    num_sequences: int
    seed: int
    size: tuple[int, int] | None = None
    exclude: tuple[str, ...] = ()
    any_object: bool = False
    horizon: float = HORIZON
    pictures: Pictures = "all"


def prepare_folder(out: Path, overwrite: bool) -> None:
    """Make `out` ready; raises `InputError` where something lies there that may not be replaced."""
    if out.exists() and not out.is_dir():
        raise InputError(f"output {str(out)!r} is a file; expected a folder, or a path that does not exist")
    if out.is_dir() and any(out.iterdir()):
        if not overwrite:
            raise InputError(f"output folder {str(out)!r} is not empty; replace it with --overwrite, or choose another")
        if not (out / MANIFEST).is_file() and not (out / ".part").is_dir():
            raise InputError(
                f"output folder {str(out)!r} holds no {MANIFEST}; nothing in it is touched, choose another"
            )
        for name in FOLDERS:
            shutil.rmtree(out / name, ignore_errors=True)
        (out / MANIFEST).unlink(missing_ok=True)


def compose(order: Order, out: Path, advance: Callable[[str], Any] = lambda name: None) -> list[SequenceTruth]:
    """Compose all sequences of an order.

    Args:
        out: an empty folder, or one that is not there yet.
        advance: called with the sequence's name after each frame.

    Raises:
        InputError: backgrounds or cut-outs that cannot be used; a disk that takes no more (what is whole is kept).
    """
    paths = find_backgrounds(order.backgrounds)
    found = find_candidates(order.cutouts, pictures=order.pictures)
    candidates = [each for each in found if each.class_name not in order.exclude]
    if not candidates:
        raise InputError(f"all classes of the cut-outs are excluded ({', '.join(order.exclude)}); exclude fewer")
    truths: list[SequenceTruth] = []
    background: Background | None = None
    casting = Casting(candidates)
    with _disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / ".part").mkdir(exist_ok=True)
        for number in range(order.num_sequences):
            path = paths[number % len(paths)]
            if background is None or len(paths) > 1:
                background = load_background(path, order.size, order.horizon)
                extent = float(np.mean(order.preset.extent))
                casting = Casting(candidates, None if order.any_object else Recogniser(background, extent).knows)
            name = f"{order.preset.name}-{number:02d}"
            seed = int(
                np.random.default_rng([order.seed, number, zlib.crc32(order.preset.name.encode())]).integers(2**31)
            )
            truths.append(_sequence(name, background, casting, order, seed, out, partial(advance, name)))
            _write_summary(order, truths, candidates, paths, out)
        shutil.rmtree(out / ".part", ignore_errors=True)
    return truths


def moving_share(truth: SequenceTruth) -> float:
    """Visible pixels of objects, as a share of all, on average over the frames."""
    width, height = truth.size
    return sum(seen.visible_px for frame in truth.frames for seen in frame.objects) / (
        width * height * truth.num_frames
    )


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"cannot write into {str(out)!r} ({reason}); sequences that are whole are kept; make room, or choose "
            "another --out, and run again with --overwrite"
        ) from error


def _sequence(
    name: str,
    background: Background,
    casting: Casting,
    order: Order,
    seed: int,
    out: Path,
    advance: Callable[[], Any],
) -> SequenceTruth:
    preset = order.preset
    plans = schedule(preset, order.num_frames, np.random.default_rng([seed, 0]))
    plan = (plan_crowd if preset.crowd else plan_cast)(background, casting, preset, plans[-1].tick + 1, seed)
    objects = tuple(
        ObjectInfo(actor.id, actor.cutout.class_name, actor.cutout.colour_name, actor.twin_of) for actor in plan.actors
    )
    has_depth = background.depths_m is not None
    writer = SequenceWriter(out, name, background.size, objects, background.intrinsics if has_depth else None)
    _draw(writer, plans, plan, background, seed, advance)
    height, width = background.size
    truth = SequenceTruth(
        name, FPS, order.num_frames, (width, height), seed, preset.name, objects, tuple(writer.frames)
    )
    share = moving_share(truth)
    if share < preset.min_dynamic_share:
        raise InputError(
            f"{name}: moving objects cover {share:.1%} of the pixels, preset {preset.name} promises "
            f"{preset.min_dynamic_share:.0%}; choose another --seed or more --frames"
        )
    staged = writer.part / "last"
    truth.save(staged / TRUTH / f"{name}.json")
    write_questions(truth, staged, seed)
    writer.finish(staged)
    return truth


def _draw(
    writer: SequenceWriter, plans: list[Any], plan: Plan, background: Background, seed: int, advance: Callable[[], Any]
) -> None:
    renderer = Renderer(background, plan.start_tick, seed)
    drawn = image = pose = None
    for frame in plans:
        if frame.kind != "frozen" or drawn is None:
            drawn = renderer.draw(list(plan.actors), frame.shown_tick)
            image = degrade(drawn.image, frame, seed)
            pose = background.poses[background.index_at(plan.start_tick + frame.shown_tick)]
        writer.write(frame, image, drawn, pose)
        advance()


def _write_summary(
    order: Order, truths: list[SequenceTruth], candidates: list[Candidate], paths: list[Path], out: Path
) -> None:
    manifest = {
        "made_by": f"streamvos {version('streamvos')} eval compose",
        "preset": asdict(order.preset),
        "seed": order.seed,
        "num_frames": order.num_frames,
        "num_sequences": order.num_sequences,
        "fps": str(FPS),
        "backgrounds": [path.resolve().name for path in paths],
        "cutouts": [folder.resolve().name for folder, _ in order.cutouts],
        "num_cutouts": len(candidates),
        "pictures": order.pictures,
        "horizon": order.horizon,
        "any_object": order.any_object,
        "excluded_classes": list(order.exclude),
        "sequences": [
            {
                "name": truth.sequence,
                "seed": truth.seed,
                "size": list(truth.size),
                "objects": len(truth.objects),
                "moving_share": round(moving_share(truth), 4),
                "degraded_frames": sum(frame.degradation is not None for frame in truth.frames),
            }
            for truth in truths
        ],
    }
    _write_json(out / MANIFEST, manifest, indent=2)
    (out / "annotations").mkdir(exist_ok=True)
    _write_json(out / "annotations" / "cocovid.json", cocovid(truths), indent=None)
    write_lvos(truths, out)


def _write_json(path: Path, document: dict[str, Any], indent: int | None) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
