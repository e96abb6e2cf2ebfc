"""The classical refiner: GrabCut (Rother et al., SIGGRAPH 2004) led by a shape prior and colour histograms.

Bare GrabCut on a box starts from "everything inside is object" and often ends at nothing or everything.
Here, on a crop at bounded resolution: (1) a prior falls from the middle of the prompt to its rim; (2)
colour histograms of object and background, weighted with it, are estimated and re-estimated; (3) one round
of GrabCut, started from that, cuts along edges; (4) small parts go, small holes close. A result that is
empty or fills the box is replaced by the ellipse inscribed in the box, and the reason says so. A coarse
mask is refined only in a band along its border. OpenCV's random generator is seeded from seed and frame
before each call.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.refiners.grabcut_parts import Window, clean, colour_bins, inscribed_ellipse, log_ratio, upscaled
from pipelines.refiners.protocol import REFINERS, Candidate, RefinerSetup, checked_prompt
from streamvos.masks import tight_box

# Set by hand while this was built; none of them was measured apart.
_CLICK_CORE, _LEAST_CORE_PX = 0.15, 1.5  # around a click, of its reach and at least, what always belongs to the object
_CLICK_DISC = 0.3  # radius, of a click's reach, of what is shown where nothing was found
_MARK_PX = 2  # radius of what a click decides
_LEAST_BAND_PX = 3.0  # half width of the band of a small coarse mask
_SURE_ODDS, _SURE_RADIUS = 3.0, 0.6  # by colour and place, from which a pixel belongs to the object
_COLOUR_ROUNDS = 2  # in which colours are learned from the mask and the mask from colours
_ODDS_LIMIT = 30.0  # beyond it a share is 0 or 1 in every way that matters


@dataclass(frozen=True)
class GrabCutRules:
    """How the classical refiner works."""

    # Longest side of the picture that is cut; larger is finer and slower (128: about 17 ms, 200: 35 ms).
    box_side_px: int = 128
    # The same for the band of a coarse mask, which needs finer borders.
    band_side_px: int = 200
    # How much of the surroundings is looked at as background, as a share of the box's longer side.
    margin: float = 0.25
    # Log-odds that the prior falls from the middle of the box to its rim; larger makes blobs, smaller
    # trusts colour.
    prior_slope: float = 4.0
    # Where on the way from the middle (0) to the rim (1) the prior is undecided; larger makes fuller masks.
    prior_even: float = 1.2
    # Radius, as a share of the way to the rim, that always belongs to the object.
    core: float = 0.3
    # Half width of the band of a coarse mask, as a share of the square root of its area. Larger may mend
    # larger errors, but an error wider than the band spoils the colours learned outside it, and a wide
    # band loses what a good mask already had: of 0.05 to 0.25, 0.05 and 0.08 gained on masks 4 to 6 px
    # off, 0.12 and more lost.
    band: float = 0.06
    # How far from a click an object may reach, as a share of the frame's shorter side.
    point_reach: float = 0.25
    # A result that covers less or more of the box than this is replaced by the inscribed ellipse.
    min_fill: float = 0.2
    max_fill: float = 0.985
    # Boxes with a side below this, in pixels, get the ellipse at once: too few pixels to learn colours from.
    min_side_px: float = 6.0


RULES = GrabCutRules()


@REFINERS.register("grabcut")
class GrabCutRefiner:
    """Masks from boxes, points and coarse masks without learned weights.

    Args:
        rules: see there.
        seed: of OpenCV's random generator, with the frame's index.
    """

    name = "grabcut"
    settings = None
    makes_first_masks = True

    def __init__(self, rules: GrabCutRules = RULES, seed: int = 0) -> None:
        self._rules, self._seed = rules, seed
        self._image: np.ndarray | None = None
        self._frame_index = 0

    @classmethod
    def build(cls, config: None, setup: RefinerSetup) -> GrabCutRefiner:
        return cls(seed=setup.seed)

    @classmethod
    def weights(cls, config: None) -> tuple[str, ...]:
        return ()

    def suits_quick(self, box_px: float) -> bool:
        return False  # along good masks it loses more than it gains

    def set_image(self, image: np.ndarray, frame_index: int) -> None:
        self._image, self._frame_index = image, frame_index

    def refine(
        self,
        coarse: np.ndarray | None = None,
        box: np.ndarray | None = None,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        quick: bool = False,
    ) -> tuple[Candidate, ...]:
        """See `Refiner.refine`; a coarse mask gives the candidates "band" and "box", the others give one."""
        box, points, labels = checked_prompt(self._image, coarse, box, points, labels)
        if coarse is None:
            return (self._from_points(points, labels) if box is None else self._from_box(box, points, labels),)
        band = self._from_band(coarse)
        return (band,) if quick else (band, self._from_box(tight_box(coarse) if box is None else box, points, labels))

    def _from_box(self, box: np.ndarray, points: np.ndarray | None, labels: np.ndarray | None) -> Candidate:
        rules, size = self._rules, self._image.shape[:2]
        side = float(min(box[2] - box[0], box[3] - box[1]))
        if side < rules.min_side_px:
            reason = f"box side {side:.0f} px < {rules.min_side_px:.0f}: inscribed ellipse"
            return Candidate("box", inscribed_ellipse(size, box), None, reason)
        window = Window.around(size, box, rules.margin, rules.box_side_px)
        x, y = window.grid()
        x1, y1, x2, y2 = window.to_small(box)
        radius = np.hypot((x - (x1 + x2) / 2) / ((x2 - x1) / 2), (y - (y1 + y2) / 2) / ((y2 - y1) / 2))
        inside = (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)
        mask = self._cut(window, inside, radius, radius < rules.core, points, labels)
        fill = np.count_nonzero(mask) / float((box[2] - box[0]) * (box[3] - box[1]))
        if rules.min_fill <= fill <= rules.max_fill:
            return Candidate("box", mask, None, f"GrabCut in the box, {fill:.0%} of it")
        reason = f"GrabCut covers {fill:.0%} of the box: inscribed ellipse instead"
        return Candidate("box", inscribed_ellipse(size, box), None, reason)

    def _from_points(self, points: np.ndarray, labels: np.ndarray) -> Candidate:
        rules, size = self._rules, self._image.shape[:2]
        reach = max(rules.min_side_px, rules.point_reach * min(size))
        on = points[labels]
        low, high = on.min(axis=0) - reach, on.max(axis=0) + reach
        box = np.clip(np.concatenate([low, high]), 0, [size[1], size[0], size[1], size[0]]).astype(np.float32)
        window = Window.around(size, box, rules.margin, rules.box_side_px)
        x, y = window.grid()
        away = np.min([np.hypot(x - px, y - py) for px, py in window.points_to_small(on)], axis=0)
        radius = away / (reach * window.scale)
        core = away <= max(_LEAST_CORE_PX, _CLICK_CORE * reach * window.scale)
        mask = self._cut(window, radius <= 1, radius, core, points, labels)
        spots = [(int(py), int(px)) for px, py in on]
        _, parts = cv2.connectedComponents(mask.astype(np.uint8))
        mask = np.isin(parts, [parts[spot] for spot in spots if mask[spot]])
        if mask.any():
            return Candidate("points", mask, None, f"GrabCut within {reach:.0f} px of the points")
        discs, radius_px = np.zeros(size, np.uint8), _CLICK_DISC * reach
        for row, col in spots:
            cv2.circle(discs, (col, row), max(1, round(radius_px)), 1, -1)
        return Candidate("points", discs > 0, None, f"GrabCut found nothing: discs of {radius_px:.0f} px instead")

    def _from_band(self, coarse: np.ndarray) -> Candidate:
        rules = self._rules
        half_px = max(_LEAST_BAND_PX, rules.band * float(np.sqrt(np.count_nonzero(coarse))))
        box = tight_box(coarse) + np.array([-half_px, -half_px, half_px, half_px], np.float32)
        window = Window.around(coarse.shape, box, rules.margin, rules.band_side_px)
        here = coarse[window.rows, window.cols].astype(np.uint8)
        depth = cv2.distanceTransform(np.pad(here, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        away = cv2.distanceTransform(1 - here, cv2.DIST_L2, 3)
        # A thin object is nowhere deeper than the band: its innermost half stays.
        certain = depth > min(half_px, 0.5 * float(depth.max()))
        impossible = away > half_px
        labels = np.where(here > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        labels[certain], labels[impossible] = cv2.GC_FGD, cv2.GC_BGD
        small = cv2.resize(labels, window.small_size, interpolation=cv2.INTER_NEAREST)
        cut = self._grabcut(window.small(self._image), small)
        if cut is None:
            return Candidate("band", coarse.copy(), None, "no band to cut in: the coarse mask as it is")
        fine = upscaled(cut, here.shape)
        mask = np.zeros_like(coarse)
        mask[window.rows, window.cols] = clean((fine | certain) & ~impossible)
        return Candidate("band", mask, None, f"GrabCut in a band of {half_px:.0f} px along the coarse mask")

    def _cut(
        self,
        window: Window,
        inside: np.ndarray,
        radius: np.ndarray,
        core: np.ndarray,
        points: np.ndarray | None,
        labels: np.ndarray | None,
    ) -> np.ndarray:
        """Steps 1 to 4 in a window; the arrays have its small size. Returns (H, W) bool."""
        picture = window.small(self._image)
        prior = self._rules.prior_slope * (self._rules.prior_even - radius)
        bins = colour_bins(picture)
        odds = prior
        for _ in range(_COLOUR_ROUNDS):
            odds = prior + log_ratio(bins, np.where(inside, _sigmoid(odds), 0.0))
        start = np.where(odds > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        start[core | ((odds > _SURE_ODDS) & (radius < _SURE_RADIUS))] = cv2.GC_FGD
        start[~inside] = cv2.GC_BGD
        if points is not None:
            for (px, py), on in zip(window.points_to_small(points), labels, strict=True):
                cv2.circle(start, (int(px), int(py)), _MARK_PX, cv2.GC_FGD if on else cv2.GC_BGD, -1)
        cut = self._grabcut(picture, start)
        mask = np.zeros(self._image.shape[:2], bool)
        if cut is not None:
            part = mask[window.rows, window.cols]
            part[:] = clean(upscaled(cut, part.shape))
        return mask

    def _grabcut(self, picture: np.ndarray, start: np.ndarray) -> np.ndarray | None:
        """One round of GrabCut from a label picture; None where one side has no pixels to learn from."""
        object_px = np.count_nonzero(start & 1)  # GC_FGD and GC_PR_FGD are odd
        if object_px == 0 or object_px == start.size:
            return None
        cv2.setRNGSeed((self._seed * 1_000_003 + self._frame_index) % 2**31)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        labels, _, _ = cv2.grabCut(picture, start, None, *models, 1, cv2.GC_INIT_WITH_MASK)
        return (labels & 1).astype(bool)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -_ODDS_LIMIT, _ODDS_LIMIT)))
