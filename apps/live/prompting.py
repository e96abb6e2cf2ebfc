"""From a click or a box on the picture to the prompt that is sent with the next frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.live.archive import Log
from apps.live.pointing import Pointing
from apps.live.view import PageView
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.records import Prompt


class Prompting:
    """Prompts of one video. Those that come before it runs wait, and go with its first frame.

    Args:
        view: whose picture is pointed at.
        log: of what was said.
        can_follow: whether anything follows objects at all.

    All methods are called with the view's lock held.
    """

    def __init__(self, view: PageView, log: Log, can_follow: bool) -> None:
        self._view, self._log, self._can_follow = view, log, can_follow
        self._pointing = Pointing()
        self._early: dict[int, dict[str, Any]] = {}

    def click(
        self, size: tuple[int, int], x: float, y: float, on: bool, object_id: int | None, is_new: bool
    ) -> tuple[int, dict[str, Any]]:
        """The object that a click speaks of, and the fields of its prompt.

        Args:
            size: (H, W) of the frames.
            x, y: as shares of width and height.
            on: on the object, or off it.
            object_id: the object that is corrected. None: the one whose mask is clicked, else a new one.
            is_new: a new one in any case.

        Raises:
            InputError: nothing can be pointed at now, or nothing is there to be taken off.
        """
        self._expect_followed()
        moment = self._view.pointed_at()
        if object_id is None and not is_new:
            object_id = self._view.object_at(x, y)
        if object_id is None and not on:
            raise InputError("no object is here that something could be taken off: choose one first")
        number = self._checked(object_id)
        height, width = size
        box = self._view.objects.box_in(moment.result, number)
        if box is not None:
            box = box * (np.array([width, height] * 2, np.float32) / np.array([*moment.image.shape[1::-1]] * 2))
        at = min(x, 1.0) * (width - 1), min(y, 1.0) * (height - 1)
        return number, self._pointing.click(number, *at, on, moment.result.frame_index, box)

    def box(
        self, size: tuple[int, int], corners: tuple[float, float, float, float], object_id: int | None
    ) -> tuple[int, dict[str, Any]]:
        """The same for a box, its corners as shares of width and height; without an object it begins a new one."""
        self._expect_followed()
        self._view.pointed_at()
        number = self._checked(object_id)
        x1, y1, x2, y2 = corners
        box = np.array([min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]) * ([size[1], size[0]] * 2)
        self._pointing.forget(number)
        return number, {"box": box.astype(np.float32)}

    def keep(self, object_id: int, fields: dict[str, Any]) -> None:
        """Let a prompt wait for the first frame; what is said of an object there holds all that was said before."""
        self._early[object_id] = fields
        self._view.objects.point_at(object_id)

    def send_kept(self, session: Session) -> bool:
        """Send what waits with the next frame; False where nothing did."""
        early, self._early = self._early, {}
        for object_id, fields in early.items():
            self.send(session, object_id, fields)
        return bool(early)

    def send(self, session: Session, object_id: int, fields: dict[str, Any]) -> int:
        """Send a prompt with the next frame; returns that frame."""
        while True:
            index = session.next_index
            try:
                session.add(Prompt(index, object_id, **fields))
                break
            except InputError:
                if session.next_index == index:  # otherwise that frame left in this very moment
                    raise
        self._view.objects.point_at(object_id)
        self._log.prompt(index, object_id, fields)
        return index

    def forget(self, object_id: int) -> None:
        """What comes for this object begins anew."""
        self._pointing.forget(object_id)

    def _expect_followed(self) -> None:
        if not self._can_follow:
            raise InputError("nothing can be followed without the segment stage")

    def _checked(self, object_id: int | None) -> int:
        objects = self._view.objects
        return objects.new_id() if object_id is None else objects.checked(object_id)
