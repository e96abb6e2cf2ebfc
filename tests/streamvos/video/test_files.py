from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from streamvos.errors import InputError
from streamvos.sample import sample_path
from streamvos.video.decode import Decoder
from streamvos.video.info import SourceConfig
from streamvos.video.random_access import RandomAccessVideo
from streamvos.video.sources import open_source


def level(index: int) -> int:
    return 20 + 4 * (index % 50)


def left(image: np.ndarray) -> float:
    return float(image[:, : image.shape[1] // 4].mean())


def test_constant_rate_gives_exact_times_and_all_frames(make_video):
    path = make_video(num_frames=30, rate=Fraction(30000, 1001), time_base=Fraction(1, 30000))
    with open_source(path) as source:
        frames = list(source)
    assert source.info.rate == Fraction(30000, 1001)
    assert (source.info.width, source.info.height, source.info.num_frames) == (64, 48, 30)
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == [float(Fraction(index * 1001, 30000)) for index in range(30)]
    for frame in frames:
        assert left(frame.image) == pytest.approx(level(frame.index), abs=3)
    assert source.warnings == []


def test_variable_rate_is_kept(make_video):
    ticks = [0, 512, 700, 3000, 3001, 9000]
    with open_source(make_video(num_frames=6, ticks=ticks)) as source:
        assert [frame.time_s for frame in source] == [tick / 12800 for tick in ticks]


def test_times_begin_at_zero_where_the_container_begins_later(make_video):
    ticks = [90000 + 3600 * index for index in range(5)]
    path = make_video("late.ts", num_frames=5, time_base=Fraction(1, 90000), ticks=ticks)
    with av.open(str(path)) as container:
        assert container.streams.video[0].start_time > 0
    with open_source(path) as source:
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16], abs=1e-4)
    assert source.warnings == []  # an estimate of the number of frames is no reason to suspect damage


def test_start_index_and_max_frames_continue_a_full_run(make_video):
    path = make_video(num_frames=20)
    with open_source(path) as source:
        whole = list(source)
    with open_source(path, start_index=7, max_frames=12) as source:
        part = list(source)
    assert [frame.index for frame in part] == [7, 8, 9, 10, 11]
    for frame in part:
        assert frame.time_s == whole[frame.index].time_s
        np.testing.assert_array_equal(frame.image, whole[frame.index].image)


@pytest.mark.parametrize("size", [(47, 63), (1, 1), (49, 64)], ids=str)
def test_odd_sizes(make_video, size):
    with open_source(make_video(num_frames=3, size=size, pix_fmt="yuv444p")) as source:
        assert [frame.size for frame in source] == [size] * 3


def test_one_frame(make_video):
    with open_source(make_video(num_frames=1)) as source:
        assert [frame.index for frame in source] == [0]


QUARTERS = {  # display matrices as cameras write them, and what they do to the picture
    "clockwise": ((0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000), -1),
    "half": ((-0x10000, 0, 0, 0, -0x10000, 0, 0, 0, 0x40000000), 2),
    "counter-clockwise": ((0, -0x10000, 0, 0x10000, 0, 0, 0, 0, 0x40000000), 1),
}


@pytest.mark.parametrize("quarter", QUARTERS)
def test_rotation_of_the_container_is_applied(make_video, quarter):
    path = make_video(num_frames=2)
    with open_source(path) as source:
        stored = next(source).image
    matrix, turns = QUARTERS[quarter]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    with open_source(path) as source:
        frame = next(source)
    np.testing.assert_array_equal(frame.image, np.rot90(stored, turns))
    assert frame.size == (source.info.height, source.info.width)


def test_a_file_cut_short_without_index_is_refused(make_video):
    path = make_video(num_frames=30)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="cannot be read as a video.*cut short"):
        open_source(path)


def test_a_file_cut_short_behind_its_index_gives_what_is_there(make_video):
    path = make_video(num_frames=40, size=(96, 128), flags="faststart", interval=5)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    path.write_bytes(data[: data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2])
    with open_source(path) as source:
        frames = list(source)
    assert 5 < len(frames) < 40
    assert [frame.index for frame in frames] == list(range(len(frames)))
    for frame in frames[:-2]:
        assert left(frame.image) == pytest.approx(level(frame.index), abs=4)
    assert any("truncated" in text or "ends early" in text for text in source.warnings)


def test_damaged_packets_are_skipped_and_counted(make_video):
    path = make_video(num_frames=40, flags="faststart", interval=5)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[at : at + 400] = b"\xff" * 400
    path.write_bytes(data)
    with open_source(path) as source:
        frames = list(source)
    assert len(frames) >= 20
    times = [frame.time_s for frame in frames]
    assert times == sorted(set(times))
    assert any("damaged" in text or "could be decoded" in text for text in source.warnings)


def text_file(folder: Path) -> Path:
    path = folder / "notes.mp4"
    path.write_text("these are not the frames you are looking for\n" * 50)
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def sound_only(folder: Path) -> Path:
    path = folder / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    return path


def no_frames(folder: Path) -> Path:
    path = folder / "none.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path


BAD = {
    "missing": (lambda folder: folder / "nothing.mp4", "does not exist"),
    "text": (text_file, "cannot be read as a video"),
    "empty": (empty_file, r"empty \(0 bytes\)"),
    "sound": (sound_only, "no video stream"),
    "zero frames": (no_frames, "no frame could be decoded|no video stream|cannot be read"),
    "device": (lambda folder: Path("/dev/null"), "not a file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_end_with_one_clear_line(tmp_path, case):
    make, message = BAD[case]
    path = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        open_source(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"max_frames": 0}, "max_frames"), ({"start_index": -1}, "start_index")],
    ids=["max_frames", "start_index"],
)
def test_bad_arguments(make_video, arguments, message):
    with pytest.raises(InputError, match=message):
        open_source(make_video(), **arguments)


def test_sample_is_found_by_name():
    with open_source("sample:bikes", max_frames=2) as source:
        assert source.info.name == "bikes" and len(list(source)) == 2
    assert sample_path("bikes").is_file()
    with pytest.raises(InputError, match="did you mean 'bikes'"):
        open_source("sample:bike")


def test_random_access_reads_the_same_pictures(make_video):
    path = make_video(num_frames=30)
    video = RandomAccessVideo(path)
    with open_source(path) as source:
        frames = list(source)
    assert len(video) == 30
    for index in (17, 3, 29, -1):
        assert np.abs(video[index].astype(int) - frames[index].image).max() <= 3
    assert video.time_s(10) == pytest.approx(frames[10].time_s)
    with pytest.raises(IndexError, match="the video has 30"):
        video[30]
    with pytest.raises(InputError, match="does not exist"):
        RandomAccessVideo(path.with_name("no.mp4"))


def test_closing_early_stops_the_reader_and_iterating_again_is_the_end(make_video):
    source = open_source(make_video(num_frames=50), config=SourceConfig(prefetch_frames=2))
    next(source)
    source.close()
    source.close()
    assert next(source, None) is None


def test_real_clips(data_dir):
    for path in sorted((data_dir / "videos").glob("*.mp4"))[:2]:
        with open_source(path, max_frames=10) as source:
            frames = list(source)
        assert len(frames) == 10 and frames[0].size == (720, 1280)
        assert frames[9].time_s == pytest.approx(9 / float(source.info.rate), abs=1e-6)


def test_containers_keep_a_playlist_from_opening_other_files(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(sample_path("bikes").read_bytes())
    playlist = tmp_path / "list.ffconcat"
    playlist.write_text("ffconcat version 1.0\nfile clip.mp4\n")
    with open_source(playlist) as source:
        assert next(source).size == (272, 640)
    only = SourceConfig(containers="mov,mp4,matroska,webm")
    with open_source(clip, config=only) as source:
        assert next(source).size == (272, 640)
    with pytest.raises(InputError, match="cannot be read as a video"):
        open_source(playlist, config=only)


@pytest.mark.parametrize("error", [av.error.MemoryError, av.error.BlockingIOError])
def test_want_of_memory_is_not_taken_for_a_damaged_packet(error):
    def decode(packet: object) -> list:
        raise error(11, "Resource temporarily unavailable")

    packet = SimpleNamespace(is_corrupt=False, is_discard=False, size=1, pos=None)
    container = SimpleNamespace(demux=lambda stream: iter([packet]))
    codec = SimpleNamespace(name="h264", sample_aspect_ratio=None, decode=decode, options={})
    stream = SimpleNamespace(codec_context=codec, sample_aspect_ratio=None)
    with pytest.raises(MemoryError, match="no memory, or no thread, to decode with"):
        list(Decoder(container, stream, "clip", SourceConfig()))
