from __future__ import annotations

import numpy as np
import pytest

from apps.live.pointing import Pointing
from streamvos.errors import InputError

BOX = np.array([10, 20, 50, 60], np.float32)


def test_clicks_on_one_picture_speak_together():
    pointing = Pointing()
    first = pointing.click(1, 5, 6, True, 10, None)
    second = pointing.click(1, 7, 8, False, 12, BOX)  # the mask that the first click made
    assert first["points"].tolist() == [[5, 6]] and first["labels"].tolist() == [True]
    assert second["points"].tolist() == [[5, 6], [7, 8]] and second["labels"].tolist() == [True, False]
    assert "box" not in second


def test_a_mask_from_elsewhere_is_corrected_by_its_box():
    pointing = Pointing()
    fields = pointing.click(101, 7, 8, False, 30, BOX)
    assert fields["box"].tolist() == BOX.tolist() and fields["labels"].tolist() == [False]
    again = pointing.click(101, 9, 9, True, 31, BOX + 1)
    assert again["box"].tolist() == BOX.tolist() and len(again["points"]) == 2


def test_later_clicks_begin_anew():
    pointing = Pointing()
    pointing.click(1, 5, 6, True, 10, None)
    fields = pointing.click(1, 7, 8, True, 60, BOX)
    assert fields["box"].tolist() == BOX.tolist() and fields["points"].tolist() == [[7, 8]]
    pointing.forget(1)
    assert pointing.click(1, 7, 8, True, 61, None)["points"].tolist() == [[7, 8]]


def test_the_same_place_again_asks_for_the_next_thing_that_a_click_may_mean():
    pointing = Pointing()
    first, *others = (pointing.click(1, 50 + shift, 60, True, 10 + shift, None) for shift in range(4))
    assert "choice" not in first and [fields["choice"] for fields in others] == [1, 2, 0]
    assert all(fields["points"].tolist() == [[50, 60]] for fields in others)
    elsewhere = pointing.click(1, 90, 60, True, 14, BOX)
    assert "choice" not in elsewhere and elsewhere["points"].tolist() == [[50, 60], [90, 60]]
    assert "choice" not in pointing.click(1, 90, 60, True, 15, BOX)  # several clicks leave no choice


def test_objects_do_not_mix():
    pointing = Pointing()
    pointing.click(1, 5, 6, True, 10, None)
    assert len(pointing.click(2, 5, 6, True, 10, None)["points"]) == 1


def test_nothing_can_be_taken_off_what_is_not_seen():
    pointing = Pointing()
    with pytest.raises(InputError, match="object 3 is not seen in this picture"):
        pointing.click(3, 5, 6, False, 10, None)
    assert len(pointing.click(3, 5, 6, True, 10, None)["points"]) == 1  # the refused click is forgotten
