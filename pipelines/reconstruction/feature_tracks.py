"""Feature tracks: corners spread over a grid, followed from frame to frame by pyramidal Lucas-Kanade."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

# Chosen by hand on the ray-cast room of the tests and on 7-Scenes, and not swept.
MIN_DISTANCE_PX = 10  # corners keep this distance; smaller crowds them onto textured surfaces
MIN_CORNER = 4e-5  # least eigenvalue (OpenCV's scale); lower follows noise on blank walls, higher loses faint texture
_GRID = (8, 12)  # rows and columns of cells that corners are spread over
_MAX_BACK_PX = 0.7  # a corner that is followed there and back must end so near its start

_WINDOW_PX, _LEVELS = 15, 3  # of Lucas-Kanade: motions up to about 60 pixels
_FLOW_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 12, 0.03)
_SUBPIXEL_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 5, 0.05)
_FLOW_BORDER_PX, _CORNER_BORDER_PX = 2, 8  # where flow, and where corners, are not to be trusted
_CANDIDATES = 3  # times the corners asked for enter the search for an even spread

_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkaer, CVIU 1996
_NOISE_CORNER = 6e-5  # strongest corner of white noise of one grey level, measured: 5e-5 to 6e-5
_MAX_NOISE = 4.0  # grey levels; what looks noisier is texture
_NOISE_BLOCK_PX = 16  # the flattest tenth of such blocks says what is noise


class FeatureTracks:
    """The corners that are followed now, in no particular order.

    At most `max_tracks`, or the matches of a relocalisation, up to twice as many: 16 bytes each.

    Args:
        max_tracks: corners followed at once; more steady the pose, and cost time.
        min_distance_px: corners keep this distance.
        min_corner: least eigenvalue (OpenCV's scale) that counts as a corner; below it, texture is noise.
    """

    def __init__(self, max_tracks: int, min_distance_px: int = MIN_DISTANCE_PX, min_corner: float = MIN_CORNER) -> None:
        self.max_tracks, self.min_distance_px, self.min_corner = max_tracks, min_distance_px, min_corner
        self.reset()

    def reset(self) -> None:
        self.ids = np.zeros(0, np.int64)
        self.xy = np.zeros((0, 2), np.float32)
        self._next_id = 0

    def __len__(self) -> int:
        return len(self.ids)

    def clear(self) -> None:
        """Drop all tracks; ids are not used again."""
        self.keep(np.zeros(len(self.ids), bool))

    def follow(self, before: np.ndarray, now: np.ndarray) -> None:
        """Carry the corners from one grey picture (h, w) uint8 to the next; those that do not come back are dropped."""
        if not len(self.ids):
            return
        ahead, found = flow(before, now, self.xy)
        height, width = now.shape
        border = _FLOW_BORDER_PX
        inside = (ahead >= border).all(axis=1) & (ahead[:, 0] < width - border) & (ahead[:, 1] < height - border)
        self.xy = ahead
        self.keep(found & inside)

    def keep(self, rows: np.ndarray) -> None:
        """Keep the tracks of these rows (bool or positions)."""
        self.ids, self.xy = self.ids[rows], self.xy[rows]

    def drop_where(self, mask: np.ndarray) -> None:
        """Drop the tracks that lie on a (h, w) bool mask."""
        self.keep(~at_pixels(mask, self.xy))

    def refill(self, grey: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """Add new corners where there are none, evenly over a grid; returns their ids.

        Args:
            grey: (h, w) uint8.
            allowed: (h, w) bool, where corners may be.
        """
        free = allowed.astype(np.uint8)
        for x, y in np.rint(self.xy).astype(int).tolist():
            cv2.circle(free, (x, y), self.min_distance_px, 0, -1)
        xy = corners(grey, free, self.max_tracks, self.min_distance_px, self.min_corner)
        xy = spread(xy, self.xy, grey.shape, self.max_tracks)
        return self.add(xy)

    def add(self, xy: np.ndarray) -> np.ndarray:
        """Start tracks at (N, 2) pixels; returns their new ids."""
        ids = np.arange(self._next_id, self._next_id + len(xy), dtype=np.int64)
        self._next_id += len(xy)
        self.ids = np.concatenate([self.ids, ids])
        self.xy = np.concatenate([self.xy, xy.astype(np.float32)])
        return ids

    def state_dict(self) -> dict[str, Any]:
        return {"ids": self.ids.copy(), "xy": self.xy.copy(), "next_id": self._next_id}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.ids, self.xy, self._next_id = state["ids"].copy(), state["xy"].copy(), state["next_id"]


def flow(before: np.ndarray, now: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lucas-Kanade forward and back; pixels (N, 2) in the second picture, and which (N,) came back to their place."""
    start = np.ascontiguousarray(xy, np.float32).reshape(-1, 1, 2)
    options = {"winSize": (_WINDOW_PX, _WINDOW_PX), "maxLevel": _LEVELS, "criteria": _FLOW_STOP}
    ahead, seen, _ = cv2.calcOpticalFlowPyrLK(before, now, start, None, **options)
    options["flags"] = cv2.OPTFLOW_USE_INITIAL_FLOW  # from the start: only the consistency is asked for
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(now, before, ahead, start.copy(), **options)
    closed = np.linalg.norm((back - start).reshape(-1, 2), axis=1) < _MAX_BACK_PX
    return ahead.reshape(-1, 2), (seen.ravel() > 0) & (seen_back.ravel() > 0) & closed


def corners(grey: np.ndarray, allowed: np.ndarray, count: int, distance_px: int, min_corner: float) -> np.ndarray:
    """Corners (N, 2) float32, strongest first, none weaker than `min_corner` or noise; at most three times `count`."""
    strength = cv2.cornerMinEigenVal(grey, 3)
    strength[(allowed == 0) | (strength < max(min_corner, noise_corner(grey)))] = 0
    border = _CORNER_BORDER_PX
    strength[:border] = strength[-border:] = 0
    strength[:, :border] = strength[:, -border:] = 0
    side = max(distance_px | 1, 3)
    peak = (strength > 0) & (strength == cv2.dilate(strength, np.ones((side, side), np.uint8)))
    y, x = np.nonzero(peak)
    order = np.argsort(-strength[y, x], kind="stable")[: _CANDIDATES * count]
    xy = np.stack([x[order], y[order]], axis=1).astype(np.float32)
    if len(xy):
        xy = cv2.cornerSubPix(grey, xy.reshape(-1, 1, 2), (3, 3), (-1, -1), _SUBPIXEL_STOP).reshape(-1, 2)
    return xy


def corners_to_match(grey: np.ndarray, allowed: np.ndarray, max_tracks: int) -> np.ndarray:
    """At most twice `max_tracks` corners (N, 2) float32, half as far apart as tracks, to be recognised by."""
    xy = corners(grey, allowed, max_tracks, MIN_DISTANCE_PX // 2, MIN_CORNER)
    return spread(xy, np.zeros((0, 2), np.float32), grey.shape, 2 * max_tracks)


def noise_corner(grey: np.ndarray) -> float:
    """Corner strength that the noise of a (h, w) uint8 picture reaches by itself.

    The noise is measured in the flattest tenth of the picture (Immerkaer, CVIU 1996); the strength of its strongest
    corners grows with its square.
    """
    rough = np.abs(cv2.filter2D(grey, cv2.CV_32F, _NOISE_KERNEL))
    blocks = (max(grey.shape[1] // _NOISE_BLOCK_PX, 1), max(grey.shape[0] // _NOISE_BLOCK_PX, 1))
    flat = np.percentile(cv2.resize(rough, blocks, interpolation=cv2.INTER_AREA), 10)
    sigma = float(np.sqrt(np.pi / 2) / 6 * flat)
    return _NOISE_CORNER * min(sigma, _MAX_NOISE) ** 2


def spread(xy: np.ndarray, taken: np.ndarray, size: tuple[int, int], count: int) -> np.ndarray:
    """Of candidates (N, 2), strongest first, those that fill a grid evenly up to `count` with the taken ones."""
    per_cell = -(-count // (_GRID[0] * _GRID[1]))
    filled = np.bincount(_cells(taken, size), minlength=_GRID[0] * _GRID[1])
    cells = _cells(xy, size)
    chosen = []
    for row, cell in enumerate(cells):
        if filled[cell] < per_cell and len(taken) + len(chosen) < count:
            filled[cell] += 1
            chosen.append(row)
    return xy[chosen]


def covered_cells(xy: np.ndarray, size: tuple[int, int]) -> int:
    """How many cells of a grid over the picture hold at least one of the points (N, 2)."""
    return len(np.unique(_cells(xy, size)))


def at_pixels(picture: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Values (N,) of a (h, w) picture at the nearest pixels."""
    height, width = picture.shape[:2]
    columns = np.clip(np.rint(xy[:, 0]).astype(np.int64), 0, width - 1)
    rows = np.clip(np.rint(xy[:, 1]).astype(np.int64), 0, height - 1)
    return picture[rows, columns]


def _cells(xy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if not len(xy):
        return np.zeros(0, np.int64)
    rows = np.clip((xy[:, 1] * _GRID[0] / size[0]).astype(np.int64), 0, _GRID[0] - 1)
    columns = np.clip((xy[:, 0] * _GRID[1] / size[1]).astype(np.int64), 0, _GRID[1] - 1)
    return rows * _GRID[1] + columns
