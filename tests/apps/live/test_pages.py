from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from apps.live import pages as module
from apps.live.history import encode_jpeg
from apps.live.pages import Page, Pages
from apps.settings import DemoConfig, RunConfig, read_config
from streamvos.errors import InputError


@pytest.fixture
def make_pages(small_graph) -> Iterator[Callable[..., Pages]]:
    made: list[Pages] = []

    def make(**limits) -> Pages:
        made.append(Pages(RunConfig(small_graph), DemoConfig(**limits)))
        return made[-1]

    yield make
    for pages in made:
        pages.close()


async def send(page: Page, path: Path, name: str | None = None) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield path.read_bytes()
        yield b""

    await page.uploads.receive(name or path.name, path.stat().st_size, body())


def upload(page: Page, path: Path, name: str | None = None) -> None:
    """Send a file to a page, and open it."""
    asyncio.run(send(page, path, name))
    page.open_upload(False, [])


def notice_of(page: Page, wait_for) -> str:
    wait_for(lambda: page.player.state == "failed")
    return page.player.report()["notice"]


def test_tokens_cannot_be_guessed_and_pages_are_bounded(make_pages):
    pages = make_pages(max_pages=3)
    tokens = {pages.new().token for _ in range(3)}
    assert len(tokens) == 3 and min(map(len, tokens)) >= 32
    with pytest.raises(InputError, match="3 pages are open, which is the most"):
        pages.new()
    with pytest.raises(InputError, match="load the page again"):
        pages.get("guess")


def test_each_page_has_its_own_video(make_pages, wait_for):
    pages = make_pages()
    one, other = pages.new(), pages.new()
    one.open_sample("bikes", False, [])
    other.open_sample("carphone", False, [])
    for page in (one, other):
        wait_for(lambda page=page: page.player.state == "ready")
    assert one.player.report()["source"]["name"] == "bikes"
    assert other.player.report()["source"]["name"] == "carphone_pristine"
    assert one.player.folder != other.player.folder


def test_samples_look_for_what_they_show_unless_told_otherwise(make_pages, wait_for):
    page = make_pages().new()
    for asked, looked_for in (([], ["person", "bicycle", "car"]), (["bus"], ["bus"])):
        page.open_sample("bikes", False, asked)
        wait_for(lambda: page.player.state == "ready")
        assert list(page.player._run.graph.detect.classes) == looked_for


def test_videos_are_bounded_and_a_page_that_was_left_makes_room(make_pages):
    pages = make_pages(max_sessions=1)
    one, other = pages.new(), pages.new()
    one.num_connections = 1
    one.open_sample("bikes", False, [])
    one.open_sample("carphone", False, [])  # takes the place of its own
    with pytest.raises(InputError, match="all 1 places are taken"):
        other.open_sample("bikes", False, [])
    one.num_connections, one.gone_since = 0, time.monotonic()  # its connection is lost, it may come back
    with pytest.raises(InputError, match="all 1 places are taken"):
        other.open_sample("bikes", False, [])
    one.gone_since -= 60
    other.open_sample("bikes", False, [])
    assert one.player is None and len(pages) == 1
    with pytest.raises(InputError, match="away for too long"):
        one.open_sample("bikes", False, [])


def test_everything_of_a_page_that_is_gone_is_removed(make_pages, wait_for):
    pages = make_pages(idle_s=0.05)
    gone, here = pages.new(), pages.new()
    here.num_connections = gone.num_connections = 1
    for page in (gone, here):
        page.open_sample("bikes", False, [])
        wait_for(lambda page=page: page.player.state == "ready")
        page.player.advance()
        wait_for(lambda page=page: page.player.report()["num_done"])
    folder, kept, thread = gone._folder, here._folder, gone.player._thread
    assert folder.is_dir()
    gone.num_connections = 0
    gone.gone_since -= 1
    pages.drop_gone()
    assert not folder.exists() and not thread.is_alive() and kept.is_dir() and len(pages) == 1
    pages.close()
    assert not kept.exists()
    assert not [one for one in threading.enumerate() if one.name == "player" and one.is_alive()]


def test_an_upload_is_named_safely(make_pages, make_video, wait_for):
    page = make_pages().new()
    upload(page, make_video("clip.mp4", 4, size=(96, 128)), "<img src=x onerror=alert(1)> ..mp4")
    wait_for(lambda: page.player.state == "ready")
    name = page.player.report()["source"]["name"]
    assert set("<>=()/ ").isdisjoint(name) and not name.startswith(".")


def test_a_video_that_is_over_takes_no_place(make_pages, make_video, wait_for):
    pages = make_pages(max_sessions=1)
    one, other = pages.new(), pages.new()
    one.num_connections = other.num_connections = 1
    upload(one, make_video("clip.mp4", 2, size=(96, 128)))
    wait_for(lambda: one.player.state == "ready")
    one.player.play()
    wait_for(lambda: not one.player.is_running)
    other.open_sample("bikes", False, [])
    assert one.player.archive().is_file()  # what it found is still there


def test_a_stopped_run_goes_on_only_where_there_is_room(make_pages, wait_for):
    pages = make_pages(max_sessions=1)
    one, other = pages.new(), pages.new()
    one.num_connections = other.num_connections = 1
    one.open_sample("carphone", False, [])
    wait_for(lambda: one.player.state == "ready")
    one.player.advance()
    wait_for(lambda: one.player.report()["num_done"])
    one.player.stop()
    other.open_sample("carphone", False, [])
    with pytest.raises(InputError, match="all 1 places are taken"):
        one.player.play()
    other.close()
    one.player.play()
    wait_for(lambda: one.player.report()["num_done"] > 1)


def test_an_upload_can_be_opened_again(make_pages, make_video, wait_for):
    pages = make_pages()
    path = make_video("clip.mp4", 4, size=(96, 128))
    for page in (pages.new(), pages.new()):
        with pytest.raises(InputError, match="choose a video file first"):
            page.open_upload(False, [])
        upload(page, path)
        for _ in range(2):
            wait_for(lambda page=page: page.player.state == "ready")
            page.open_upload(False, [])
        wait_for(lambda page=page: page.player.state == "ready")


def test_a_video_is_played_again_from_its_start_in_a_session_of_its_own(make_pages, make_video, wait_for):
    pages = make_pages()
    page = pages.new()
    with pytest.raises(InputError, match="nothing to play again"):
        page.play_again()
    upload(page, make_video("clip.mp4", 4, size=(96, 128)))
    wait_for(lambda: page.player.state == "ready")
    page.player.click(0.5, 0.5, True)
    page.player.play()
    wait_for(lambda: page.player.state == "ended")
    asyncio.run(send(page, make_video("other.mp4", 2, size=(96, 128))))
    before = page.player
    for _ in range(2):
        page.play_again()
        wait_for(lambda: page.player.state == "ended")
        report = page.player.report()
        assert (report["source"]["name"], report["num_done"], report["timeline"]["rows"]) == ("clip", 4, [])
    assert page.player is not before and not before.folder.exists()
    page.open_sample("carphone", False, [])
    with pytest.raises(InputError, match="the file is gone"):
        _ = page.uploads.opened  # it stays no longer than its video


def test_a_camera_is_not_played_again(make_pages):
    page = make_pages().new()
    page.open_camera(False, [])
    with pytest.raises(InputError, match="nothing to play again"):
        page.play_again()


def test_a_run_at_rest_ends_at_its_limit_too(make_pages, wait_for):
    pages = make_pages(max_run_s=0.05)
    page = pages.new()
    page.open_sample("carphone", False, [])
    wait_for(lambda: page.player.state == "ready")
    time.sleep(0.1)
    pages.drop_gone()
    assert page.player.state == "stopped" and "a run ends after" in page.player.report()["notice"]


def test_a_huge_picture_is_refused_before_it_is_decoded(make_pages, make_video, wait_for, monkeypatch):
    monkeypatch.setattr(module, "_MAX_PIXELS", 5000)
    page = make_pages().new()
    upload(page, make_video("clip.mp4", 4, size=(96, 128)))
    assert "128x96 pixels; expected at most 5000" in notice_of(page, wait_for)


@pytest.mark.parametrize("kind", ["upload", "stream"])
def test_a_picture_that_grows_beyond_the_limit_while_it_plays_is_refused(
    make_pages, make_growing, monkeypatch, wait_for, kind
):
    path = make_growing("grows.mkv", num_small=8, num_huge=4)
    page = make_pages(streams={"door": "rtsp://camera.local/door"}).new()
    if kind == "upload":
        upload(page, path)
    else:
        true = module.open_source
        monkeypatch.setattr(module, "open_source", lambda _, **more: true(path, **more))
        page.open_stream("door", False, [])
    wait_for(lambda: page.player.state == "ready")
    page.player.play()
    notice = notice_of(page, wait_for)
    assert "grows.mkv" in notice and "expected at most 9437184" in notice and "scale it down" in notice
    assert page.player.report()["num_done"] == 8  # and what was found in them can be exported


@pytest.fixture
def make_growing(tmp_path, picture_jpeg) -> Callable[..., Path]:
    """A film whose last pictures say of themselves that they are 16000x12000."""

    def make(name: str, num_small: int, num_huge: int) -> Path:
        small = picture_jpeg(96, 128)
        at = small.index(b"\xff\xc0") + 5  # ITU-T T.81: height and width of the frame
        huge = small[:at] + struct.pack(">HH", 12000, 16000) + small[at + 4 :] + bytes(1 << 20)  # or it is too short
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("mjpeg", rate=10)
            stream.width, stream.height, stream.pix_fmt = 128, 96, "yuvj420p"
            for number, data in enumerate([small] * num_small + [huge] * num_huge):
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, Fraction(1, 10)
                packet.pts = packet.dts = number
                packet.is_keyframe = True
                container.mux(packet)
        return tmp_path / name

    return make


@pytest.fixture
def picture_jpeg() -> Callable[[int, int], bytes]:
    return lambda height, width: encode_jpeg(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


class Broken:
    """In place of a player, or of what it has."""

    is_running = True

    def expire(self) -> None:
        raise OSError("a fault of ours")

    close = expire


@pytest.mark.parametrize("how", ["the sweep", "the end"])
def test_a_page_that_fails_to_close_stops_neither_the_sweep_nor_the_end(make_pages, monkeypatch, tmp_path, caplog, how):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pages = make_pages(idle_s=1e-6)
    broken, other = pages.new(), pages.new()
    for page in (broken, other):
        asyncio.run(page.uploads.receive("a.mp4", 1, aiter_of(b"a", b"")))
    monkeypatch.setattr(broken, "player", Broken())
    if how == "the sweep":
        pages.drop_gone()
    else:
        pages.close()
    assert len(pages) == 0 and list(tmp_path.iterdir()) == []
    assert "a page could not be closed" in caplog.text


@pytest.mark.parametrize("name", ["streamvos-page-{}.mp4", "1.mp4", "...mp4", "..mp4"])
def test_no_name_of_a_file_stops_the_sweep(make_pages, monkeypatch, tmp_path, name):
    """Not even those of the folders that it lies in."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pages = make_pages(idle_s=1e-6)
    page = pages.new()
    asyncio.run(page.uploads.receive("a.mp4", 1, aiter_of(b"a", b"")))
    folder = next(tmp_path.iterdir()).name.removeprefix("streamvos-page-")
    asyncio.run(page.uploads.receive(name.format(folder), 1, aiter_of(b"a", b"")))
    pages.drop_gone()
    assert list(tmp_path.iterdir()) == [] and pages.room.num_taken == 0


async def aiter_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_an_upload_that_only_names_other_files_is_refused(make_pages, make_video, tmp_path, wait_for):
    secret = make_video("secret.mp4", 4, size=(96, 128))
    for number, text in enumerate((f"ffconcat version 1.0\nfile {secret}\n", f"#EXTM3U\n#EXTINF:1,\n{secret}\n")):
        page = make_pages().new()
        upload(page, write(tmp_path / f"list{number}.mp4", text.encode()))
        assert "cannot be read as a video" in notice_of(page, wait_for)


def test_a_damaged_upload_is_said(make_pages, tmp_path, wait_for):
    page = make_pages().new()
    upload(page, write(tmp_path / "a.mp4", b"\0" * 5000))
    assert notice_of(page, wait_for).startswith("'a.mp4' cannot be read as a video")  # no path of the server


def test_only_listed_streams_are_opened(make_pages, make_video, monkeypatch, wait_for):
    opened = []
    path = make_video("cam.mp4", 4, size=(96, 128))
    true = module.open_source

    def note(spec, **more):
        opened.append(spec)
        return true(path, config=more["config"])

    monkeypatch.setattr(module, "open_source", note)
    page = make_pages(streams={"door": "rtsp://camera.local/door"}).new()
    for name in ("rtsp://elsewhere/x", "", "window"):
        with pytest.raises(InputError, match="not among those of the configuration"):
            page.open_stream(name, False, [])
    page.open_stream("door", False, [])
    wait_for(lambda: page.player.state == "ready")
    assert opened == ["rtsp://camera.local/door"]


def test_classes_reach_the_detector_and_unknown_ones_are_refused(make_pages, wait_for):
    page = make_pages().new()
    page.open_sample("bikes", True, ["car"])
    assert page.player._run.graph.detect.classes == ("car",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[demo]\nmax_sessions = 0", "demo.max_sessions: expected a whole number of at least 1"),
        ("[demo]\nidle_s = 0", "demo.idle_s: expected a number above 0"),
        ("[demo]\nview_px = 3", "demo.view_px: expected a whole number of at least 64"),
        ("[demo]\nmax_sesions = 3", "did you mean 'demo.max_sessions'"),
        ("[demo.streams]\ndoor = 3", "expected name ="),
        ("demo = 3", "demo: expected a table"),
    ],
)
def test_limits_out_of_range_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_config(write(tmp_path / "c.toml", text.encode()), {})


def test_one_file_configures_both(tmp_path):
    text = 'size = 200\n[demo]\nmax_sessions = 2\n[demo.streams]\ndoor = "rtsp://camera.local/door"\n'
    run, limits = read_config(write(tmp_path / "c.toml", text.encode()), {"seed": 3})
    assert (run.graph.size, run.graph.seed, limits.max_sessions) == (200, 3, 2)
    assert limits.streams == {"door": "rtsp://camera.local/door"}
