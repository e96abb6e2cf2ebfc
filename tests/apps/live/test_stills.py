from __future__ import annotations

import cv2
import numpy as np
from starlette.testclient import TestClient

from apps.live.pages import Pages
from apps.live.server import make_app
from apps.live.stills import Stills
from apps.settings import DemoConfig, RunConfig
from streamvos.video.info import SourceConfig


def test_each_listed_source_has_a_small_picture_or_none(make_video, wait_for):
    film = make_video("door.mp4", 8, size=(128, 192))
    stills = Stills({"door": str(film), "lost": "rtsp://127.0.0.1:1/x"}, SourceConfig(open_timeout_s=1.0))
    assert [row["jpeg"] for row in stills.rows()] == [b""] * 4  # nothing is opened before a page is there
    stills.wanted()
    wait_for(lambda: stills._made_s and not stills._thread.is_alive())
    rows = {(row["kind"], row["name"]): row["jpeg"] for row in stills.rows()}
    assert list(rows) == [("sample", "bikes"), ("sample", "carphone"), ("stream", "door"), ("stream", "lost")]
    assert rows["stream", "lost"] == b"" and stills.version == 3
    for key in [*rows][:3]:
        picture = cv2.imdecode(np.frombuffer(rows[key], np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (162, 288, 3) and len(rows[key]) < 40_000 and picture.std() > 5
    stills.wanted()  # another page: they are there
    assert not stills._thread.is_alive() and stills.version == 3


def test_the_page_is_sent_pictures_and_names_never_urls(small_graph):
    pages = Pages(RunConfig(small_graph), DemoConfig(streams={"door": "rtsp://ann:secret@127.0.0.1:1/x"}))
    try:
        page = pages.new()
        with (
            TestClient(make_app(pages), "http://127.0.0.1:7860") as client,
            client.websocket_connect(f"ws://127.0.0.1:7860/live/{page.token}/socket") as wire,
        ):
            while True:
                text = wire.receive_text()
                assert "secret" not in text
                if '"sources"' in text and text.count("data:image/jpeg;base64,") == 2:
                    break
        assert '"door"' in text
    finally:
        pages.close()
