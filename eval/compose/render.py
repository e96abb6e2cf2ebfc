"""Draw objects into a picture: warped, lit, behind what is nearer, with shadows; and what is true of the result."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from eval.compose.actor import Actor, Pose2d
from eval.compose.background import Background
from eval.compose.light import Look, blur_to_match, gains, local_light, look_of
from eval.compose.shadow import shadow_of
from streamvos.masks import tight_box

_BIAS_M = 0.05  # an object wins against a surface this little nearer: noise of the depth camera
_SOFT_M = 0.05  # over this difference of depth it fades
_SMOOTH = 0.92  # of the light on an object from frame to frame
_NOISE_SIDE = 1024
_WHOLE_SIDE = 1024  # boxes of objects beyond the picture are exact to a pixel up to this side


@dataclass(frozen=True)
class Whole:
    """An object with its parts beyond the picture's borders and behind others: tight box, and pixels."""

    box_xyxy: tuple[int, int, int, int]
    area_px: int


@dataclass(frozen=True)
class Layer:
    """One object as it would look if nothing hid it, inside the picture.

    Args:
        actor: whose. x, y: left upper corner in the picture. colour: (h, w, 3) float32. alpha: (h, w) float32.
        depth_m: (h, 1) float32. foot: anchor in pixels, and depth. scale: pixels of the picture to one of the cut-out.
        pose: how it is turned. whole: without the picture's borders; None where nothing is solid.
    """

    actor: Actor
    x: int
    y: int
    colour: np.ndarray
    alpha: np.ndarray
    depth_m: np.ndarray
    foot: tuple[float, float, float]
    scale: float
    pose: Pose2d
    whole: Whole | None

    @property
    def window(self) -> tuple[slice, slice]:
        return slice(self.y, self.y + self.alpha.shape[0]), slice(self.x, self.x + self.alpha.shape[1])


@dataclass(frozen=True)
class Drawn:
    """A composed picture and its truth.

    Args:
        image: (H, W, 3) uint8 RGB. labels: (H, W) uint8, object ids, 0 the background.
        full: for each object id in the picture, window and (h, w) bool mask of all of it.
        depth_m: (H, W) float32 with the objects, or None.
        whole: of each object id in `full`.
    """

    image: np.ndarray
    labels: np.ndarray
    full: dict[int, tuple[tuple[slice, slice], np.ndarray]]
    depth_m: np.ndarray | None
    whole: dict[int, Whole]


class Renderer:
    """Draws the frames of one sequence, in order of time.

    Args:
        background: to draw into. start_tick: background tick of the sequence's tick 0. seed: of the noise.
    """

    def __init__(self, background: Background, start_tick: int, seed: int) -> None:
        self._background, self._start = background, start_tick
        rng = np.random.default_rng([seed, 77])
        self._look: Look = look_of(background.images)
        self._noise = rng.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 1)).astype(np.float32) * self._look.noise
        self._noise = self._noise + 0.5 * self._look.noise * rng.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3)).astype(
            np.float32
        )
        self._sun = float(rng.uniform(-0.7, 0.7))
        self._gains: dict[int, np.ndarray] = {}
        self._blurs: dict[int, float] = {}

    def draw(self, actors: list[Actor], tick: int) -> Drawn:
        """The picture at a tick."""
        index = self._background.index_at(self._start + tick)
        image = self._background.images[index]
        solid = None if self._background.solid_m is None else self._background.solid_m[index]
        layers = [layer for actor in actors if (layer := self._layer(actor, tick, index, image)) is not None]
        layers.sort(key=lambda layer: (-layer.foot[2], layer.actor.id))
        canvas = self._shaded(image, layers, index)
        labels = np.zeros(image.shape[:2], np.uint8)
        depth = None if self._background.depths_m is None else self._background.depths_m[index].copy()
        full, wholes = {}, {}
        for layer in layers:
            alpha = layer.alpha if solid is None else layer.alpha * _seen(solid[layer.window], layer.depth_m)
            self._paint(canvas, layer, alpha, tick)
            shows = alpha >= 0.5
            labels[layer.window][shows] = layer.actor.id
            if depth is not None:
                np.copyto(depth[layer.window], np.broadcast_to(layer.depth_m, shows.shape), where=shows)
            whole = layer.alpha >= 0.5
            if whole.any():
                full[layer.actor.id], wholes[layer.actor.id] = (layer.window, whole), layer.whole
        return Drawn(canvas, labels, dict(sorted(full.items())), depth, wholes)

    def _layer(self, actor: Actor, tick: int, index: int, image: np.ndarray) -> Layer | None:
        visit = actor.visit_at(tick)
        if visit is None:
            return None
        pose = self._background.poses[index]
        rotation, centre = pose[:3, :3], pose[:3, 3]
        place = visit.at(tick)
        camera = rotation.T @ (place - centre)
        if camera[2] < 0.25:
            return None
        intrinsics = self._background.intrinsics
        look = actor.pose_at(tick, visit, float((rotation.T @ visit.speed(tick))[0]))
        x, y = (intrinsics @ camera)[:2] / camera[2]
        scale = intrinsics[0, 0] * actor.size_m / actor.longest_px / camera[2]
        floor = self._background.floor
        up = -rotation[1] if floor is None else rotation.T @ floor.normal  # in the camera's frame
        lean = float(np.arctan2(up[0], -up[1])) + look.rotation
        y -= look.lift * scale * actor.longest_px
        window = _window(actor, (x, y), scale, lean, look.width, image.shape[:2])
        if window is None:
            return None
        rgba, along = _warp(actor, tick, (x, y), scale, lean, look.width, window)
        top = camera[2] + (actor.height_m * up[2] if actor.manner == "stand" else 0.0)
        depth = np.maximum(camera[2] + (top - camera[2]) * along, 0.1).astype(np.float32)[:, None]
        alpha = rgba[..., 3].astype(np.float32) / 255
        gain = self._gain(actor, image, (x, y - 0.4 * scale * actor.longest_px)) * look.gain
        colour = rgba[..., :3].astype(np.float32) * gain
        whole = _whole(alpha, window)
        unbound = _window(actor, (x, y), scale, lean, look.width, None)
        if unbound is not None and unbound != window:
            step = max(1, max(unbound[2] - unbound[0], unbound[3] - unbound[1]) // _WHOLE_SIDE)
            beyond, _ = _warp(actor, tick, (x, y), scale, lean, look.width, unbound, step)
            whole = _whole(beyond[..., 3].astype(np.float32) / 255, unbound, step)
        foot = (x, y, float(camera[2]))
        return Layer(actor, window[0], window[1], colour, alpha, depth, foot, scale, look, whole)

    def _gain(self, actor: Actor, image: np.ndarray, at: tuple[float, float]) -> np.ndarray:
        """Factors for the three colours, following the background's light slowly."""
        height, width = image.shape[:2]
        place = at[0] / width, at[1] / height
        now = gains(local_light(image), place, actor.mean_colour, actor.brightest, self._look.white)
        before = self._gains.get(actor.id)
        self._gains[actor.id] = now if before is None else _SMOOTH * before + (1 - _SMOOTH) * now
        return self._gains[actor.id]

    def _shaded(self, image: np.ndarray, layers: list[Layer], index: int) -> np.ndarray:
        """A copy of the picture with the shadows of all objects."""
        canvas = image.copy()
        for layer in layers:
            if layer.actor.manner != "stand":
                continue
            found = shadow_of(layer.actor, layer.foot, layer.scale, layer.pose.width, self._sun, image.shape[:2])
            if found is None:
                continue
            window, shade = found
            if self._background.solid_m is not None:
                shade = shade * self._on_floor(index, window)
            part = canvas[window]
            canvas[window] = np.rint(part * (1 - shade[..., None])).astype(np.uint8)
        return canvas

    def _on_floor(self, index: int, window: tuple[slice, slice]) -> np.ndarray:
        """(h, w) float32: 1 where the surface in sight is the floor."""
        pose, solid = self._background.poses[index], self._background.solid_m[index][window]
        floor = self._background.floor
        down = pose[:3, :3].T @ floor.normal @ np.linalg.inv(self._background.intrinsics)  # row vector on pixels
        rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None]
        cols = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :]
        slope = (down[0] * cols + down[1] * rows + down[2]).astype(np.float32)
        height = slope * solid + np.float32(floor.height(pose[:3, 3]))
        return cv2.blur(np.clip(2.5 - np.abs(height) / 0.04, 0, 1), (3, 3))

    def _paint(self, canvas: np.ndarray, layer: Layer, alpha: np.ndarray, tick: int) -> None:
        colour = layer.colour
        sigma = self._blur(layer)
        if sigma:
            colour = cv2.GaussianBlur(colour, (0, 0), sigma)
        height, width = alpha.shape
        dy, dx = (tick * 7919 + 131 * layer.actor.id) % 331, (tick * 104729 + 17 * layer.actor.id) % 337
        if height + 331 <= _NOISE_SIDE and width + 337 <= _NOISE_SIDE:
            colour = colour + self._noise[dy : dy + height, dx : dx + width]
        part = canvas[layer.window].astype(np.float32)
        part += (colour - part) * alpha[..., None]
        canvas[layer.window] = np.clip(part + 0.5, 0, 255).astype(np.uint8)

    def _blur(self, layer: Layer) -> float:
        """Sigma that makes the object as soft as the background, measured when it is first drawn large enough."""
        if layer.actor.id not in self._blurs:
            inside = layer.alpha > 0.9
            if inside.sum() < 400:
                return 0.5
            grey = cv2.cvtColor(np.clip(layer.colour, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32)
            self._blurs[layer.actor.id] = blur_to_match(grey, inside, self._look.detail)
        return self._blurs[layer.actor.id]


def _seen(solid: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(h, w) float32 in [0, 1]: how much of an object at `depth` is before the surfaces `solid`."""
    share = np.clip((solid - depth + _BIAS_M) / _SOFT_M + 0.5, 0, 1)
    return cv2.GaussianBlur(share, (0, 0), 0.8)


def _window(
    actor: Actor, at: tuple[float, float], scale: float, lean: float, width: float, size: tuple[int, int] | None
) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 of what the object can touch, inside a picture (H, W) or at all; None where there is nothing."""
    x1, y1, x2, y2 = actor.box
    corners = np.array([[x1, y1], [x2, y1], [x1, y2], [x2, y2]]) - actor.anchor
    spread = corners @ _matrix(scale, lean, width).T + at
    extra = 4 + 0.03 * scale * actor.longest_px
    left, top = np.floor(spread.min(axis=0) - extra).astype(int)
    right, bottom = np.ceil(spread.max(axis=0) + extra).astype(int)
    left, top, right, bottom = int(left), int(top), int(right), int(bottom)
    if size is not None:
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, size[1]), min(bottom, size[0])
    return (left, top, right, bottom) if right - left > 2 and bottom - top > 2 else None


def _whole(alpha: np.ndarray, window: tuple[int, int, int, int], step: int = 1) -> Whole | None:
    solid = alpha >= 0.5
    if not solid.any():
        return None
    x1, y1, x2, y2 = (step * tight_box(solid).astype(int)).tolist()
    return Whole((x1 + window[0], y1 + window[1], x2 + window[0], y2 + window[1]), step * step * int(solid.sum()))


def _matrix(scale: float, lean: float, width: float) -> np.ndarray:
    """(2, 2) from pixels of the cut-out to pixels of the picture."""
    cos, sin = np.cos(lean), np.sin(lean)
    return scale * np.array([[cos, -sin], [sin, cos]]) @ np.diag([width, 1.0])


def _warp(
    actor: Actor,
    tick: int,
    at: tuple[float, float],
    scale: float,
    lean: float,
    width: float,
    window: tuple[int, int, int, int],
    step: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Every `step`-th pixel of the window, (h, w, 4) uint8, and how far up the object each row is, from 0 to 1."""
    left, top, right, bottom = window
    inverse = np.linalg.inv(_matrix(scale, lean, width))
    cols = np.arange(left, right, step, dtype=np.float32) + 0.5 - np.float32(at[0])
    rows = np.arange(top, bottom, step, dtype=np.float32) + 0.5 - np.float32(at[1])
    tall_px = scale * (actor.box[3] - actor.box[1])
    along = np.clip(-rows / tall_px, 0, 1)
    bend = actor.bend_at(tick, along) * actor.longest_px
    sag = 0.4 * actor.motion.bend * actor.longest_px * np.sin(2 * np.pi * (cols / (tall_px + 1) + tick / 61.0))
    map_x = inverse[0, 0] * cols[None] + (inverse[0, 1] * rows + bend)[:, None] + actor.anchor[0]
    map_y = (inverse[1, 0] * cols + (sag if actor.manner == "fly" else 0.0))[None] + inverse[1, 1] * rows[:, None]
    map_y = map_y + actor.anchor[1]
    level = int(np.clip(np.floor(np.log2(1 / max(scale, 1e-3)) + 0.25), 0, len(actor.levels) - 1))
    source = actor.levels[level]
    fx, fy = source.shape[1] / actor.levels[0].shape[1], source.shape[0] / actor.levels[0].shape[0]
    rgba = cv2.remap(
        source,
        (map_x * fx - 0.5).astype(np.float32),
        (map_y * fy - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return rgba, along
