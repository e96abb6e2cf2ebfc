from dataclasses import dataclass
from fractions import Fraction

import pytest

from streamvos.video.clocks import Clock

BASE = Fraction(1, 1000)


@dataclass
class Stamps:
    pts: int | None
    dts: int | None = None


def run(stamps, rate=25, **options):
    clock = Clock(BASE, Fraction(rate), **options)
    frames = [one if isinstance(one, Stamps) else Stamps(one) for one in stamps]
    return clock, [round(time_s * 1000) for _, time_s in clock.timed(frames)]


STEADY = list(range(0, 800, 40))


def test_what_is_right_stays_as_it_is():
    ticks = [0, 40, 80, 2000, 2001, 2002, 9000, 100_000]
    clock, times = run([500 + tick for tick in ticks])
    assert times == ticks
    assert (clock.num_mended, clock.num_restarts, clock.num_missing, clock.pauses) == (0, 0, 0, [])


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("offset", [10_800_000, -700, 10_800_000 - 77, -5_000_000], ids=["hours", "back", "odd", "far"])
def test_a_few_bad_stamps_do_not_move_the_others(offset, count):
    stamps = [tick + offset if 8 <= place < 8 + count else tick for place, tick in enumerate(STEADY)]
    clock, times = run(stamps)
    assert times == pytest.approx(STEADY, abs=40 * count) and times == sorted(set(times))
    assert times[:8] == STEADY[:8] and times[8 + count :] == STEADY[8 + count :]
    assert clock.num_mended == count and clock.num_restarts == 0


@pytest.mark.parametrize("place", [0, 19], ids=["first", "last"])
def test_a_bad_stamp_at_an_end(place):
    stamps = [tick + (900_000 if at == place else 0) for at, tick in enumerate(STEADY)]
    clock, times = run(stamps)
    if place == 0:
        assert times == [0, *(tick for tick in STEADY[1:])] and clock.num_mended == 1
    else:  # nobody can know: it may be a pause
        assert times[:-1] == STEADY[:-1]


def test_doubled_stamps_get_places_between():
    clock, times = run([0, 0, 80, 80, 160, 160, 240, 240])
    assert times == [0, 40, 80, 120, 160, 200, 240, 280] and clock.num_mended == 4


def test_frames_without_stamps_follow_at_the_nominal_rate():
    clock, times = run([None, None, 80, 120, None, 200])
    assert times == [0, 40, 80, 120, 160, 200] and clock.num_missing == 3


@pytest.mark.parametrize("pieces", [(20, 20), (20, 5, 15), (3, 30, 3)], ids=str)
def test_joined_recordings_lose_no_time(pieces):
    stamps = [tick for count in pieces for tick in STEADY[:1] + [40 * place for place in range(1, count)]]
    clock, times = run(stamps)
    assert times == [40 * place for place in range(sum(pieces))]
    assert clock.num_restarts + clock.num_mended >= 1


def test_a_later_recording_keeps_its_distance():
    clock, times = run([*STEADY, *(5_000_000 + tick for tick in STEADY)])
    assert times[20] == 5_000_000 and times[-1] == 5_000_760
    assert clock.pauses == [(19, pytest.approx(4999.24))]


def test_pictures_an_hour_apart_are_no_pauses():
    clock, times = run(range(0, 36_000_000, 3_600_000), rate=Fraction(1, 3600))
    assert times == list(range(0, 36_000_000, 3_600_000)) and clock.pauses == []


def test_stamps_that_wrap_go_back_instead_of_days_ahead():
    wrap = 2**33
    clock, times = run([900_000, wrap, wrap + 40, wrap + 80, wrap + 120], wrap_ticks=wrap)
    assert times == [0, 40, 80, 120, 160] and clock.num_mended == 1


def test_times_of_decoding():
    frames = [Stamps(pts, dts) for pts, dts in [(1, 2), (5, 3), (4, 4), (9, 5), (8, None)]]
    clock = Clock(Fraction(1, 25), Fraction(25), by_dts=True)
    assert [time_s for _, time_s in clock.timed(frames)] == [0, 0.04, 0.08, 0.12, 0.16]


def test_an_error_comes_after_the_frames_before_it():
    def frames():
        yield from map(Stamps, [0, 40, 80])
        raise OSError("gone")

    seen = []
    with pytest.raises(OSError, match="gone"):
        seen += Clock(BASE, Fraction(25)).timed(frames())
    timed = Clock(BASE, Fraction(25)).timed(frames())
    assert [next(timed)[1] for _ in range(3)] == [0, 0.04, 0.08]
    with pytest.raises(OSError, match="gone"):
        next(timed)
