"""Where an object goes: smooth paths in the world, through places that the camera sees while it is there.

A turning point is a place on the floor that a pixel of that moment looks at (or would, if nothing stood before it), or
a free point in the air. Of several paths the one is taken whose object is seen, and hidden, about as much as wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline, CubicSpline
from scipy.spatial import ConvexHull, Delaunay

from eval.compose.background import Background
from eval.compose.classes import Manner
from eval.compose.floor import Plane, world_points

_NUM_TRIES = 14
_ON_FLOOR_M = 0.05
_MAX_RANGE_M = 14.0


@dataclass(frozen=True)
class Need:
    """What a route is for.

    Args:
        manner: on the floor or in the air. size_m: longest side, in metres.
        near_m, far_m: allowed distance from the camera.
        hidden: wanted share of the time behind something real.
    """

    manner: Manner
    size_m: float
    near_m: float
    far_m: float
    hidden: float


@dataclass(frozen=True)
class Visit:
    """One stay of an object: from tick `start` to `end` (exclusive), along a curve through `knots`."""

    start: int
    end: int
    curve: CubicHermiteSpline

    def at(self, tick: float) -> np.ndarray:
        """(3,) world position of the anchor."""
        return self.curve(tick)

    def speed(self, tick: float) -> np.ndarray:
        """(3,) metres a tick."""
        return self.curve(tick, 1)


class Ground:
    """The part of the floor where things may stand: what was seen of it, and what lies between."""

    def __init__(self, background: Background) -> None:
        self.floor = background.floor
        self._hull: Delaunay | None = None
        self._axes = np.eye(3)[:2]
        if background.floor is None or background.depths_m is None:
            return
        normal = background.floor.normal
        first = np.cross(normal, [1.0, 0, 0] if abs(normal[0]) < 0.9 else [0, 1.0, 0])
        first /= np.linalg.norm(first)
        self._axes = np.stack([first, np.cross(normal, first)])
        some = range(0, len(background.images), max(1, len(background.images) // 24))
        clouds = [world_points(background.depths_m[i], background.intrinsics, background.poses[i], 10) for i in some]
        cloud = np.concatenate(clouds)
        flat = cloud[np.abs(background.floor.height(cloud)) < _ON_FLOOR_M] @ self._axes.T
        if len(flat) > 10:
            self._hull = Delaunay(flat[ConvexHull(flat).vertices])

    def holds(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool for (N, 3) floor points."""
        if self._hull is None:
            return np.ones(len(points), bool)
        return self._hull.find_simplex(points @ self._axes.T) >= 0


class Router:
    """Makes routes over one background.

    Args:
        background: what they lead through. start_tick: background tick that is the sequence's tick 0.
        margin_px: how far outside the picture an object's centre is when it is just gone, for size 0.
    """

    def __init__(self, background: Background, start_tick: int, rng: np.random.Generator) -> None:
        self._background, self._start, self._rng = background, start_tick, rng
        self._ground = Ground(background)
        self._earlier: list[tuple[Visit, Need]] = []
        self._inverse = np.linalg.inv(background.intrinsics)

    def can_stand(self, need: Need, tick: int) -> bool:
        """Whether the floor is in sight at the right distance."""
        return self._background.floor is not None and len(self._places(tick, need)) > 3

    def visit(self, need: Need, start: int, end: int, enters: bool, leaves: bool, every: tuple[int, int]) -> Visit:
        """The best of several random paths.

        Args:
            start, end: ticks. enters, leaves: begin and end outside the picture. every: ticks between turning points.
        """
        best, best_score = None, -np.inf
        for _ in range(_NUM_TRIES):
            ticks, points = self._knots(need, start, end, enters, leaves, every)
            visit = Visit(start, end, CubicSpline(ticks, points, bc_type="natural"))
            score = self._score(visit, need, enters, leaves)  # a spline through points of a plane stays in it
            if score > best_score:
                best, best_score = visit, score
        assert best is not None
        self._earlier.append((best, need))
        return best

    def project(self, point: np.ndarray, tick: int) -> np.ndarray:
        """(x px, y px, depth m) of a world point at a tick."""
        camera = self.camera(point, tick)
        return np.array([*(self._background.intrinsics @ camera)[:2] / max(camera[2], 1e-3), camera[2]])

    def floor_point(self, column: float, depth_m: float, tick: int) -> np.ndarray:
        """(3,) world point of the floor at a share of the picture's width (also beyond it) and a distance ahead."""
        plane, pose = self._background.floor, self._pose(tick)
        intrinsics = self._background.intrinsics
        across = (column * self._background.size[1] - intrinsics[0, 2]) / intrinsics[0, 0] * depth_m
        normal = pose[:3, :3].T @ plane.normal
        above = plane.height(pose[:3, 3]) + normal[0] * across + normal[2] * depth_m
        return self._to_world(np.array([across, -above / normal[1], depth_m]), tick)

    def is_hidden(self, foot: np.ndarray, height_m: float, tick: int) -> bool | None:
        """Whether the middle of what stands at `foot` is behind something real; None where it is out of the picture."""
        height, width = self._background.size
        x, y, depth = self.project(foot + 0.5 * height_m * self._background.floor.normal, tick)
        if not (0 <= x < width and 0 <= y < height and depth > 0.2):
            return None
        solid = self._solid(tick)
        return solid is not None and bool(solid[int(y), int(x)] < depth - 0.05)

    def camera(self, point: np.ndarray, tick: int) -> np.ndarray:
        """A world point in the camera's frame."""
        pose = self._pose(tick)
        return pose[:3, :3].T @ (point - pose[:3, 3])

    def _pose(self, tick: int) -> np.ndarray:
        return self._background.poses[self._background.index_at(self._start + tick)]

    def _solid(self, tick: int) -> np.ndarray | None:
        solid = self._background.solid_m
        return None if solid is None else solid[self._background.index_at(self._start + tick)]

    def _knots(
        self, need: Need, start: int, end: int, enters: bool, leaves: bool, every: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        ticks = [start]
        while end - 1 - ticks[-1] > every[1]:
            ticks.append(ticks[-1] + int(self._rng.integers(*every, endpoint=True)))
        if len(ticks) > 1 and end - 1 - ticks[-1] < every[0] // 2:
            ticks.pop()
        ticks.append(max(end - 1, ticks[-1] + 1))
        points = [self._place(need, tick) for tick in ticks]
        if enters:
            points[0] = self._outside(need, points[1], points[0], ticks[0])
        if leaves:
            points[-1] = self._outside(need, points[-2], points[-1], ticks[-1])
        return np.array(ticks), np.stack(points)

    def _place(self, need: Need, tick: int) -> np.ndarray:
        if need.manner == "stand":
            places = self._places(tick, need)
            if len(places):
                return places[self._rng.integers(len(places))]
            return self._ahead(need, tick)
        height, width = self._background.size
        pixel = np.array([self._rng.uniform(0.12, 0.88) * width, self._rng.uniform(0.12, 0.6) * height, 1.0])
        solid = self._solid(tick)
        far = need.far_m if solid is None else 0.9 * float(solid[int(pixel[1]), int(pixel[0])])
        depth = self._rng.uniform(need.near_m, max(min(far, need.far_m), need.near_m + 0.05))
        return self._to_world(self._inverse @ pixel * depth, tick)

    def _ahead(self, need: Need, tick: int) -> np.ndarray:
        """A floor point before the camera, where no pixel shows one at the right distance."""
        x = self._rng.uniform(-0.35, 0.35)
        point = self._to_world(np.array([x, 0.0, 1.0]) * self._rng.uniform(need.near_m, need.far_m), tick)
        return self._background.floor.drop(point)

    def _places(self, tick: int, need: Need) -> np.ndarray:
        """(N, 3) floor points in sight, or behind furniture, at the right distance."""
        height, width = self._background.size
        rows, cols = np.mgrid[0.05 * height : 1.25 * height : 30j, 0.04 * width : 0.96 * width : 28j]
        rays = np.stack([cols.ravel(), rows.ravel(), np.ones(cols.size)], axis=1) @ self._inverse.T
        pose = self._pose(tick)
        world_rays = rays @ pose[:3, :3].T
        plane: Plane = self._background.floor
        falling = world_rays @ plane.normal
        distance = -plane.height(pose[:3, 3]) / np.where(np.abs(falling) < 1e-6, np.inf, falling)
        fits = (distance > need.near_m) & (distance < min(need.far_m, _MAX_RANGE_M))
        points = pose[:3, 3] + distance[fits, None] * world_rays[fits]
        return points[self._ground.holds(points)]

    def _outside(self, need: Need, inner: np.ndarray, point: np.ndarray, tick: int) -> np.ndarray:
        """`point` moved sideways until nothing of the object is in the picture, on the side nearer to it."""
        camera = self.camera(point, tick)
        width, focal, centre = self._background.size[1], *self._background.intrinsics[0, [0, 2]]
        depth = max(camera[2], need.near_m)
        left = self.project(point, tick)[0] < width / 2
        edge = (0 if left else width) - centre
        reach = 0.75 * need.size_m + 0.04 * depth
        camera = np.array([edge / focal * depth + (-reach if left else reach), camera[1], depth])
        world = self._to_world(camera, tick)
        return self._background.floor.drop(world) if need.manner == "stand" else world

    def _to_world(self, camera: np.ndarray, tick: int) -> np.ndarray:
        pose = self._pose(tick)
        return pose[:3, :3] @ camera + pose[:3, 3]

    def _score(self, visit: Visit, need: Need, enters: bool, leaves: bool) -> float:
        """Higher is better: in the picture, hidden as much as wanted, neither rushing nor too near."""
        height, width = self._background.size
        ticks = np.linspace(visit.start, visit.end - 1, 18).round().astype(int)
        inside, hidden, near, crowded = 0, 0.0, 0, 0
        up = np.zeros(3) if self._background.floor is None else self._background.floor.normal
        for tick in ticks:
            foot = visit.at(tick)
            middle = foot + 0.4 * need.size_m * up if need.manner == "stand" else foot
            x, y, depth = self.project(middle, int(tick))
            near += depth < 0.85 * need.near_m
            crowded += self._is_crowded(int(tick), foot, need)
            if 0.04 * width < x < 0.96 * width and 0.02 * height < y < 0.98 * height and depth > 0.2:
                inside += 1
                solid = self._solid(int(tick))
                hidden += 0 if solid is None else float(solid[int(y), int(x)] < depth - 0.05)
        speed = np.linalg.norm(np.diff(visit.at(ticks), axis=0), axis=1).max() / max(1, ticks[1] - ticks[0])
        wanted = len(ticks) * (1 - 0.08 * (enters + leaves))
        share = hidden / max(1, inside)
        rush = max(0.0, speed / need.size_m - 0.05)
        return (
            min(inside, wanted) / wanted
            - 1.5 * abs(share - need.hidden)
            - 4 * near / len(ticks)
            - 6 * rush
            - 0.8 * crowded / len(ticks)
        )

    def _is_crowded(self, tick: int, place: np.ndarray, need: Need) -> bool:
        """Whether an earlier object is about where this one is, as the camera sees it."""
        x, _, depth = self.project(place, tick)
        focal = self._background.intrinsics[0, 0]
        for visit, other in self._earlier:
            if visit.start <= tick < visit.end:
                other_x, _, other_depth = self.project(visit.at(tick), tick)
                reach = 0.3 * focal * (need.size_m / max(depth, 0.3) + other.size_m / max(other_depth, 0.3))
                if abs(x - other_x) < reach:
                    return True
        return False
