"""What comes over a network: broken links, silent servers, cameras whose times and pictures are not what they seem."""

import io
import socket

import numpy as np
import pytest
from PIL import Image

from streamvos.errors import InputError
from streamvos.video.info import SourceConfig
from streamvos.video.sources import open_source

IMPATIENT = SourceConfig(open_timeout_s=1, read_timeout_s=1, reconnect_attempts=0)
PATIENT = SourceConfig(open_timeout_s=30, read_timeout_s=30, reconnect_attempts=0)


CONTAINERS = {
    "clip.mp4": {"flags": "faststart"},
    "fragments.mp4": {"flags": "frag_keyframe+empty_moov+default_base_moof"},
    "clip.mkv": {},
    "clip.ts": {"form": "mpegts"},
    "clip.avi": {},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_link_that_breaks_is_no_end(web, make_numbered, number, name):
    make_numbered(name, range(100), size=(192, 128), crf="5", **CONTAINERS[name])
    with open_source(web.url(name), config=PATIENT) as source:
        assert [number(frame.image) for frame in source] == list(range(100))
    assert source.warnings == [] and not source.info.is_live
    seen = []
    web.cut_at = 0.5
    with (
        pytest.raises(InputError, match=r"the link broke after \d+ frames .*go on with resume=True"),
        open_source(web.url(name), config=PATIENT) as source,
    ):
        seen += (number(frame.image) for frame in source)
    assert 20 < len(seen) < 80 and seen == list(range(len(seen)))
    with open_source(web.url(name), config=PATIENT, max_frames=10) as source:  # nobody wanted the rest
        assert len(list(source)) == 10
    web.cut_at = None
    with open_source(web.url(name), config=PATIENT, start_index=len(seen)) as source:
        assert [number(frame.image) for frame in source] == list(range(len(seen), 100))


def test_a_playlist_that_loses_its_end(web, tmp_path, make_numbered):
    for part in range(4):
        make_numbered(f"{part}.ts", range(50 * part, 50 * part + 50), form="mpegts")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for part in range(4):
        lines += ["#EXT-X-DISCONTINUITY", "#EXTINF:2.0,", f"{part}.ts"]
    (tmp_path / "list.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n")
    with open_source(web.url("list.m3u8"), config=PATIENT) as source:
        times = [frame.time_s for frame in source]
    assert times == pytest.approx([place / 25 for place in range(200)], abs=0.05)
    for part in (2, 3):
        (tmp_path / f"{part}.ts").unlink()
    with (
        pytest.raises(InputError, match="the link broke after"),
        open_source(web.url("list.m3u8"), config=PATIENT) as source,
    ):
        list(source)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_does_not_answer_is_told_so(scheme):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/cam"
        with pytest.raises(InputError, match=r"no answer in \d+ s"):
            open_source(url, config=IMPATIENT)


def jpeg(image: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=90)
    return data.getvalue()


def test_a_camera_without_times_keeps_the_wall_clock(camera, picture, number):
    server = camera([(0.1, jpeg(picture(index))) for index in range(30)])
    with open_source(server.url, config=PATIENT) as source:
        frames = [next(source) for _ in range(12)]
    assert source.info.is_live and source.info.rate is None and server.num_links == 1
    assert frames[0].time_s == 0
    first, last = (server.sent_s[number(frame.image)] for frame in (frames[0], frames[-1]))
    assert frames[-1].time_s == pytest.approx(last - first, abs=0.4)
    assert not any("its times" in text for text in source.warnings)


def test_what_is_wrong_with_pictures_is_told_once_for_each_kind(camera, picture):
    good = [(0.03, jpeg(picture(index))) for index in range(10)]
    cut = [(0.03, jpeg(picture(1))[: 2 * len(jpeg(picture(1))) // 3]) for _ in range(3)]
    holes = [(0.03, jpeg(picture(2))[:700] + bytes(150) + jpeg(picture(2))[850:])]
    large = [(0.03, jpeg(picture(index, 192, 128))) for index in range(4)]
    late = [(2.2, jpeg(picture(9)))]
    server = camera(good + cut + holes + large + good + late + good)
    with open_source(server.url, config=PATIENT) as source:
        for frame in source:
            assert frame.size == (64, 96)
            if any("pauses of" in text for text in source.warnings):
                break
    assert len(source.warnings) == 3
    assert any("4 damaged packets or pictures" in text for text in source.warnings)
    assert any("from 96x64 to 192x128" in text for text in source.warnings)
    assert any("pauses of 2 s or more between pictures: 1 found, the longest of 2." in text for text in source.warnings)


def test_a_camera_that_grows_beyond_the_limit_is_refused(camera, picture):
    server = camera(
        [(0.03, jpeg(picture(index, 96, 64) if index < 8 else picture(0, 1920, 1080))) for index in range(20)]
    )
    config = SourceConfig(open_timeout_s=30, read_timeout_s=30, max_pixels=96 * 64)
    with pytest.raises(InputError, match="max_pixels"), open_source(server.url, config=config) as source:
        for _ in range(30):
            assert next(source).size == (64, 96)


def test_a_camera_that_falls_silent_is_lost_and_says_why(camera, picture):
    server = camera([(0.05, jpeg(picture(index))) for index in range(5)])
    with pytest.raises(InputError, match="was lost"), open_source(server.url, config=IMPATIENT) as source:
        for _ in range(20):
            next(source)
    assert any("no answer in" in text for text in source.warnings)
