"""Times as people write them."""

import pytest

from streamvos.answers import clock


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0:00.0"), (5049, "0:05.0"), (59_960, "1:00.0"), (61_500, "1:01.5"), (3_600_000, "1:00:00.0")]
)
def test_clock(ms, text):
    assert clock(ms) == text
