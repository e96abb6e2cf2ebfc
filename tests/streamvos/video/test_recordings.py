"""Files whose times, counts or parts are not what they seem."""

from pathlib import Path

import av
import pytest

from streamvos.video.sources import open_source

HOURS_7 = 7 * 3600 * 90_000
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"


def read(path, number):
    with open_source(path) as source:
        frames = list(source)
    numbers = [number(frame.image) for frame in frames]
    return source, numbers, [round(frame.time_s, 4) for frame in frames]


def regular(count, start=0):
    return [round((start + place) / 25, 4) for place in range(count)]


def shift_stamps(path: Path, frames: range, ticks: int) -> Path:
    """Add ticks to the time stamps of some frames of an MPEG-TS (ISO 13818-1, 2.4.3.6)."""
    data, index = bytearray(path.read_bytes()), -1
    for at in range(0, len(data), 188):
        packet = data[at : at + 188]
        start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
        if not packet[1] & 0x40 or bytes(packet[start : start + 3]) != b"\0\0\1" or packet[start + 3] >> 4 != 0xE:
            continue
        index += 1
        if index not in frames:
            continue
        for place in range(start + 9, start + (19 if packet[start + 7] >> 6 == 3 else 14), 5):
            b = packet[place : place + 5]
            stamp = (b[0] >> 1 & 7) << 30 | b[1] << 22 | b[2] >> 1 << 15 | b[3] << 7 | b[4] >> 1
            stamp = (stamp + ticks) % 2**33
            high, middle, low = stamp >> 30, stamp >> 15 & 0x7FFF, stamp & 0x7FFF
            marked = bytes([b[0] & 0xF0 | high << 1 | 1]) + (middle << 1 | 1).to_bytes(2) + (low << 1 | 1).to_bytes(2)
            data[at + place : at + place + 5] = marked
    path.write_bytes(data)
    return path


def test_a_pause_of_hours_is_kept_and_told(make_numbered, number):
    path = shift_stamps(make_numbered("gap.ts", range(40), form="mpegts"), range(20, 10_000), HOURS_7)
    source, numbers, times = read(path, number)
    assert numbers == list(range(40))
    assert times == regular(20) + [round(25_200 + time_s, 4) for time_s in regular(20, 20)]
    assert "longest of 25200 s after frame 19" in source.warnings[0]


@pytest.mark.parametrize("ticks", [3 * 3600 * 90_000, -40_000, 9_000, 2**32 + 77], ids=["hours", "back", "near", "far"])
@pytest.mark.parametrize("at", [0, 17])
def test_one_bad_time_stamp(make_numbered, number, at, ticks):
    path = shift_stamps(make_numbered("bad.ts", range(40), form="mpegts", bf="3"), range(at, at + 1), ticks)
    source, numbers, times = read(path, number)
    assert numbers == list(range(40))
    assert times[-1] == pytest.approx(39 / 25, abs=0.5) and times == sorted(set(times))
    if at:
        assert times == pytest.approx(regular(40), abs=0.04)
        assert "times make no sense" in source.warnings[0]


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("ts", {"form": "mpegts"}), ("mkv", {}), ("avi", {}), ("mp4", {"flags": FRAGMENTS, "g": "5"})],
    ids=["ts", "mkv", "avi", "fragments"],
)
def test_joined_recordings_lose_no_frame(tmp_path, make_numbered, number, suffix, options):
    first = make_numbered(f"a.{suffix}", range(20), **options).read_bytes()
    second = make_numbered(f"b.{suffix}", range(20, 35), **options).read_bytes()
    path = tmp_path / f"both.{suffix}"
    path.write_bytes(first + second)
    source, numbers, times = read(path, number)
    assert numbers == list(range(35)) and times == regular(35)
    if suffix != "avi":  # whose frames are only counted
        assert any("its times begin again at 1 places" in text for text in source.warnings)


def test_a_recorder_that_was_started_anew_loses_no_frame(tmp_path, make_numbered, number, mp4_boxes):
    first = make_numbered("a.mp4", range(20), flags=FRAGMENTS, g="5").read_bytes()
    second = make_numbered("b.mp4", range(20, 40), flags=FRAGMENTS, g="5").read_bytes()
    fragments = next(at for kind, at, _ in mp4_boxes(second) if kind == b"moof")
    (tmp_path / "both.mp4").write_bytes(first + second[fragments:])
    source, numbers, times = read(tmp_path / "both.mp4", number)
    assert numbers == list(range(40)) and times == regular(40)
    assert "begin again" in source.warnings[0] and len(source.warnings) == 1


@pytest.mark.parametrize(("suffix", "lost"), [("mp4", "15 frames"), ("flv", "some frames")])
def test_joined_recordings_that_cannot_be_read_are_told_with_their_count(tmp_path, make_numbered, number, suffix, lost):
    first = make_numbered(f"a.{suffix}", range(20)).read_bytes()
    path = tmp_path / f"both.{suffix}"
    path.write_bytes(first + make_numbered(f"b.{suffix}", range(20, 35)).read_bytes())
    source, numbers, _ = read(path, number)
    assert numbers == list(range(20))
    assert f"{lost}" in source.warnings[0] and "ffmpeg -f concat" in source.warnings[0]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("b.avi", {"bf": "3", "preset": "medium", "g": "12"}),
        ("asp.avi", {"codec": "mpeg4", "bf": "2", "g": "12"}),
        ("b.mov", {"bf": "3", "preset": "medium"}),
        ("b.flv", {"bf": "3", "preset": "medium"}),
        ("b.mpg", {"codec": "mpeg2video", "bf": "2", "g": "12"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_frames_that_are_coded_out_of_order(make_numbered, number, name, options):
    source, numbers, times = read(make_numbered(name, range(30), **options), number)
    assert numbers == list(range(30)) and times == regular(30) and source.warnings == []


def test_a_container_without_times_of_showing(make_numbered, number):
    path = make_numbered("b.mp4", range(30), bf="3", preset="medium")
    data = bytearray(path.read_bytes())
    for kind in (b"ctts", b"edts"):
        at = data.index(kind)
        data[at : at + 4] = b"free"
    path.write_bytes(data)
    source, numbers, times = read(path, number)
    assert numbers == list(range(30)) and times == regular(30)


@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_frames_that_an_edit_list_hides_are_not_announced(tmp_path, make_numbered, number, b_frames):
    source_path = make_numbered("whole.mp4", range(30), g="300", bf=b_frames, preset="medium")
    path = tmp_path / "trimmed.mp4"
    with av.open(str(source_path)) as whole, av.open(str(path), "w") as cut:
        stream = whole.streams.video[0]
        output = cut.add_stream_from_template(stream)
        output.time_base = stream.time_base
        for packet in whole.demux(stream):
            if packet.dts is not None:
                lead = 12 * round(1 / (25 * packet.time_base))
                packet.pts, packet.dts, packet.stream = packet.pts - lead, packet.dts - lead, output
                cut.mux(packet)
    source, numbers, times = read(path, number)
    assert numbers == list(range(12, 30)) and times == regular(18)
    assert source.info.num_frames == 18 and source.warnings == []


@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_an_end_that_an_edit_list_cuts_off_is_not_announced(make_numbered, number, b_frames):
    path = make_numbered("clip.mp4", range(30), bf=b_frames, preset="medium")
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    data[at : at + 4] = (600).to_bytes(4, "big")  # milliseconds of 1200
    path.write_bytes(data)
    source, numbers, times = read(path, number)
    assert numbers == list(range(15)) and times == regular(15)
    assert source.info.num_frames == 15 and source.warnings == []


def test_a_raw_stream_is_read_at_a_rate_that_is_told(make_numbered, number):
    source, numbers, times = read(make_numbered("raw.h264", range(12), form="h264", bf="2"), number)
    assert numbers == list(range(12)) and times == regular(12)
    assert "holds no times; 25 frames a second are assumed" in source.warnings[0]
