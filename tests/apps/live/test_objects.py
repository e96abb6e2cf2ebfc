"""What the page is told of each object."""

from __future__ import annotations

import numpy as np

from apps.live.objects import Objects
from streamvos.records import Frame


def test_mask_and_class_have_a_score_each(recorded):
    objects = Objects()
    image = np.zeros((recorded.height, recorded.width, 3), np.uint8)
    objects.take(Frame("s", 1, 0.04, image), recorded.result_at(1, True))
    dog, other, _ = objects.rows()
    assert (dog["score"], dog["class_score"]) == (0.94, 0.81)
    assert (other["score"], other["class_score"]) == (0.75, None)
