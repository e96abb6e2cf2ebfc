from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from apps.live.gate import Gate


def taken_in_a_thread(gate: Gate, taken: list[int]) -> threading.Thread:
    thread = threading.Thread(target=lambda: taken.extend(frame.index for frame in gate), daemon=True)
    thread.start()
    return thread


def test_closed_it_lets_nothing_through_and_steps_let_one(clip, images, wait_for):
    gate, taken = Gate(clip(images)), []
    thread = taken_in_a_thread(gate, taken)
    time.sleep(0.05)
    assert taken == [] and not gate.is_playing
    gate.advance()
    wait_for(lambda: taken == [0])
    gate.advance()
    gate.advance()
    wait_for(lambda: taken == [0, 1, 2])
    time.sleep(0.05)
    assert taken == [0, 1, 2]
    gate.play()
    thread.join(10)
    assert taken == list(range(len(images)))


def test_a_look_takes_nothing(clip, images):
    gate = Gate(clip(images), playing=True)
    assert gate.look().index == 0 and gate.look().index == 0
    assert next(gate).index == 0 and next(gate).index == 1


def test_stop_ends_it_while_someone_waits(clip, images):
    gate, taken = Gate(clip(images)), []
    thread = taken_in_a_thread(gate, taken)
    gate.stop()
    thread.join(10)
    assert not thread.is_alive() and taken == [] and gate.is_stopped


@pytest.mark.parametrize("how", ["pause", "stop"])
def test_pause_and_stop_reach_a_frame_that_waits_for_its_time(clip, images, how, wait_for):
    class Slow(clip):
        def __next__(self) -> Any:
            frame = super().__next__()
            object.__setattr__(frame, "time_s", 1000.0 * frame.index)
            return frame

    gate, taken = Gate(Slow(images), playing=True), []
    thread = taken_in_a_thread(gate, taken)
    wait_for(lambda: taken == [0])
    getattr(gate, how)()
    if how == "pause":
        gate.advance()
        wait_for(lambda: taken == [0, 1])  # a step does not wait for the frame's time
        gate.stop()
    thread.join(10)
    assert not thread.is_alive() and taken == ([0, 1] if how == "pause" else [0])


def test_a_file_plays_no_faster_than_it_was_filmed(clip, images):
    class Timed(clip):
        def __next__(self) -> Any:
            frame = super().__next__()
            object.__setattr__(frame, "time_s", 0.03 * frame.index)
            return frame

    began = time.monotonic()
    assert len(list(Gate(Timed(images), playing=True))) == len(images)
    assert time.monotonic() - began >= 0.03 * (len(images) - 1) - 1e-3


def test_a_live_source_is_not_held_back_and_is_closed_by_stop(clip, images):
    source = clip(images, live=True)
    gate = Gate(source, playing=True)
    assert next(gate).index == 0
    gate.stop()
    assert source.is_closed
