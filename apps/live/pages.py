"""The browser pages that are open: each has a token that nobody can guess, and at most one video."""

from __future__ import annotations

import dataclasses
import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from apps.live.camera import BrowserCamera
from apps.live.player import Player
from apps.live.stills import Stills
from apps.live.uploads import PageUploads, Room
from apps.settings import DemoConfig, RunConfig
from streamvos.errors import InputError
from streamvos.export.draw import EVERYTHING, Shown
from streamvos.export.parts import disk_errors
from streamvos.sample import SHOWN_CLASSES
from streamvos.video.info import Source, SourceConfig
from streamvos.video.sources import open_source

_log = logging.getLogger(__name__)
_MAX_PIXELS = 4096 * 2304  # of every picture; it takes three bytes for each, and some pictures are on their way
_SWEEP_EVERY_S = 5.0
_CONNECTS_WITHIN_S = 15.0  # a page that was just loaded, or has lost its connection, is on its way
# FFmpeg's names of what may be uploaded: formats that hold the video themselves. A playlist could name other files.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg"


class Page:
    """One browser page.

    Attributes:
        token: whoever knows it may see and steer this page.
        player: of its video, None before one is opened.
        camera: takes the pictures of the page's own camera, None where that is not the source.
        uploads: files that the page has sent.
        stills: pictures of the sources that it may open by a click.
    """

    def __init__(self, pages: Pages) -> None:
        self.token = secrets.token_urlsafe(24)
        self.player: Player | None = None
        self.camera: BrowserCamera | None = None
        self.uploads, self.stills = PageUploads(pages.room), pages.stills
        self.num_connections, self.gone_since = 0, time.monotonic()
        self.listeners: set[Callable[[], None]] = set()  # called when there is something new; must not wait
        self._pages = pages
        self._is_gone = False
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._shown = EVERYTHING
        self._again: tuple[Callable[[int, float], Source], bool, list[str]] | None = None  # how the video was opened

    def open_sample(self, name: str, discover: bool, classes: list[str], play: bool = False) -> None:
        """Open a packaged sample clip; without a choice of classes with those that it is there to show."""
        classes = classes or SHOWN_CLASSES.get(name, [])
        self._open(lambda index, _: self._source(f"sample:{name}", index), discover, classes, play)

    def open_upload(self, discover: bool, classes: list[str], play: bool = False) -> None:
        """Open the file that was sent last.

        Raises:
            InputError: none was, or no place is free.
        """
        if self.uploads.latest is None:
            raise InputError("choose a video file first")
        self._open(
            lambda index, _: self._source(self.uploads.opened, index), discover, classes, play, self.uploads.open
        )

    def open_stream(self, name: str, discover: bool, classes: list[str], play: bool = False) -> None:
        """Open a stream of the allow-list by its name."""
        url = self._pages.limits.streams.get(name)
        if url is None:
            raise InputError("this stream is not among those of the configuration ([demo.streams])")
        self._open(lambda index, time_s: self._source(url, index, time_s), discover, classes, play)

    def open_camera(self, discover: bool, classes: list[str]) -> None:
        """Take pictures from the page's own camera."""

        def connect(index: int, time_s: float) -> Source:
            self.camera = BrowserCamera(index, time_s)
            return self.camera.wait()

        self._open(connect, discover, classes, True)

    def play_again(self) -> None:
        """Open the same file once more, from its start, and let it run; nothing of the run before stays.

        Raises:
            InputError: no file is open, or no place is free.
        """
        if self._again is None or self.camera is not None:
            raise InputError("there is nothing to play again: open a video first")
        try:
            self._open(*self._again, True)
        except BaseException:
            self.uploads.let_go()
            raise

    @property
    def is_running(self) -> bool:
        """Whether a video of this page takes one of the places."""
        return self.player is not None and self.player.is_running

    def on_change(self) -> None:
        for listener in list(self.listeners):
            listener()

    def show(self, shown: Shown) -> None:
        """What is drawn into the picture of this video and of those that come after it."""
        self._shown = shown
        if self.player is not None:
            self.player.show(shown)

    def close(self) -> None:
        """End the video and remove everything it left; nothing can be opened here any more."""
        self._is_gone = True
        with self._lock:
            try:
                self._end()
            finally:
                self.uploads.close()

    def _source(self, spec: str | Path, index: int, time_s: float = 0.0) -> Source:
        config = _for_pages(self._pages.run.source)
        if isinstance(spec, Path):
            config = dataclasses.replace(config, containers=CONTAINERS)
        return open_source(spec, start_index=index, start_time_s=time_s, config=config)

    def _open(
        self,
        opener: Callable[[int, float], Source],
        discover: bool,
        classes: list[str],
        play: bool,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        with self._pages.opening, self._lock:  # in this order: making room closes other pages
            self._end(keep_file=self._again is not None and opener is self._again[0])
            self._again = None
            if self._is_gone:
                raise InputError("this page was away for too long: load it again")
            self._pages.expect_room()
            begin()
            with disk_errors(Path(tempfile.gettempdir()), "the video was not opened"):
                self._folder = Path(tempfile.mkdtemp(prefix="streamvos-page-"))
            graph = self._pages.run.graph
            graph = dataclasses.replace(graph, detect=dataclasses.replace(graph.detect, classes=tuple(classes)))
            self.player = Player(
                opener,
                dataclasses.replace(self._pages.run, graph=graph),
                self._pages.limits,
                self._folder / "run",
                discover=discover,
                playing=play,
                runner=self._pages.runner,
                cluster=self._pages.cluster,
                expect_room=self._pages.expect_room,
                on_change=self.on_change,
            )
            self.player.show(self._shown)
            self._again = opener, discover, classes
        self.on_change()

    def _end(self, keep_file: bool = False) -> None:
        player, folder = self.player, self._folder
        if self.camera is not None:
            self.camera.close()
        self.player = self.camera = self._folder = None
        try:
            if player is not None:
                player.close()
        finally:
            if not keep_file:
                self.uploads.let_go()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


class Pages:
    """All pages of a server, bounded in number and time.

    Args:
        run: settings of all runs.
        limits: see `DemoConfig`.
        runner: "local" or "ray".
    """

    def __init__(self, run: RunConfig, limits: DemoConfig, runner: Literal["local", "ray"] = "local") -> None:
        self.run, self.limits, self.runner = run, limits, runner
        self.opening = threading.Lock()  # one video at a time, so that they can be counted
        self.cluster = _cluster() if runner == "ray" else None
        self._pages: dict[str, Page] = {}
        self._lock = threading.Lock()
        self.room = Room(limits.max_uploads_mib << 20, limits.max_upload_mib << 20)
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="pages", daemon=True)
        self._sweeper.start()
        self.stills = Stills(limits.streams, _for_pages(run.source))

    def __len__(self) -> int:
        return len(self._pages)

    def new(self) -> Page:
        """A page without a video.

        Raises:
            InputError: too many are open.
        """
        if len(self._pages) >= self.limits.max_pages:
            self._drop_longest_gone(lambda page: True)
        with self._lock:
            if len(self._pages) >= self.limits.max_pages:
                raise InputError(f"{self.limits.max_pages} pages are open, which is the most; try again later")
            page = Page(self)
            self._pages[page.token] = page
            return page

    def all(self) -> list[Page]:
        """The pages that are open."""
        return list(self._pages.values())

    def get(self, token: str) -> Page:
        """The page with this token; raises `InputError` where there is none."""
        page = self._pages.get(token)
        if page is None:
            raise InputError("this page was away for too long, and its video is gone: load the page again")
        return page

    def expect_room(self) -> None:
        """Make room for a video, where need be by closing the page that was left longest ago.

        Raises:
            InputError: as many videos run as may, each before somebody's eyes.
        """
        if self._num_videos() >= self.limits.max_sessions:
            self._drop_longest_gone(lambda page: page.is_running)
        if self._num_videos() >= self.limits.max_sessions:
            raise InputError(
                f"all {self.limits.max_sessions} places are taken: try again when somebody has closed a page"
            )

    def close(self) -> None:
        """End all."""
        self._closed.set()
        self.stills.close()
        self._sweeper.join()
        for page in self.all():
            self._drop(page)
        if self.cluster is not None:
            self.cluster.close()

    def _sweep(self) -> None:
        while not self._closed.wait(_SWEEP_EVERY_S):
            self.drop_gone()

    def drop_gone(self) -> None:
        """Close the pages that nobody has had open for too long, and end runs that have taken their time."""
        now = time.monotonic()
        for page in self.all():
            self._expire(page)
            if page.num_connections == 0 and now - page.gone_since > self.limits.idle_s:
                self._drop(page)

    def _num_videos(self) -> int:
        return sum(page.is_running for page in self.all())

    def _drop_longest_gone(self, may_go: Callable[[Page], bool]) -> None:
        now = time.monotonic()
        gone = [
            page
            for page in self.all()
            if page.num_connections == 0 and now - page.gone_since > _CONNECTS_WITHIN_S and may_go(page)
        ]
        if gone:
            self._drop(min(gone, key=lambda page: page.gone_since))

    def _expire(self, page: Page) -> None:
        try:
            if page.player is not None:
                page.player.expire()
        except Exception:  # the others are to be looked at all the same
            _log.exception("a run could not be ended in time")

    def _drop(self, page: Page) -> None:
        with self._lock:
            self._pages.pop(page.token, None)
        try:
            page.close()
        except Exception:
            _log.exception("a page could not be closed")


def _for_pages(config: SourceConfig) -> SourceConfig:
    """The settings of the readers, with a limit of the pixels in any case."""
    return dataclasses.replace(config, max_pixels=config.max_pixels or _MAX_PIXELS)


def _cluster() -> Any:
    from pipelines.graph.ray_cluster import Cluster  # Ray takes a second to import, which local runs need not wait for

    cluster = Cluster()
    cluster.start()  # here and now: Ray's processes end with the thread that started them, and players come and go
    return cluster
