"""Parts of the classical refiner: the window that it works in, colour histograms, cleaning of masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

NUM_BINS = 16  # of each colour channel
KEEP_SHARE = 0.2  # parts smaller than this share of the largest are dropped
HOLE_SHARE = 0.02  # holes smaller than this share of the largest part are closed
_LEAST_PAD_PX = 4.0  # seen around a box at least: of a small one a share of its side is next to nothing
_BLUR_PX = 1.0  # of the log-odds: single pixels of odd colour do not decide
_UNSEEN = 2e-5  # added to each bin, about a pixel in 200 x 200: an unseen colour does not decide alone


@dataclass(frozen=True)
class Window:
    """A part of the frame, seen at a bounded resolution.

    Args:
        rows, cols: the part, in pixels of the frame.
        scale: small pixels for each pixel of the frame, <= 1.
        small_size: (w, h) of the small picture.
    """

    rows: slice
    cols: slice
    scale: float
    small_size: tuple[int, int]

    @classmethod
    def around(cls, size: tuple[int, int], box: np.ndarray, margin: float, max_side_px: int) -> Window:
        """The window with a box and `margin` (share of its longer side) around it, cut at the frame."""
        pad = max(_LEAST_PAD_PX, margin * float(max(box[2] - box[0], box[3] - box[1])))
        left, top = (max(0, int(np.floor(low - pad))) for low in box[:2])
        ends = zip(box[2:], size[::-1], strict=True)
        right, bottom = (min(end, int(np.ceil(high + pad))) for high, end in ends)
        scale = min(1.0, max_side_px / max(right - left, bottom - top))
        small = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
        return cls(slice(top, bottom), slice(left, right), scale, small)

    def small(self, image: np.ndarray) -> np.ndarray:
        """What an (H, W, 3) image shows in the window."""
        part = image[self.rows, self.cols]
        return cv2.resize(part, self.small_size, interpolation=cv2.INTER_AREA)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y of the small pixels' centres, (h, w) each."""
        y, x = np.mgrid[: self.small_size[1], : self.small_size[0]] + 0.5
        return x, y

    def to_small(self, box: np.ndarray) -> np.ndarray:
        """A frame's xyxy box in small pixels."""
        return self.points_to_small(box.reshape(2, 2)).reshape(4)

    def points_to_small(self, points: np.ndarray) -> np.ndarray:
        """A frame's (P, 2) xy points in small pixels."""
        extent = np.array([self.cols.stop - self.cols.start, self.rows.stop - self.rows.start])
        return (points - [self.cols.start, self.rows.start]) * (np.array(self.small_size) / extent)


def colour_bins(picture: np.ndarray) -> np.ndarray:
    """(h, w) int64 number of each pixel's Lab bin; the bins span the colours that the picture has."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2Lab).astype(np.int64)
    low, high = lab.min(axis=(0, 1)), lab.max(axis=(0, 1)) + 1
    steps = (lab - low) * NUM_BINS // (high - low)
    return (steps[..., 0] * NUM_BINS + steps[..., 1]) * NUM_BINS + steps[..., 2]


def log_ratio(bins: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(h, w) log of how much likelier each pixel's colour is on the object than off it.

    Args:
        bins: from `colour_bins`.
        share: (h, w) in [0, 1] that each pixel has in the object's histogram.
    """
    ratio = np.log(_histogram(bins, share) / _histogram(bins, 1 - share))[bins]
    return cv2.GaussianBlur(ratio, (0, 0), _BLUR_PX)


def upscaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A bool mask at (H, W), with smooth borders."""
    return cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def clean(mask: np.ndarray) -> np.ndarray:
    """Drop small parts of a bool mask and close small holes that do not touch its edge."""
    count, parts, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count == 1:
        return mask
    largest = facts[1:, cv2.CC_STAT_AREA].max()
    keep = facts[:, cv2.CC_STAT_AREA] >= KEEP_SHARE * largest
    keep[0] = False
    kept = keep[parts]
    _, parts, facts, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    left, top, width, height, area = facts.T
    close = (area < HOLE_SHARE * largest) & (left > 0) & (top > 0)
    close &= (left + width < mask.shape[1]) & (top + height < mask.shape[0])
    close[0] = False
    return kept | close[parts]


def inscribed_ellipse(size: tuple[int, int], box: np.ndarray) -> np.ndarray:
    """(H, W) bool: the pixels whose centres lie in the ellipse inscribed in an xyxy box, at least one."""
    y, x = np.ogrid[: size[0], : size[1]]
    x1, y1, x2, y2 = box.astype(np.float64)
    mask = ((2 * x + 1 - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y + 1 - y1 - y2) / (y2 - y1)) ** 2 <= 1
    if not mask.any():
        mask[min(int((y1 + y2) / 2), size[0] - 1), min(int((x1 + x2) / 2), size[1] - 1)] = True
    return mask


def _histogram(bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Smoothed, normalised (NUM_BINS ** 3,) histogram; its floor keeps unseen colours from deciding alone."""
    counts = np.bincount(bins.ravel(), weights.ravel(), NUM_BINS**3).reshape((NUM_BINS,) * 3)
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if one == axis else (0, 0) for one in range(3)], mode="edge")
        before, after = (np.take(padded, range(at, at + NUM_BINS), axis) for at in (0, 2))
        counts = 0.25 * before + 0.5 * counts + 0.25 * after
    return (counts / (counts.sum() + 1e-9) + _UNSEEN).ravel()
