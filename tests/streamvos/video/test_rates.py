import time
from fractions import Fraction

import pytest

from streamvos.errors import InputError
from streamvos.video.info import SourceConfig
from streamvos.video.rates import parse_rate, parse_time

NTSC = Fraction(1000, 1001)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", Fraction(24)),
        ("29.97", 30 * NTSC),
        ("29.970", 30 * NTSC),
        ("29,97", 30 * NTSC),
        ("29.97002997002997", 30 * NTSC),  # as OpenCV prints it
        ("23.976", 24 * NTSC),
        ("23.98", 24 * NTSC),
        ("23.976023976023978", 24 * NTSC),
        ("59.94", 60 * NTSC),
        ("59.94005994005994", 60 * NTSC),
        ("119.88", 120 * NTSC),
        ("30000/1001", 30 * NTSC),
        ("30000:1001", 30 * NTSC),
        ("2997/100", Fraction(2997, 100)),  # a ratio is meant as it stands
        ("33.333333333333336", Fraction(100, 3)),
        ("8.333333333333334", Fraction(25, 3)),
        ("12.5", Fraction(25, 2)),
        (" 25.00 ", Fraction(25)),
        ("14.9900149", None),
        ("1/3600", Fraction(1, 3600)),
        (".5", Fraction(1, 2)),
    ],
)
def test_rates_as_people_and_tools_write_them(text, rate):
    found = parse_rate(text)
    if rate is None:  # no simple fraction: near, and small enough for FFmpeg
        assert abs(found - Fraction(text)) < Fraction(1, 10**6) and found.numerator < 2**31
    else:
        assert found == rate


@pytest.mark.parametrize(
    "text",
    ["1e99999999", "9" * 99, "1" * 99 + "/3", "0", "-1", "", ".", "1/0", "inf", "nan", "fast", "²", "1.5.5", "1_000"],
)
def test_other_texts_are_refused_at_once(text):
    began = time.monotonic()
    with pytest.raises(InputError, match="expected a positive rate such as 24, 29.97 or 30000/1001") as caught:
        parse_rate(text)
    assert time.monotonic() - began < 1 and len(str(caught.value)) < 200


def test_settings_name_the_rate_that_is_wrong():
    with pytest.raises(InputError, match="rgbd_rate: expected a positive rate"):
        SourceConfig(rgbd_rate="1e99999999")


def test_rates_without_quotes():
    assert SourceConfig(image_rate=24).image_rate == "24"
    assert parse_rate(SourceConfig(image_rate=29.97).image_rate) == 30 * NTSC


def test_times_of_text_files():
    assert parse_time("1305031102.175304") == Fraction("1305031102.175304")
    assert parse_time("1.305031102175304000e+09") == Fraction("1305031102.175304")
    for text in ("1e99999999", "1" * 99, "nan", "", "1 2"):
        with pytest.raises(ValueError, match="expected seconds"):
            parse_time(text)
