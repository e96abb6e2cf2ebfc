"""Who plays in a sequence, how large, when and along which way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from eval.compose.actor import Actor, Motion
from eval.compose.background import Background
from eval.compose.classes import traits_of
from eval.compose.cutouts import Candidate, Cutout, cut
from eval.compose.render import Renderer
from eval.compose.route import Need, Router, Visit
from eval.compose.settings import Preset
from memory_bank.episodes.colours import colour_name
from streamvos.errors import InputError
from streamvos.models.coco import GROUP_OF

_MAX_ENLARGED = 1.5  # a cut-out is not enlarged beyond this
_GROW = 1.12  # factor of all sizes in each round until enough moves
_MAX_ROUNDS = 10
_PROBES = 16  # frames drawn to see how much moves


@dataclass(frozen=True)
class Plan:
    """What a sequence shows.

    Args:
        actors: in ascending order of id. start_tick: background tick that is the sequence's tick 0.
    """

    actors: tuple[Actor, ...]
    start_tick: int


class Casting:
    """Cut-outs for one background, tried and cut once.

    Args:
        candidates: to choose from. is_good: asked about each before it is used; None takes all.
    """

    def __init__(self, candidates: Sequence[Candidate], is_good: Callable[[Cutout], bool] | None = None) -> None:
        self._candidates = list(candidates)
        self._is_good = is_good
        self._cutouts: dict[int, Cutout | None] = {}

    def choose(
        self, count: int, twins: int, size_m: float, rng: np.random.Generator
    ) -> list[tuple[Cutout, int | None]]:
        """Different classes, those of about `size_m` metres rather than others, and one object of each.

        Twins, at the end of the list with the number of their pattern, are others of the same class, or the same once
        more.

        Raises:
            InputError: no object is good.
        """
        by_class: dict[str, list[int]] = {}
        for row in rng.permutation(len(self._candidates)):
            by_class.setdefault(self._candidates[row].class_name, []).append(int(row))
        names = sorted(by_class)
        weights = np.sqrt([len(by_class[name]) for name in names])  # many to choose from: less often the same
        # an elephant in a kitchen is a toy: classes that fit are drawn more often
        weights *= np.exp(-1.5 * np.abs(np.log([traits_of(name).size_m / size_m for name in names])))
        order = list(rng.choice(names, len(names), replace=False, p=weights / weights.sum()))
        found: list[tuple[Cutout, int | None]] = []
        before = -1
        while before < len(found) < count - twins:
            before = len(found)
            for name in order:
                row = self._next_good(by_class[name]) if len(found) < count - twins else None
                if row is not None:
                    found.append((self._cutouts[row], None))
        if not found:
            raise InputError(
                "the packaged detector can name none of the cut-outs before this background; give others, "
                "or --any-object"
            )
        patterns = len(found)  # fewer than wanted where little is good: then more are twins
        for number in range(count - patterns):
            pattern = found[number % patterns][0]
            row = self._next_good(by_class[pattern.class_name])
            twin = _recoloured(pattern, rng) if row is None else self._cutouts[row]
            found.append((twin, number % patterns + 1))
        return found

    def choose_people(
        self, count: int, is_whole: Callable[[Cutout], bool], rng: np.random.Generator
    ) -> list[tuple[Cutout, int | None]]:
        """Different people; where there are fewer than wanted, the first ones once more in other colours, as twins.

        Raises:
            InputError: nobody is whole and good.
        """
        rows = [int(row) for row in rng.permutation(len(self._candidates))]
        rows = [row for row in rows if self._candidates[row].class_name == "person"]
        found: list[tuple[Cutout, int | None]] = []
        while len(found) < count and (row := self._next_good(rows, is_whole)) is not None:
            found.append((self._cutouts[row], None))
        if not found:
            raise InputError(
                "no cut-out is a person from head to feet that the packaged detector can name before this background; "
                "give pictures of people who stand, or --any-object"
            )
        people = len(found)
        for number in range(count - people):
            found.append((_recoloured(found[number % people][0], rng), number % people + 1))
        return found

    def _next_good(self, rows: list[int], is_fit: Callable[[Cutout], bool] = lambda cutout: True) -> int | None:
        """Take the next candidate that passes from a list of them."""
        while rows:
            row = rows.pop(0)
            if row not in self._cutouts:
                cutout = cut(self._candidates[row])
                self._cutouts[row] = cutout if self._is_good is None or self._is_good(cutout) else None
            if self._cutouts[row] is not None and is_fit(self._cutouts[row]):
                return row
        return None


def plan_cast(background: Background, casting: Casting, preset: Preset, num_ticks: int, seed: int) -> Plan:
    """Choose objects and their ways; the same arguments give the same plan.

    Raises:
        InputError: no object is good, or what moves cannot be made to fill the share that the preset promises.
    """
    rng = np.random.default_rng([seed, 1])
    start_tick = int(rng.integers(0, 2 * len(background.images)))
    router = Router(background, start_tick, rng)
    count = int(rng.integers(preset.min_objects, preset.max_objects, endpoint=True))
    chosen = casting.choose(count, min(preset.twins, count - 1), _fitting_size(background, preset), rng)
    actors = [
        _actor(number, cutout, twin_of, background, router, preset, num_ticks, rng)
        for number, (cutout, twin_of) in enumerate(chosen, start=1)
    ]
    if preset.min_dynamic_share:
        actors = _grown(actors, background, start_tick, preset, num_ticks, seed)
    return Plan(tuple(actors), start_tick)


def _fitting_size(background: Background, preset: Preset) -> float:
    """Longest side in metres of a thing of the wanted extent in the middle of the room."""
    nearest, farthest = depth_range(background)
    extent_px = np.mean(preset.extent) * background.size[0]
    return float(extent_px * np.sqrt(nearest * farthest) / background.intrinsics[0, 0])


def _recoloured(cutout: Cutout, rng: np.random.Generator) -> Cutout:
    """The same thing in another colour and mirrored."""
    hsv = cv2.cvtColor(cutout.colour, cv2.COLOR_RGB2HSV).astype(np.float32)  # hue in [0, 180)
    is_alive = GROUP_OF.get(cutout.class_name) in ("animal", "person")  # there are no purple giraffes
    hsv[..., 0] = (hsv[..., 0] + (rng.choice([-9, 7]) if is_alive else rng.uniform(35, 145))) % 180
    hsv[..., 1] = np.clip((0.45 if is_alive else 0.9) * hsv[..., 1] + (0 if is_alive else 25), 0, 255)
    hsv[..., 2] = 255 * (hsv[..., 2] / 255) ** rng.choice([0.65, 1.5])
    colour = cv2.cvtColor(np.rint(hsv).astype(np.uint8), cv2.COLOR_HSV2RGB)[:, ::-1]
    alpha = np.ascontiguousarray(cutout.alpha[:, ::-1])
    name = colour_name(colour[alpha > 0.5]) or "grey"
    return replace(cutout, colour=np.ascontiguousarray(colour), alpha=alpha, colour_name=name)


def _actor(
    number: int,
    cutout: Cutout,
    twin_of: int | None,
    background: Background,
    router: Router,
    preset: Preset,
    num_ticks: int,
    rng: np.random.Generator,
) -> Actor:
    traits = traits_of(cutout.class_name)
    height = background.size[0]
    x1, y1, x2, y2 = cutout.box_xyxy
    longest = float(max(x2 - x1, y2 - y1))
    want_px = min(rng.uniform(*preset.extent) * height, _MAX_ENLARGED * longest)
    nearest, farthest = depth_range(background)
    focal = background.intrinsics[0, 0]
    distance = float(np.clip(focal * traits.size_m / want_px, nearest, farthest))
    size_m = want_px * distance / focal  # free scale: life-size where the room allows it
    hidden = 0.0 if background.solid_m is None else float(rng.uniform(0.05, 0.3))
    if preset.min_dynamic_share:
        hidden *= 0.4
    need = Need(traits.manner, size_m, max(0.75 * distance, 0.8 * nearest), 1.4 * distance, hidden)
    if traits.manner == "stand" and not router.can_stand(need, 0):
        need = replace(need, near_m=0.8 * nearest, far_m=farthest)
        if not router.can_stand(need, 0):
            need = replace(need, manner="fly", far_m=1.4 * distance)
    visits = _visits(router, need, preset, num_ticks, rng)
    return Actor(number, cutout, need.manner, size_m, visits, Motion.draw(need.manner, rng), twin_of)


def depth_range(background: Background) -> tuple[float, float]:
    """Distances in metres between which things fit before the background."""
    if background.solid_m is None:
        return 3.0, 12.0
    depths = np.concatenate([depth[::16, ::16].ravel() for depth in background.solid_m[::10]])
    near, far = np.percentile(depths, [5, 90])
    return max(0.7, 1.2 * float(near)), max(1.0, 0.95 * float(far))


def _visits(router: Router, need: Need, preset: Preset, num_ticks: int, rng: np.random.Generator) -> tuple[Visit, ...]:
    every = preset.waypoint_ticks
    late = rng.uniform() < preset.late_share
    if preset.absence is None:
        start = int(rng.uniform(0.1, 0.35) * num_ticks) if late else 0
        leaves = rng.uniform() < 0.3
        end = num_ticks - int(rng.uniform(0.02, 0.2) * num_ticks) if leaves else num_ticks
        return (router.visit(need, start, end, late, leaves, every),)
    visits = []
    start = int(rng.integers(30, preset.absence[1])) if late else 0
    while start < num_ticks - preset.visit[0] // 2:
        end = min(num_ticks, start + int(rng.integers(*preset.visit, endpoint=True)))
        visits.append(router.visit(need, start, end, start > 0, end < num_ticks, every))
        start = end + int(rng.integers(*preset.absence, endpoint=True))
    return tuple(visits)


def _grown(
    actors: list[Actor], background: Background, start_tick: int, preset: Preset, num_ticks: int, seed: int
) -> list[Actor]:
    """The actors, enlarged together until enough of the picture moves."""
    for _ in range(_MAX_ROUNDS):
        share = _moving_share(actors, background, start_tick, num_ticks, seed)
        if share >= 1.12 * preset.min_dynamic_share:  # probes are few, so there is some to spare
            return actors
        actors = [replace(actor, size_m=_GROW * actor.size_m) for actor in actors]
    raise InputError(
        f"preset {preset.name}: moving objects cover {share:.0%} of {background.name!r}, expected "
        f"{preset.min_dynamic_share:.0%}; give larger cut-outs, or another --seed"
    )


def _moving_share(actors: list[Actor], background: Background, start_tick: int, num_ticks: int, seed: int) -> float:
    renderer = Renderer(background, start_tick, seed)
    ticks = np.linspace(0, num_ticks - 1, _PROBES).round().astype(int)
    return float(np.mean([(renderer.draw(actors, int(tick)).labels > 0).mean() for tick in ticks]))
