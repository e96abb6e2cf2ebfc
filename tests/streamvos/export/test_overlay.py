from fractions import Fraction

import av
import numpy as np
import pytest

from streamvos.export.overlay import OverlayWriter
from streamvos.video.info import SourceInfo

RUNS = {
    "a film": (Fraction(1, 12800), [place / 25 for place in range(20)]),
    "seven hours off": (
        Fraction(1, 90000),
        [*(place / 25 for place in range(8)), *(25_200 + p / 25 for p in range(8, 16))],
    ),
    "37 minutes off, microseconds": (Fraction(1, 1_000_000), [0, 0.033, 2220, 2220.04]),
    "twice off": (Fraction(1, 90000), [0, 0.04, 40_000, 40_000.04, 90_000, 90_000.04]),
    "one an hour": (Fraction(3600), [3600.0 * place for place in range(6)]),
    "one a day": (Fraction(86_400), [86_400.0 * place for place in range(4)]),
    "NTSC": (Fraction(1001, 30_000), [1001 * place / 30_000 for place in range(12)]),
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("segment_frames", [1500, 5], ids=["one segment", "several"])
def test_the_overlay_keeps_the_times_of_the_source(tmp_path, name, segment_frames):
    time_base, times = RUNS[name]
    rate = min(Fraction(25), 1 / time_base)
    info = SourceInfo("clip", "video", "clip.mp4", 64, 48, rate, None, None, False, time_base)
    overlay = OverlayWriter(tmp_path / "overlay.mp4", info, 23, "ultrafast", 1, segment_frames)
    for place, time_s in enumerate(times):
        overlay.write(np.full((48, 64, 3), 10 * place, np.uint8), time_s)
    overlay.end_segment()
    overlay.join()
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        shown = [(frame.time, int(frame.to_ndarray(format="rgb24").mean())) for frame in container.decode(video=0)]
    assert [time_s for time_s, _ in shown] == pytest.approx(times, abs=1e-4)
    assert [level for _, level in shown] == pytest.approx([10 * place for place in range(len(times))], abs=3)
