"""Evidence of a real answer: the picture has the box of the object that proves it."""

from __future__ import annotations

import cv2
import numpy as np

from apps.live.evidence import proofs
from streamvos.export.colours import id_colour


def test_the_picture_has_the_box_of_the_object(make_player, wait_for):
    player = make_player()
    player.box(0.3, 0.2, 0.6, 0.9)
    wait_for(lambda: player.report()["num_done"] >= 1)
    player.name(1, "bike")
    player.play()
    wait_for(lambda: player.state == "ended")
    evidence = player.ask("when did the bike appear?").evidence
    assert evidence and evidence[0].thumbnail is not None
    told = proofs(player.folder / "memory", evidence)[0]
    assert told["boxed"] and told["object"] == 1 and told["frame"] == 0
    plain, boxed = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
        for data in (evidence[0].thumbnail.read_bytes(), told["jpeg"])
    )
    ys, xs = np.nonzero(np.abs(plain - boxed).max(2) > 60)
    box = player.view._history.at(0.0).result.masks.boxes_xyxy[0] / [320, 136, 320, 136]
    found = np.array([xs.min(), ys.min(), xs.max(), ys.max()]) / [*plain.shape[1::-1], *plain.shape[1::-1]]
    assert np.abs(found - box).max() < 0.08
    inked = boxed[np.abs(boxed - np.array(id_colour(1)[::-1])).max(2) < 60]
    assert len(inked) > 40


def test_without_a_memory_the_answer_stands(tmp_path, make_player, wait_for):
    player = make_player()
    player.click(0.4, 0.5, True)
    player.play()
    wait_for(lambda: player.state == "ended")
    evidence = player.ask("what was seen?").evidence
    told = proofs(tmp_path / "nothing", evidence)
    assert told and told[0]["jpeg"] == evidence[0].thumbnail.read_bytes() and not told[0]["boxed"]
