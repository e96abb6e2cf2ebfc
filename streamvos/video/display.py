"""Decoded pictures as a player shows them: turned, mirrored and with square pixels, RGB, at one size."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType

SQUARE = Fraction(1)
_UNSPECIFIED = 2  # ITU-T H.273
# What PNG decoders give. PyAV frees the name of a colour profile, which they attach, a second time when the side data
# of such a frame is collected, and the process ends: it is not asked for.
_OF_PNG = ("rgb24", "rgba", "rgb48be", "rgba64be", "gray", "gray16be", "ya8", "ya16be", "pal8", "monob")
_WIDEST = 8  # a ratio of width to height of a pixel beyond it is a damaged header
_NEARLY_SQUARE = Fraction(1, 100)  # encoders that round a size to even numbers write 1280:1281; nobody sees it


class Turn(NamedTuple):
    """One of the eight ways to lay a picture: rows and columns swapped first, then mirrored.

    Args:
        swap: whether rows become columns.
        mirror_x, mirror_y: whether left and right, top and bottom change places after that.
    """

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """The (H, W, ...) picture laid so."""
        if self == Turn():
            return picture
        laid = picture.swapaxes(0, 1) if self.swap else picture
        laid = laid[::-1] if self.mirror_y else laid
        return np.ascontiguousarray(laid[:, ::-1] if self.mirror_x else laid)


def turn_of(frame: av.VideoFrame) -> Turn:
    """What the display matrix of a container, or of the video itself, asks for, to the nearest quarter turn.

    Of the frames of PNG decoders, and of those with EXIF, the turn alone is known, not a mirror.
    """
    a, b, c, d = _by_rotation(frame) if frame.format.name in _OF_PNG else _by_matrix(frame)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


def _by_matrix(frame: av.VideoFrame) -> tuple[float, float, float, float]:
    """a, b, c, d of x' = a x + c y, y' = b x + d y."""
    try:
        data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    except ValueError:  # PyAV does not know a kind of side data that there is, such as EXIF in Motion JPEG
        return _by_rotation(frame)
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    return a, b, c, d


def _by_rotation(frame: av.VideoFrame) -> tuple[float, float, float, float]:
    angle = math.radians(-frame.rotation)  # that is counterclockwise
    return math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle)


def pixel_aspect(stream: av.video.stream.VideoStream) -> Fraction:
    """Width of a pixel divided by its height; 1 where it is nearly that, is not told, or makes no sense."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not aspect or not Fraction(1, _WIDEST) <= aspect <= _WIDEST or abs(aspect - 1) < _NEARLY_SQUARE:
        return SQUARE
    return aspect


def displayed_size(frame: av.VideoFrame, aspect: Fraction = SQUARE) -> tuple[int, int]:
    """(H, W) of a decoded frame as a player shows it: the width is stretched to square pixels, then it is turned."""
    size = (frame.height, max(1, round(frame.width * aspect)))
    return size[::-1] if turn_of(frame).swap else size


def to_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """An (H, W, 3) uint8 RGB picture of a frame, upright, scaled to `size` (H, W) where it differs.

    Full and limited range, BT.601 and BT.709 are told apart by the stream's own tags; tags that FFmpeg does not know
    (damage, or colours of the film industry) are taken for none. Higher bit depths are reduced to 8.
    """
    turn = turn_of(frame)
    height, width = size[::-1] if turn.swap else size
    try:
        picture = frame.to_ndarray(format="rgb24", width=width, height=height)
    except av.error.FFmpegError:
        frame.colorspace = frame.color_primaries = frame.color_trc = _UNSPECIFIED
        picture = frame.to_ndarray(format="rgb24", width=width, height=height)
    return turn.apply(picture)
