"""Videos that pages send: each into a file of its page, all of them within one number of bytes.

The body of the request is the file. Its length is told before, so that what has no room is refused before a byte of it
is read; its name is only looked at for the type.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from streamvos.errors import InputError
from streamvos.export.parts import disk_errors
from streamvos.video.names import safe_name

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg")
_SILENT_S = 30.0  # then the sender counts as gone
_FREE_S = 60.0  # before the rate is looked at
_SLOWEST = 64 << 10  # bytes per second, on average; who sends slower holds room that others wait for


@dataclass(frozen=True)
class Upload:
    """A file that is here whole."""

    path: Path
    num_bytes: int


class Room:
    """Bytes that uploads may take, over all pages.

    Args:
        max_bytes: of all files together.
        max_file_bytes: of one.
    """

    def __init__(self, max_bytes: int, max_file_bytes: int) -> None:
        self._max, self._max_file, self._taken = max_bytes, max_file_bytes, 0
        self._lock = threading.Lock()

    @property
    def num_taken(self) -> int:
        return self._taken

    def take(self, num_bytes: int) -> None:
        """Reserve room; raises `InputError` where there is not so much."""
        if num_bytes < 1:
            raise InputError("the file is empty; expected a video")
        if num_bytes > self._max_file:
            raise InputError(
                f"the file has {num_bytes / (1 << 20):.1f} MiB; at most {self._max_file >> 20} MiB are taken"
            )
        with self._lock:
            if self._taken + num_bytes > self._max:
                raise InputError("the uploads of all pages fill the room that there is for them: try again later")
            self._taken += num_bytes

    def give_back(self, num_bytes: int) -> None:
        with self._lock:
            self._taken -= num_bytes


def upload_name(name: str) -> str:
    """A safe name for a file that someone calls `name`; raises `InputError` where that is no video's."""
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"a file of the type {suffix[:12] or 'without a suffix'!r} is not taken; expected a video: "
            f"{' '.join(SUFFIXES)}"
        )
    return safe_name(Path(name).stem) + suffix


class PageUploads:
    """The files of one page: the latest that came whole, and the one whose video is open, which may be an earlier one.

    Args:
        room: shared by all pages.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._num_begun = 0
        self._is_receiving = self._is_closed = False
        self._latest: Upload | None = None
        self._opened: Upload | None = None

    async def receive(self, name: str, num_bytes: int, chunks: AsyncIterator[bytes]) -> None:
        """Take a file; it is then the one that `open` gives.

        Args:
            name: what its sender calls it.
            num_bytes: as announced.
            chunks: of the request's body.

        Raises:
            InputError: no video by its name, too large, another one is on its way, or it did not come whole.
            OutputError: there is no space.
        """
        path = self._begin(upload_name(name), num_bytes)
        is_whole = False
        try:
            await write_body(self._while_open(chunks), path, num_bytes)
            is_whole = True
        finally:
            self._end(Upload(path, num_bytes), is_whole)

    async def _while_open(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self._is_closed:
                raise InputError("this page was away for too long: load it again")
            yield chunk

    @property
    def latest(self) -> Path | None:
        """The file that came last."""
        return None if self._latest is None else self._latest.path

    @property
    def opened(self) -> Path:
        """The file whose video is open."""
        if self._opened is None:
            raise InputError("the file is gone: send it again")
        return self._opened.path

    def open(self) -> None:
        """The latest file is now the one whose video is open, and stays as long."""
        with self._lock:
            earlier, self._opened = self._opened, self._latest
            self._forget(earlier)

    def let_go(self) -> None:
        """The video is over; its file stays while it is the latest."""
        with self._lock:
            earlier, self._opened = self._opened, None
            self._forget(earlier)

    def close(self) -> None:
        """Remove all files; nothing can be taken any more."""
        with self._lock:
            self._is_closed = True
            gone, self._latest, self._opened = {self._latest, self._opened}, None, None
            for upload in gone:
                self._forget(upload)
            if self._folder is not None and not self._is_receiving:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, name: str, num_bytes: int) -> Path:
        with self._lock:
            if self._is_closed:
                raise InputError("this page was away for too long: load it again")
            if self._is_receiving:
                raise InputError("another file is still on its way: wait for it")
            self._room.take(num_bytes)
            try:
                with disk_errors(Path(tempfile.gettempdir()), "the file was not taken"):
                    if self._folder is None:
                        self._folder = Path(tempfile.mkdtemp(prefix="streamvos-page-"))
                    self._num_begun += 1
                    place = self._folder / str(self._num_begun)
                    place.mkdir()
            except BaseException:
                self._room.give_back(num_bytes)
                raise
            self._is_receiving = True
            return place / name

    def _end(self, upload: Upload, is_whole: bool) -> None:
        with self._lock:
            self._is_receiving = False
            if is_whole and not self._is_closed:
                earlier, self._latest = self._latest, upload
                self._forget(earlier)
                return
            self._forget(upload)
            if self._is_closed:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _forget(self, upload: Upload | None) -> None:
        """Remove a file that is neither the latest nor open; inside the lock."""
        if upload is not None and upload not in (self._latest, self._opened):
            shutil.rmtree(upload.path.parent, ignore_errors=True)
            self._room.give_back(upload.num_bytes)


async def write_body(chunks: AsyncIterator[bytes], path: Path, num_bytes: int) -> None:
    """Write what comes to a file.

    Args:
        chunks: of the request's body.
        path: does not exist.
        num_bytes: that were announced; not one more is written.

    Raises:
        InputError: the file did not come whole.
        OutputError: there is no space.
    """
    with disk_errors(path.parent, "the file was not taken"):
        file = await asyncio.to_thread(path.open, "xb")
        try:
            await _copy(chunks, file, num_bytes)
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        finally:
            await asyncio.to_thread(file.close)


async def _copy(chunks: AsyncIterator[bytes], file: BinaryIO, num_bytes: int) -> None:
    left, incoming, began = num_bytes, aiter(chunks), time.monotonic()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(incoming, b""), _SILENT_S)
        except TimeoutError:
            raise InputError(f"nothing of the file came for {_SILENT_S:.0f} seconds: send it again") from None
        if not chunk and left == 0:
            return
        left -= len(chunk)
        if (num_bytes - left) / _SLOWEST + _FREE_S < time.monotonic() - began:
            raise InputError(f"the file comes too slowly; expected at least {_SLOWEST >> 10} KiB in a second")
        if not chunk or left < 0:
            raise InputError("the file did not come whole: send it again")
        await asyncio.to_thread(file.write, chunk)
