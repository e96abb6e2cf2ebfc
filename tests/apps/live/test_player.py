from __future__ import annotations

import dataclasses
import json
import threading
import zipfile

import cv2
import numpy as np
import pytest

from apps.cli import main
from apps.live.player import Player
from apps.settings import DemoConfig
from pipelines.segment import PERSON_IDS
from pipelines.session import Session
from streamvos.errors import InputError
from streamvos.export.draw import Shown
from streamvos.export.masks import paint
from streamvos.export.run_report import read_report
from streamvos.export.tracks import read_tracks
from streamvos.video.sources import open_source


def done(player: Player, num: int):
    return lambda: player.report()["num_done"] >= num


def drawn(player: Player) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(player.view.picture()[1], np.uint8), cv2.IMREAD_COLOR)


def test_the_first_picture_is_there_before_anything_runs(make_player, wait_for, images):
    player = make_player()
    assert player.state == "ready" and player.report()["source"]["num_frames"] == len(images)
    head, jpeg = player.view.picture()
    assert head["frame"] == 0 and not head["past"] and drawn(player).shape == images[0].shape
    assert player.report()["num_done"] == 0
    with pytest.raises(InputError, match="nothing to export yet"):
        player.archive()


def test_a_click_at_rest_is_followed_in_the_very_next_picture(make_player, wait_for):
    player = make_player()
    assert player.click(0.4, 0.5, True) == {"object": 1, "frame": 0}
    wait_for(done(player, 1))
    assert player.state == "paused"
    (row,) = player.report()["objects"]
    assert row["id"] == 1 and row["state"] == "tracked" and not row["found"]
    assert player.view.thumbnails()[1][1][:2] == b"\xff\xd8"
    before = drawn(player)
    player.show(Shown(masks=False, boxes=False, ids=False, states=False))
    assert (np.abs(before.astype(int) - drawn(player)) > 30).any()
    assert player.box(0.1, 0.2, 0.3, 0.9) == {"object": 2, "frame": 1}  # a box is the same
    wait_for(done(player, 2))
    assert [one["id"] for one in player.report()["objects"]] == [1, 2]


def test_clicks_while_it_opens_are_kept_for_the_first_frame(make_player, wait_for, monkeypatch):
    go_on = threading.Event()
    prepare = Session.prepare
    monkeypatch.setattr(Session, "prepare", lambda self, info: (go_on.wait(60), prepare(self, info)))
    player = make_player(wait=False)
    wait_for(lambda: not player.view.is_empty)
    assert player.state == "opening" and player.view.picture()[0]["raw"]
    assert player.click(0.4, 0.5, True) == {"object": 1, "frame": 0}
    assert player.click(0.5, 0.5, True, 1) == {"object": 1, "frame": 0}  # more of the same
    assert player.box(0.7, 0.2, 0.9, 0.9) == {"object": 2, "frame": 0}
    assert player.report()["num_done"] == 0
    go_on.set()
    wait_for(done(player, 1))
    assert [one["id"] for one in player.report()["objects"]] == [1, 2] and not player.view.picture()[0]["raw"]
    said = player._log.to_dict(1)["prompts"]
    assert [(one["object"], one["frame"]) for one in said] == [(1, 0), (2, 0)] and len(said[0]["points"]) == 2


def test_a_click_inside_a_mask_corrects_that_object(make_player, wait_for):
    player = make_player()
    player.box(0.3, 0.2, 0.6, 0.9)
    wait_for(done(player, 1))
    labels = paint(player.view._moment.result.masks)
    y, x = (float(side) for side in np.argwhere(labels == 1).mean(0) / np.array(labels.shape))
    assert player.view.object_at(x, y) == 1 and player.view.object_at(0.99, 0.01) is None
    assert player.click(x, y, True)["object"] == 1  # not doubled
    wait_for(done(player, 2))
    assert [one["id"] for one in player.report()["objects"]] == [1]
    assert player.click(x, y, False)["object"] == 1  # taken off it
    wait_for(done(player, 3))
    player.hide(1, True)
    assert player.view.object_at(x, y) is None  # nobody can mean what is not drawn
    player.hide(1, False)
    assert player.click(0.95, 0.05, True)["object"] == 2  # beside it
    wait_for(done(player, 4))
    assert player.click(x, y, True, is_new=True)["object"] == 3  # asked for
    with pytest.raises(InputError, match="no object is here that something could be taken off"):
        player.hide(1, True)
        player.hide(2, True)
        player.hide(3, True)
        player.click(0.02, 0.02, False)


def test_a_video_can_play_as_soon_as_it_is_open(make_player, wait_for, images):
    player = make_player(playing=True)
    wait_for(lambda: player.state == "ended")
    assert player.report()["num_done"] == len(images)


def test_objects_come_and_go_are_named_and_hidden(make_player, wait_for):
    player = make_player()
    player.click(0.4, 0.5, True)
    wait_for(done(player, 1))
    player.name(1, "<b>Rex</b>")
    player.click(0.8, 0.5, True)
    wait_for(done(player, 2))
    assert player.report()["objects"][0]["name"] == "<b>Rex</b>"  # text; the page makes no HTML of it
    player.hide(1, True)
    assert player.report()["objects"][0]["hidden"]
    player.remove(1)
    assert [one["id"] for one in player.report()["objects"]] == [2]  # at once, though the video rests
    player.advance()
    wait_for(done(player, 3))
    assert [one["id"] for one in player.report()["objects"]] == [2]
    for act in (player.remove, lambda one: player.name(one, "x"), lambda one: player.click(0.5, 0.5, True, one)):
        with pytest.raises(InputError, match=r"object #1 is not followed \(followed: #2\)"):
            act(1)


def test_a_prompt_that_cannot_be_followed_is_told_and_the_run_goes_on(make_player, wait_for):
    player = make_player()
    player.box(0.5, 0.5, 0.504, 0.509)
    wait_for(done(player, 1))
    assert "object 1 could not be followed" in player.report()["notice"]
    player.click(0.4, 0.5, True)
    wait_for(done(player, 2))
    assert player.report()["notice"] is None and [one["id"] for one in player.report()["objects"]] == [2]
    with zipfile.ZipFile(player.archive()) as packed:  # a command line would end at the refused one
        said = json.loads(packed.read("clip/prompts.json"))
    assert [one["object"] for one in said["prompts"]] == [2]


def test_a_removal_outlives_a_click_of_the_same_moment(make_player, wait_for):
    player = make_player()
    player.click(0.4, 0.5, True)
    wait_for(done(player, 1))
    with player._lock:  # before the worker can take the next frame
        player.click(0.45, 0.5, True, 1)
        player.remove(1)
    for index in (2, 3):
        player.advance()
        wait_for(done(player, index))
    assert player.report()["objects"] == [] and player.view._moment.result.masks.object_ids.tolist() == []


def test_found_objects_have_ids_of_their_own(make_player, wait_for, small_graph):
    graph = dataclasses.replace(small_graph, stages=("detect", "segment"))
    player = make_player(graph=graph, discover=True)
    player.play()
    wait_for(lambda: player.state == "ended")
    assert all(one["found"] == (one["id"] > PERSON_IDS) for one in player.report()["objects"])


def test_the_end_and_questions(make_player, wait_for, images):
    player = make_player()
    player.click(0.4, 0.5, True)
    player.play()
    wait_for(lambda: player.state == "ended")
    report = player.report()
    assert report["num_done"] == len(images) and report["timeline"]["rows"][0]["id"] == 1
    assert {one["name"] for one in report["memories"]} == {
        "Objects being followed",
        "Pictures of objects",
        "What objects look like",
        "Objects that left",
        "What happened",
    }
    assert all(one["bytes"] <= one["capacity_bytes"] for one in report["memories"])
    assert report["feed"] and all(line["details"]["reason"] for line in report["feed"])
    assert player.ask("how many shots were there?").outcome == "answered"
    assert player.ask("was there a dragon?").outcome == "not_detectable"
    for act in (player.play, player.pause, lambda: player.click(0.5, 0.5, True)):
        with pytest.raises(InputError, match="the video is over"):
            act()


def test_looking_back_shows_the_past_and_takes_no_clicks(make_player, wait_for, images):
    player = make_player()
    for index in range(4):
        player.advance()
        wait_for(done(player, index + 1))
    player.look_at(0.001)
    head, _ = player.view.picture()
    assert head["frame"] == 1 and head["past"] and player.report()["looking_back_s"] == 0.001
    with pytest.raises(InputError, match="go back to now"):
        player.click(0.5, 0.5, True)
    player.look_at(None)
    assert player.view.picture()[0]["frame"] == 3


def test_a_stopped_run_is_whole_goes_on_and_equals_one_in_one_go(make_player, wait_for, images, tmp_path):
    player = make_player()
    player.click(0.4, 0.5, True)
    wait_for(done(player, 1))
    for index in range(3):
        player.advance()
        wait_for(done(player, index + 2))
    player.stop()
    assert player.state == "stopped" and read_report(player.folder)["status"] == "interrupted"
    player.play()
    wait_for(lambda: player.state == "ended")
    whole = make_player()
    whole.click(0.4, 0.5, True)
    whole.play()
    wait_for(lambda: whole.state == "ended")
    assert read_report(player.folder)["status"] == "complete"
    assert read_tracks(player.folder / "tracks.json") == read_tracks(whole.folder / "tracks.json")


def test_the_archive_holds_what_a_run_writes_and_repeats_on_the_command_line(
    make_video, make_player, wait_for, tmp_path
):
    path = make_video("film.mp4", 6, size=(128, 192))
    player = make_player(lambda index, _: open_source(path, start_index=index))
    player.click(0.7, 0.25, True)
    wait_for(done(player, 1))
    player.name(1, "the white part")
    player.play()
    wait_for(lambda: player.state == "ended")
    archive = player.archive()
    assert archive.name == "film.zip"
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "home")
    home = tmp_path / "home" / "film"
    names = {path.name for path in home.iterdir()}
    assert {"tracks.json", "overlay.mp4", "timeline.png", "masks", "memory", "run.json", "events.jsonl"} <= names
    assert "state.npz" not in names and not any(name.startswith(".") for name in names)
    said = json.loads((home / "prompts.json").read_text())
    assert said["prompts"][0]["label"] == "the white part"
    assert main(["ask", str(home), "how many shots were there?"]) == 0
    words = ["--stages", "segment,remember", "--size", "96", "--threads", "1", "--runner", "local", "--quiet"]
    command = ["run", str(path), "--out", str(tmp_path / "again"), "--prompts", str(home / "prompts.json"), *words]
    assert main(command) == 0
    for index in range(6):
        mine, again = (folder / "masks" / f"{index:05d}.png" for folder in (home, tmp_path / "again" / "film"))
        assert mine.read_bytes() == again.read_bytes()


def test_a_source_that_does_not_open_is_said(make_player, wait_for):
    player = make_player(lambda index, _: open_source("/no/such.mp4"))
    wait_for(lambda: player.state == "failed")
    assert "/no/such.mp4" in player.report()["notice"]
    with pytest.raises(InputError, match="open a video first"):
        player.pause()


def test_too_long_a_video_is_refused(make_player, wait_for, clip, images):
    player = make_player(lambda index, _: clip(images, duration_s=901.0))
    wait_for(lambda: player.state == "failed")
    assert "15.0 minutes long or more; at most 15" in player.report()["notice"]


def test_a_run_ends_at_its_limit(make_player, wait_for):
    player = make_player(limits=DemoConfig(max_run_s=0.001))
    player.play()
    wait_for(lambda: player.state == "stopped")
    assert "a run ends after" in player.report()["notice"] and player.report()["num_done"] == 1
    with pytest.raises(InputError, match="a run ends after"):
        player.play()


def test_a_source_that_breaks_keeps_what_was_found(make_player, wait_for, clip, images):
    class Broken(clip):
        def __next__(self):
            if self._next == 4:
                raise InputError("the camera was lost and did not return")
            return super().__next__()

    player = make_player(lambda index, _: Broken(images, index))
    player.play()
    wait_for(lambda: player.state == "failed")
    assert "was lost" in player.report()["notice"] and player.report()["num_done"] == 4
    with zipfile.ZipFile(player.archive()) as packed:
        assert "clip/run.json" in packed.namelist()


def test_delays_are_measured_from_the_source_to_the_screen(make_player, wait_for):
    player = make_player()
    player.advance()
    wait_for(done(player, 1))
    assert player.report()["delay_s"] is None
    player.note_shown(0)
    assert 0 < player.view.delays_s()[0] < 60 and player.report()["delay_s"] > 0


def test_a_stop_while_it_opens_is_kept(make_player, wait_for):
    player = make_player()
    player.advance()
    wait_for(done(player, 1))
    player.stop()
    player.play()
    player.stop()  # models load
    assert player.state == "stopped" and not player.is_running
    player.play()
    wait_for(lambda: player.state == "ended")


def test_with_ray_a_click_at_rest_shows_and_two_runs_do_not_meet(make_player, wait_for):
    from pipelines.graph.ray_cluster import Cluster

    cluster = Cluster()
    cluster.start()
    try:
        one, other = (make_player(runner="ray", cluster=cluster) for _ in range(2))
        for player in (one, other):
            player.click(0.4, 0.5, True)
            wait_for(done(player, 1), 120)
            assert [row["id"] for row in player.report()["objects"]] == [1]
        one.close()
        other.click(0.6, 0.5, True)
        wait_for(done(other, 2), 120)
    finally:
        one.close()
        other.close()
        cluster.close()


def test_closing_ends_the_thread_in_every_state(make_player, wait_for, clip, images):
    ready, playing = make_player(), make_player()
    playing.play()
    for player in (ready, playing):
        player.close()
        assert not player._thread.is_alive()


def test_pictures_for_the_page_are_bounded(make_player, wait_for):
    player = make_player(limits=DemoConfig(view_px=100))
    assert drawn(player).shape == (42, 100, 3)
    player.click(0.4, 0.5, True)
    wait_for(done(player, 1))
    assert drawn(player).shape == (42, 100, 3)
