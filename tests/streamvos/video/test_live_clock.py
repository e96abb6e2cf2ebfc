import itertools
import re
from fractions import Fraction

import pytest

from streamvos.video.live_clock import LiveClock

BURST = 8  # pictures that were read while the connection was opened, and come at once


def run(source_times, opened_s=0.8, step_s=0.1, arrivals=None, **connect):
    """Times that a clock gives pictures of a camera which takes one each `step_s`."""
    clock = LiveClock(0.0, Fraction(10))
    clock.connect(100.0, **connect)
    times = []
    for place, source_s in enumerate(source_times):
        arrival = max(opened_s, place * step_s) if arrivals is None else arrivals[place]
        times.append(clock.time_s(source_s, 100.0 + arrival))
    return clock, times


def steady(count=100):
    return [round(place * 0.1, 3) for place in range(count)]


def test_a_good_clock_is_followed_exactly():
    clock, times = run([7.0 + tick for tick in steady()])
    assert times == pytest.approx(steady()) and clock.fault is None


def test_the_first_pictures_of_rtsp_have_no_time():
    clock, times = run([None, *steady()[1:]])
    assert times == pytest.approx(steady()) and clock.fault is None


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ([0.0] * 100, "stand still"),
        ([place * 0.1 / 90 for place in range(100)], "fall .* behind the clock"),  # milliseconds called 90 kHz
        ([place * 0.04 for place in range(100)], "fall .* behind the clock"),  # 10 a second, stamped as 25
        ([place * 0.1 + (10_800 if place >= 15 else 0) for place in range(100)], "run 1079.* s ahead|run 10800"),
        ([place * 0.1 - (10_800 if place >= 15 else 0) for place in range(100)], "leap back by 1079"),
        ([place * 0.5 for place in range(100)], "ahead of the clock"),
        ([place * 9.0 for place in range(100)], "ahead of the clock"),
    ],
    ids=["zero", "milliseconds", "25 a second", "hours ahead", "hours back", "fast", "very fast"],
)
def test_a_clock_that_leaves_the_wall_clock_is_not_believed(source, fault):
    clock, times = run(source)
    assert clock.fault is not None
    assert re.search(fault, clock.fault)
    assert times[-1] == pytest.approx(9.9, abs=6)
    if "ahead" not in fault or "run" in fault:
        assert times[-1] == pytest.approx(9.9, abs=1.2)
    assert all(earlier <= later for earlier, later in itertools.pairwise(times))


def test_pictures_without_times_take_those_of_arrival():
    clock, times = run([None] * 100)
    assert times[0] == 0 and times[50] == pytest.approx(5.0) and times[-1] == pytest.approx(9.9)
    assert clock.fault is None


def test_what_a_network_delays_comes_after_it():
    arrivals = [max(0.8, place * 0.1) for place in range(100)]
    for place in range(30, 60):  # nothing for three seconds, then all that was sent meanwhile
        arrivals[place] = 6.0 + place * 0.001
    clock, times = run(steady(), arrivals=arrivals)
    assert times == pytest.approx(steady()) and clock.fault is None


def test_a_server_that_begins_with_the_last_seconds():
    arrivals = [max(0.2 + place * 0.004, place * 0.1 - 3.0) for place in range(100)]
    clock, times = run(steady(), arrivals=arrivals)
    assert times == pytest.approx(steady()) and clock.fault is None


def test_a_playlist_comes_a_piece_at_a_time():
    arrivals = [0.5 + (place // 60) * 6.0 + place % 60 * 0.004 for place in range(600)]
    clock, times = run(steady(600), arrivals=arrivals, tolerance_s=60.0)
    assert times == pytest.approx(steady(600)) and clock.fault is None


def test_times_go_on_with_the_wall_clock_after_a_lost_link():
    clock, _ = run(steady(20))
    clock.connect(105.0)
    times = [clock.time_s(place * 0.1, 105.2 + place * 0.1) for place in range(20)]
    assert times[0] == pytest.approx(5.2, abs=0.01) and times[-1] == pytest.approx(7.1, abs=0.01)
