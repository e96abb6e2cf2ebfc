"""How sure the mask is and how sure the class is are two numbers wherever they are shown."""

from __future__ import annotations

import json

import numpy as np
import pytest

from streamvos.export import draw
from streamvos.export.draw import EVERYTHING, Shown, draw_result
from streamvos.export.masks import paint
from streamvos.export.tracks import track_line


def test_tracks_have_both(recorded):
    first, second, _ = json.loads(track_line(recorded.result_at(0, True)))["objects"]
    assert (first["score"], first["class_score"]) == (0.9375, 0.8125)
    assert (second["score"], second["class_score"]) == (0.75, None)


@pytest.mark.parametrize(
    ("shown", "texts"),
    [
        (EVERYTHING, ["#1 dog 0.81 · tracked 0.94", '#3 a "b" <&> ü · tracked 0.75']),
        (Shown(states=False), ["#1 dog 0.81", '#3 a "b" <&> ü']),
        (Shown(ids=False), ["tracked 0.94", "tracked 0.75"]),
    ],
    ids=["both", "class", "mask"],
)
def test_labels_of_the_overlay(recorded, monkeypatch, shown, texts):
    drawn = []
    place = draw._place_text

    def note(canvas, text, *rest, **more):
        drawn.append(text)
        place(canvas, text, *rest, **more)

    monkeypatch.setattr(draw, "_place_text", note)
    result = recorded.result_at(1, True)
    draw_result(np.zeros((recorded.height, recorded.width, 3), np.uint8), result, paint(result.masks), shown)
    assert drawn == texts
