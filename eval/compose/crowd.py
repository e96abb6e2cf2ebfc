"""People in a crowd: they cross each other, walk in pairs, wait, go behind things, enter and leave at the border.

Ways are straight in the world, on one band of the floor in which people of one height are as tall in the picture as the
preset says; they walk at a person's pace (about 0.8 body heights a second). Nobody walks through anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from eval.compose.actor import Actor, Motion
from eval.compose.background import Background
from eval.compose.cast import Casting, Plan, depth_range
from eval.compose.cutouts import Cutout
from eval.compose.route import Router, Visit
from eval.compose.settings import FPS, Preset
from streamvos.errors import InputError

_HEIGHT_M = 1.7
_SPREAD = (0.92, 1.08)  # of heights around the usual one
_PACE = (0.55, 0.95)  # body heights a second
_TRIES = 24
_KNOT_TICKS = 30
_MIN_SIDES = 1.9  # height of a standing figure to its width; less sits, bends or is half a person
_HEAD = 0.12  # share of the height that is head and neck
_MAX_HEAD_WIDTH = 0.75  # of the widest row; trousers without a body are as wide at their top


@dataclass(frozen=True)
class Walk:
    """Where somebody is when: columns as shares of the picture's width, depths in metres, knots in between straight."""

    ticks: tuple[float, ...]
    columns: tuple[float, ...]
    depths: tuple[float, ...]


@dataclass(frozen=True)
class Band:
    """The part of the floor on which the crowd is: metres from the camera, and how tall people are there."""

    near_m: float
    far_m: float
    height_m: float


def is_whole_person(cutout: Cutout) -> bool:
    """Whether a cut-out is a figure that stands, head to feet: tall, and narrower at the top than at its widest."""
    x1, y1, x2, y2 = cutout.box_xyxy.astype(int)
    if y2 - y1 < _MIN_SIDES * (x2 - x1):
        return False
    widths = (cutout.alpha[y1:y2] > 0.5).sum(axis=1)
    return float(widths[: max(1, round(_HEAD * len(widths)))].mean()) < _MAX_HEAD_WIDTH * float(widths.max())


def plan_crowd(background: Background, casting: Casting, preset: Preset, num_ticks: int, seed: int) -> Plan:
    """Choose people and their ways; the same arguments give the same plan.

    Raises:
        InputError: no cut-out is a whole person, or the background has no floor to walk on.
    """
    if background.floor is None:
        raise InputError(
            f"preset {preset.name}: expected a background with a floor; none was found in {background.name!r}"
        )
    rng = np.random.default_rng([seed, 1])
    start_tick = int(rng.integers(0, 2 * len(background.images)))
    count = int(rng.integers(preset.min_objects, preset.max_objects, endpoint=True))
    people = casting.choose_people(count, is_whole_person, rng)
    paths = _Paths(background, start_tick, _band(background, preset, start_tick), num_ticks, rng)
    visits = paths.of_all(count)
    actors = []
    for number, ((cutout, twin_of), stays) in enumerate(zip(people, visits, strict=True), start=1):
        size_m = paths.band.height_m * rng.uniform(*_SPREAD)
        actors.append(Actor(number, cutout, "stand", size_m, stays, Motion.draw("stand", rng), twin_of))
    return Plan(tuple(actors), start_tick)


def _band(background: Background, preset: Preset, start_tick: int) -> Band:
    """As near as feet are in the picture, as far as people are not too small; life-size where the room allows it."""
    nearest, farthest = depth_range(background)
    height, focal = background.size[0], float(background.intrinsics[0, 0])
    router = Router(background, start_tick, np.random.default_rng(0))
    distances = np.linspace(nearest, farthest, 60)
    feet = [router.project(router.floor_point(0.5, z, 0), 0)[1] for z in distances]
    near = float(next((z for z, row in zip(distances, feet, strict=True) if row < 0.98 * height), 0.8 * farthest))
    small, tall = preset.extent
    usual = 0.5 * (small + tall) * height / focal * np.sqrt(near * farthest)
    height_m = min(_HEIGHT_M, float(usual))
    near = max(near, focal * height_m / (tall * height))
    return Band(near, max(1.1 * near, min(farthest, focal * height_m / (small * height))), height_m)


class _Paths:
    """Ways of all people of a sequence, each found with those before it in mind."""

    def __init__(
        self, background: Background, start_tick: int, band: Band, num_ticks: int, rng: np.random.Generator
    ) -> None:
        self.band = band
        self._router = Router(background, start_tick, rng)
        self._background, self._num_ticks, self._rng = background, num_ticks, rng
        self._taken: list[tuple[Visit, ...]] = []
        self._side, self._enters = int(rng.integers(2)), bool(rng.integers(2))  # where the next one is from, and when

    def of_all(self, count: int) -> list[tuple[Visit, ...]]:
        """Somebody who waits, two who cross, a pair where there are enough, and others."""
        kinds = ["cross", "cross", "wait", *(["pair"] if count >= 5 else [])]
        while sum(2 if kind == "pair" else 1 for kind in kinds) < count:
            kinds.append(str(self._rng.choice(["cross", "cross", "wait and go", "come near"])))
        for kind in kinds:
            self._taken += self._best(kind)
        return self._taken[:count]

    def _best(self, kind: str) -> list[tuple[Visit, ...]]:
        """The best of several random ways of a kind; a pair has two."""
        tries = [self._draw(kind) for _ in range(_TRIES)]
        self._side = 1 - self._side
        self._enters = not self._enters
        return max(tries, key=lambda group: sum(self._score(stays) for stays in group))

    def _draw(self, kind: str) -> list[tuple[Visit, ...]]:
        rng, band = self._rng, self.band
        depth = float(rng.uniform(band.near_m, band.far_m))
        if kind == "wait":
            column = float(rng.uniform(0.15, 0.85))
            return [(self._visit(Walk((0, self._num_ticks - 1), (column, column), (depth, depth))),)]
        if kind == "wait and go":
            return [self._wait_and_go(depth)]
        if kind == "come near":
            column, drift = float(rng.uniform(0.2, 0.8)), float(rng.uniform(-0.2, 0.2))
            reach = band.height_m * rng.uniform(*_PACE) * self._num_ticks / float(FPS)
            ends = (band.far_m, max(band.near_m, band.far_m - reach))
            ends = ends if rng.random() < 0.5 else ends[::-1]
            return [(self._visit(Walk((0, self._num_ticks - 1), (column, column + drift), ends)),)]
        walks = self._crossing(depth)
        if kind == "cross":
            return [tuple(self._visit(walk) for walk in walks)]
        lag = rng.uniform(0.25, 0.5) * self._columns(band.height_m, depth)
        beside = 0.3 * band.height_m * float(rng.choice([-1, 1]))
        others = [
            Walk(walk.ticks, tuple(c + lag for c in walk.columns), tuple(d + beside for d in walk.depths))
            for walk in walks
        ]
        return [tuple(self._visit(walk) for walk in group) for group in (walks, others)]

    def _crossing(self, depth: float) -> list[Walk]:
        """Comes in at one side, or leaves at the other before the end; back again where there is time."""
        rng, last = self._rng, self._num_ticks - 1
        pace = float(self._columns(self.band.height_m * rng.uniform(*_PACE) / float(FPS), depth))  # columns a tick
        margin = self._margin(depth)
        begin = float(rng.uniform(0, 0.25) * last) if self._enters else 0.0
        column = -margin if self._enters else max(-margin, 1 + margin - pace * float(rng.uniform(0.5, 0.9) * last))
        walks = []
        while last - begin > 20:
            end = min(last, begin + (1 + margin - column) / pace)
            goal = column + (end - begin) * pace
            drift = float(np.clip(depth * rng.uniform(0.85, 1.18), self.band.near_m, self.band.far_m))
            columns = (column, goal) if self._side ^ (len(walks) % 2) else (1 - column, 1 - goal)
            walks.append(Walk((begin, end), columns, (depth, drift)))
            begin, column, depth = end + float(rng.uniform(12, 40)), -margin, drift
        return walks

    def _wait_and_go(self, depth: float) -> tuple[Visit, ...]:
        rng, last = self._rng, self._num_ticks - 1
        column, until = float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.25, 0.55) * last)
        pace = float(self._columns(self.band.height_m * rng.uniform(*_PACE) / float(FPS), depth))
        goal = 1 + self._margin(depth) if rng.random() < 0.5 else -self._margin(depth)
        end = min(last, until + abs(goal - column) / pace)
        goal = column + np.sign(goal - column) * (end - until) * pace
        return (self._visit(Walk((0, until, end), (column, column, goal), (depth, depth, depth))),)

    def _visit(self, walk: Walk) -> Visit:
        """A walk in the world, with small irregularities."""
        start, end = round(walk.ticks[0]), round(walk.ticks[-1]) + 1
        end = max(end, start + 2)
        fixed = [int(tick) for tick in np.round(walk.ticks[1:-1])]
        count = max(2, round((end - start) / _KNOT_TICKS) + 1)
        ticks = np.unique([*np.linspace(start, end - 1, count).round().astype(int), *fixed])
        points = [self._router.floor_point(c, d, round(t)) for t, c, d in self._knots(walk)]
        between = np.stack([np.interp(ticks, walk.ticks, axis) for axis in np.stack(points).T], axis=1)
        jitter = self._rng.uniform(-0.03, 0.03, between.shape) * self.band.height_m
        return Visit(start, end, PchipInterpolator(ticks, self._background.floor.drop(between + jitter)))

    def _knots(self, walk: Walk) -> list[tuple[float, float, float]]:
        return list(zip(walk.ticks, walk.columns, walk.depths, strict=True))

    def _score(self, stays: tuple[Visit, ...]) -> float:
        """Higher is better: in sight, not behind furniture for long, through nobody, before nobody who stands still."""
        ticks = [int(t) for stay in stays for t in np.linspace(stay.start, stay.end - 1, 12)]
        places = [stay.at(t) for stay in stays for t in np.linspace(stay.start, stay.end - 1, 12).astype(int)]
        hidden = [self._router.is_hidden(place, self.band.height_m, t) for t, place in zip(ticks, places, strict=True)]
        inside = [is_hidden is not None for is_hidden in hidden]
        behind = float(np.mean([bool(is_hidden) for is_hidden in hidden]))
        touching = np.mean([self._touches(place, tick) for tick, place in zip(ticks, places, strict=True)])
        return float(min(np.mean(inside), 0.8) - 1.2 * abs(behind - 0.12) - 2.0 * touching)

    def _touches(self, place: np.ndarray, tick: int) -> bool:
        """Whether somebody else's body is there, or somebody stands right before or behind for good."""
        for stays in self._taken:
            for stay in stays:
                if stay.start <= tick < stay.end:
                    other = stay.at(tick)
                    if np.linalg.norm(other - place) < 0.25 * self.band.height_m:
                        return True
                    still = max(np.linalg.norm(stay.speed(t)) for t in (stay.start, tick, stay.end - 1))
                    x, other_x = (self._router.project(at, tick)[0] for at in (place, other))
                    tall = self.band.height_m * self._background.intrinsics[0, 0] / self.band.far_m
                    if still < 0.003 * self.band.height_m and abs(x - other_x) < 0.12 * tall:
                        return True
        return False

    def _columns(self, metres: float, depth: float) -> float:
        """Metres across, as a share of the picture's width."""
        return metres * float(self._background.intrinsics[0, 0]) / (depth * self._background.size[1])

    def _margin(self, depth: float) -> float:
        """How far beyond the border nothing of a person is seen."""
        return 0.3 * self._columns(self.band.height_m, depth) + 0.02
