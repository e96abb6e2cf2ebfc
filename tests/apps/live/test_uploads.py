"""Files that pages send: whose they are, how many bytes they may take, and that none is left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from apps.live import uploads as module
from apps.live.pages import Pages
from apps.live.server import make_app
from apps.live.uploads import PageUploads, Room, upload_name
from apps.settings import DemoConfig, RunConfig
from streamvos.errors import InputError, OutputError

HERE = "http://127.0.0.1:7860"
MIB = 1 << 20


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all pages' folders are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def pages(small_graph) -> Iterator[Pages]:
    pages = Pages(RunConfig(small_graph), DemoConfig(max_upload_mib=2, max_uploads_mib=3))
    yield pages
    pages.close()


@pytest.fixture
def client(pages: Pages) -> Iterator[TestClient]:
    with TestClient(make_app(pages), HERE) as client:
        yield client


def send(client: TestClient, token: str, data: bytes, name: str = "a.mp4") -> tuple[int, str]:
    answer = client.post(f"/live/{token}/upload", params={"name": name}, content=data)
    return answer.status_code, answer.json().get("error", "")


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_needs_a_page(client, temporary) -> None:
    status, why = send(client, "guess", b"x")
    assert status == 404 and "load the page again" in why and files_in(temporary) == []


def test_all_pages_together_have_so_much_room(client, pages, temporary) -> None:
    one, other = pages.new(), pages.new()
    assert send(client, one.token, bytes(2 * MIB)) == (200, "")
    status, why = send(client, other.token, bytes(2 * MIB))
    assert status == 400 and "fill the room" in why
    assert send(client, other.token, bytes(MIB)) == (200, "")
    assert send(client, one.token, b"x")[0] == 400  # also where it would take the place of a larger one
    other.close()
    assert send(client, one.token, bytes(MIB)) == (200, "")
    assert pages.room.num_taken == MIB  # the file before is gone
    assert [path.stat().st_size for path in temporary.rglob("*.mp4")] == [MIB]
    pages.close()
    assert pages.room.num_taken == 0 and list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "name", "why"),
    [
        (bytes(3 * MIB), "a.mp4", "the file has 3.0 MiB; at most 2 MiB are taken"),
        (b"", "a.mp4", "the file is empty"),
        (b"x", "a.txt", "a file of the type '.txt' is not taken; expected a video: .mp4"),
        (b"x", "", "a file of the type 'without a suffix' is not taken"),
        (b"x", "a." + "m" * 5000, "a file of the type '.mmmmmmmmmmm' is not taken"),
    ],
)
def test_what_is_refused_is_said_and_leaves_nothing(client, pages, temporary, data, name, why) -> None:
    status, told = send(client, pages.new().token, data, name)
    assert status == 400 and why in told
    assert pages.room.num_taken == 0 and files_in(temporary) == []


@pytest.mark.parametrize("name", ["../../x.mp4", "/etc/x.mp4", "..\\x.mp4", "<img src=x>.mp4", "\x00.mp4", ".mp4.mp4"])
def test_a_name_cannot_lead_anywhere(client, pages, temporary, name) -> None:
    page = pages.new()
    assert send(client, page.token, b"x", name)[0] == 200
    assert page.uploads.latest.is_relative_to(temporary) and len(page.uploads.latest.relative_to(temporary).parts) == 3
    assert set("<>=()/\\ \x00").isdisjoint(upload_name(name))


def test_a_body_without_its_length_is_refused(client, pages) -> None:
    answer = client.post(f"/live/{pages.new().token}/upload?name=a.mp4", content=iter([b"x"]))
    assert answer.status_code == 411


async def chunks_of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    yield b""


@pytest.mark.parametrize("parts", [[b"abc"], [b"abc", b"defg"], []], ids=["too short", "too long", "nothing"])
def test_a_body_of_another_length_leaves_nothing(temporary, parts) -> None:
    room = Room(100, 100)
    uploads = PageUploads(room)
    with pytest.raises(InputError, match="did not come whole"):
        asyncio.run(uploads.receive("a.mp4", 6, chunks_of(*parts)))
    assert room.num_taken == 0 and uploads.latest is None and files_in(temporary) == []
    asyncio.run(uploads.receive("a.mp4", 6, chunks_of(b"abc", b"def")))
    assert uploads.latest.read_bytes() == b"abcdef"


def test_a_sender_that_falls_silent_gives_its_room_back(monkeypatch) -> None:
    monkeypatch.setattr(module, "_SILENT_S", 0.05)
    room = Room(100, 100)

    async def silent() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(60)

    with pytest.raises(InputError, match="nothing of the file came"):
        asyncio.run(PageUploads(room).receive("a.mp4", 6, silent()))
    assert room.num_taken == 0


def test_a_sender_that_trickles_gives_its_room_back(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    room = Room(1 << 30, 1 << 30)

    async def sent(num_bytes: int) -> AsyncIterator[bytes]:
        for _ in range(10):
            clock[0] += 20.0
            yield bytes(num_bytes)

    with pytest.raises(InputError, match="too slowly; expected at least 64 KiB"):
        asyncio.run(PageUploads(room).receive("a.mp4", 1000, sent(100)))
    assert room.num_taken == 0
    asyncio.run(PageUploads(room).receive("a.mp4", 20 * MIB, sent(2 * MIB)))  # 102 KiB/s
    assert room.num_taken == 20 * MIB


def test_one_file_at_a_time_and_none_for_a_page_that_is_gone(temporary) -> None:
    room = Room(100, 100)
    uploads = PageUploads(room)

    async def meanwhile() -> AsyncIterator[bytes]:
        with pytest.raises(InputError, match="another file is still on its way"):
            await uploads.receive("b.mp4", 1, chunks_of(b"b"))
        yield b"a"
        uploads.close()
        yield b"b"
        raise AssertionError("it is still read")

    with pytest.raises(InputError, match="away for too long"):
        asyncio.run(uploads.receive("a.mp4", 2, meanwhile()))
    assert room.num_taken == 0 and list(temporary.iterdir()) == []
    with pytest.raises(InputError, match="away for too long"):
        asyncio.run(uploads.receive("b.mp4", 1, chunks_of(b"b")))


def test_the_file_of_an_open_video_stays_until_it_is_over(temporary) -> None:
    room = Room(100, 100)
    uploads = PageUploads(room)
    asyncio.run(uploads.receive("a.mp4", 1, chunks_of(b"a")))
    uploads.open()
    asyncio.run(uploads.receive("b.mp4", 1, chunks_of(b"b")))
    assert uploads.opened.read_bytes() == b"a" and uploads.latest.read_bytes() == b"b" and room.num_taken == 2
    uploads.let_go()
    assert files_in(temporary) == ["b.mp4"] and room.num_taken == 1
    uploads.open()
    uploads.let_go()
    assert files_in(temporary) == ["b.mp4"]  # it can be opened again


def test_a_full_disk_is_said(monkeypatch) -> None:
    async def no_space(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_copy", no_space)
    room = Room(100, 100)
    with pytest.raises(OutputError, match="no space left"):
        asyncio.run(PageUploads(room).receive("a.mp4", 1, chunks_of(b"a")))
    assert room.num_taken == 0
