"""Players over a few frames of the sample clip, small and with few stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from apps.live.pages import Pages
from apps.live.player import Player
from apps.settings import DemoConfig, RunConfig
from pipelines.graph.build import GraphConfig
from streamvos.records import Frame
from streamvos.video.info import Source, SourceInfo
from streamvos.video.sources import open_source
from tests.apps.live.browsing import address, browser, visit  # noqa: F401

SIZE = (136, 320)
GRAPH = GraphConfig(stages=("segment", "remember"), size=96, threads=1, device="cpu")
WITHIN_S = 60.0


class Clip(Source):
    """Frames out of a list; live ones come when they are asked for."""

    def __init__(self, images: list[np.ndarray], start: int = 0, live: bool = False, duration_s: float | None = None):
        height, width = images[0].shape[:2]
        rate = None if live else Fraction(1000)  # quicker than any machine: tests do not wait
        kind = "camera" if live else "video"
        super().__init__(
            SourceInfo("clip", kind, "clip", width, height, rate, len(images), duration_s, live, Fraction(1, 1000))
        )
        self._images, self._next = images, start
        self.is_closed = False

    def __next__(self) -> Frame:
        if self.is_closed or self._next >= len(self._images):
            raise StopIteration
        index, self._next = self._next, self._next + 1
        return Frame("clip", index, index / 1000, self._images[index])

    def close(self) -> None:
        self.is_closed = True


def wait_for(check: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Until `check` gives something that is true; returns it."""
    end = time.monotonic() + within_s
    while not (value := check()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


@pytest.fixture
def pages(small_graph) -> Iterator[Pages]:
    """The pages of a server with default settings."""
    pages = Pages(RunConfig(small_graph), DemoConfig())
    yield pages
    pages.close()


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Callable[..., Any]:
    return wait_for


@pytest.fixture(scope="session")
def small_graph() -> GraphConfig:
    return GRAPH


@pytest.fixture(scope="session")
def clip() -> type[Clip]:
    return Clip


@pytest.fixture(scope="session")
def images() -> list[np.ndarray]:
    with open_source("sample:bikes", start_index=0, max_frames=12) as source:
        return [cv2.resize(frame.image, SIZE[::-1], interpolation=cv2.INTER_AREA) for frame in source]


@pytest.fixture
def make_player(tmp_path: Path, images: list[np.ndarray]) -> Iterator[Callable[..., Player]]:
    """`make_player()` waits until the first picture is there."""
    players: list[Player] = []

    def make(
        source: Callable[[int, float], Source] | None = None,
        limits: DemoConfig | None = None,
        graph: GraphConfig = GRAPH,
        wait: bool = True,
        **more: Any,
    ) -> Player:
        folder = tmp_path / f"run{len(players)}"
        opener = source or (lambda index, _: Clip(images, index))
        players.append(Player(opener, RunConfig(graph), limits or DemoConfig(), folder, **more))
        wait_for(lambda: not wait or players[-1].state != "opening")
        return players[-1]

    yield make
    for player in players:
        player.close()
