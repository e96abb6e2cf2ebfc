from __future__ import annotations

import http.server
import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from streamvos.errors import InputError
from streamvos.video.info import SourceConfig, SourceInfo
from streamvos.video.live import TIME_BASE, LiveSource, Picture
from streamvos.video.sources import open_source
from streamvos.video.urls import expand_environment, mask_secrets, name_of, scheme_of

FAST = SourceConfig(reconnect_first_s=0.01, reconnect_max_s=0.02, reconnect_attempts=3, open_timeout_s=2)


class FakeConnection:
    """Gives `num_pictures` pictures, `pause_s` apart, and is lost then."""

    size = (4, 6)
    rate = Fraction(25)

    def __init__(self, num_pictures: int, pause_s: float = 0.02, error: Exception | None = None) -> None:
        self._plan = (num_pictures, pause_s, error)
        self.is_closed = False

    def pictures(self):
        num_pictures, pause_s, error = self._plan
        for index in range(num_pictures):
            time.sleep(pause_s)
            yield Picture(index * 0.04, lambda size, index=index: np.full((*size, 3), index, np.uint8))
        if error is not None:
            raise error

    def close(self) -> None:
        self.is_closed = True


def live(connections: list, **options) -> LiveSource:
    """A source with these connections, one after the other; a string is a try that fails, as is the end."""

    def connect() -> FakeConnection:
        if not connections:
            raise InputError("gone")
        connection = connections.pop(0)
        if isinstance(connection, str):
            raise InputError(connection)
        return connection

    def describe(size, rate) -> SourceInfo:
        return SourceInfo("fake", "stream", "fake", size[1], size[0], rate, None, None, True, TIME_BASE)

    return LiveSource(connect, describe, FAST, **options)


def test_a_lost_link_is_opened_again_and_times_go_on():
    first, second = FakeConnection(3, error=OSError(5, "broken")), FakeConnection(3)
    with live([first, "not yet", second], max_frames=6) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5]
    times = [frame.time_s for frame in frames]
    assert times == sorted(set(times)) and times[0] == 0 and times[3] < 2
    assert first.is_closed
    assert any("lost (broken)" in text for text in source.warnings)
    assert any("reconnected" in text for text in source.warnings)


def test_a_source_that_does_not_come_back_ends_with_an_error():
    source = live([FakeConnection(2)])
    assert next(source).index == 0 and next(source).index == 1
    with pytest.raises(InputError, match="did not return in 3 tries"):
        next(source)
    source.close()


def test_the_first_connection_must_work():
    with pytest.raises(InputError, match="refused"):
        live(["refused"])


def test_the_newest_picture_wins_and_drops_are_counted():
    with live([FakeConnection(20, pause_s=0.005)], max_frames=2) as source:
        next(source)
        source._thread.join()
        late = next(source)
    assert late.index == 1
    assert int(late.image[0, 0, 0]) == 19
    assert source.num_dropped == 18


def test_closing_wakes_a_reader_that_waits():
    source = live([FakeConnection(5, pause_s=10)])
    threading.Timer(0.1, source._slot.close).start()
    assert next(source, None) is None


def test_a_run_that_goes_on_numbers_from_where_it_was():
    with live([FakeConnection(3)], start_index=7, start_time_s=4.0, max_frames=9) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == [7, 8] and frames[0].time_s == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("rtsp://user:p@ss@host:554/live", "rtsp://***@host:554/live"),
        ("http://host/a.m3u8?token=abc&user=x#frag", "http://host/a.m3u8?token=***&user=***#***"),
        ("rtsp://host/plain", "rtsp://host/plain"),
        ("https://user@host/", "https://***@host/"),
    ],
    ids=["password", "query", "plain", "user"],
)
def test_secrets_are_masked(url, masked):
    assert mask_secrets(url) == masked


@pytest.mark.parametrize(
    "spec",
    [
        "file:///etc/passwd",
        "concat:a.mp4|b.mp4",
        "FILE:x",
        "subfile,,start,0,end,9,,:x",
        "ftp://host/x",
        "data:x",
    ],
)
def test_other_protocols_are_refused(spec):
    with pytest.raises(InputError):
        open_source(spec)


def test_schemes():
    assert scheme_of("RTSP://host/x") == "rtsp" and scheme_of("/a/b.mp4") is None
    assert scheme_of("C:\\clips\\a.mp4") is None
    with pytest.raises(InputError, match="allowed: http, https, rtsp, rtsps.*by its path alone"):
        scheme_of("file:a.mp4")
    with pytest.raises(InputError, match="expected a host"):
        scheme_of("http:///x")


def test_environment_in_urls(monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", "secret")
    assert expand_environment("rtsp://me:${CAMERA_PASSWORD}@host/") == "rtsp://me:secret@host/"
    with pytest.raises(InputError, match="NOT_SET is not set"):
        expand_environment("rtsp://me:${NOT_SET}@host/")
    assert name_of("rtsp://me:secret@cam.local:554/live.m3u8?token=1") == "cam.local_live"


def test_errors_show_no_secret(caplog):
    caplog.set_level("DEBUG")
    with pytest.raises(InputError, match=r"rtsp://\*\*\*@127.0.0.1") as caught:
        open_source("rtsp://me:secret@127.0.0.1:9/x?token=hidden", config=FAST)
    assert "secret" not in str(caught.value) + caplog.text and "hidden" not in str(caught.value) + caplog.text


@pytest.fixture
def server(tmp_path):
    """A web server on the loopback that serves tmp_path; .ts files as an endless stream, without a length."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def do_GET(self) -> None:
            if not self.path.endswith(".ts"):
                return super().do_GET()
            self.send_response(200)
            self.end_headers()
            self.wfile.write((tmp_path / self.path.lstrip("/")).read_bytes())

        def log_message(self, *_) -> None:
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}"
    web.shutdown()
    web.server_close()


def test_a_finite_video_behind_http_is_read_whole(server, make_video):
    make_video("clip.mp4", num_frames=12, flags="faststart")
    with open_source(f"{server}/clip.mp4?token=abc") as source:
        assert [frame.index for frame in source] == list(range(12))
    assert source.info.kind == "video" and not source.info.is_live
    assert "abc" not in source.info.location


def test_a_stream_without_length_is_live_and_reconnects(server, make_video):
    make_video("cam.ts", num_frames=25, time_base=Fraction(1, 90000))
    with open_source(f"{server}/cam.ts", config=FAST, max_frames=3) as source:
        frames = list(source)
    assert source.info.is_live and [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].time_s < frames[1].time_s < frames[2].time_s


def test_a_playlist_from_the_network_cannot_read_local_files(server, tmp_path, make_video):
    clip = make_video("private.ts", num_frames=5, time_base=Fraction(1, 90000))
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1.0,", f"file://{clip}", "#EXT-X-ENDLIST"]
    (tmp_path / "list.m3u8").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="cannot be opened|no frame|no video"):
        open_source(f"{server}/list.m3u8", config=FAST)


def test_a_missing_page_is_one_clear_line(server):
    with pytest.raises(InputError, match="cannot be opened.*404|cannot be opened.*Not Found"):
        open_source(f"{server}/none.mp4", config=FAST)


def test_a_missing_camera_is_one_clear_line(capfd):
    with pytest.raises(InputError, match="camera 99 cannot be opened"):
        open_source("99")
    assert capfd.readouterr().err == ""
