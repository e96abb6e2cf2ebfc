from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from streamvos.errors import InputError, IntegrityError
from streamvos.export.boxes import box_lines, read_boxes
from streamvos.export.colours import id_colour
from streamvos.export.draw import Shown, draw_result
from streamvos.export.masks import MaskWriter, mask_path, paint, read_mask
from streamvos.export.overlay import OverlayWriter
from streamvos.export.parts import PartFile
from streamvos.export.timeline import Timeline
from streamvos.export.timings import Timings
from streamvos.export.tracks import assemble_tracks, read_tracks, track_line
from streamvos.masks import davis_palette, decode, encode, label_map
from streamvos.records import ObjectMasks, SceneEstimate, StepResult


def test_masks_come_back_and_carry_the_davis_palette(tmp_path, masks_at):
    writer = MaskWriter(tmp_path / "masks")
    labels = paint(masks_at(0, (48, 64)))
    writer.write(3, labels)
    path = mask_path(tmp_path / "masks", 3)
    assert path.name == "00003.png" and writer.warnings == []
    np.testing.assert_array_equal(read_mask(path), labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette()[3:6] == davis_palette()[1].tolist() == [128, 0, 0]
    assert [file.name for file in (tmp_path / "masks").iterdir()] == ["00003.png"]


def test_painting_agrees_with_the_whole_masks():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, (37, 53)).astype(np.uint16)
    pictures = [ids == object_id for object_id in (1, 2, 3)] + [np.zeros(ids.shape, bool)]
    masks = ObjectMasks(
        ids.shape,
        np.array([1, 2, 3, 9], np.int64),
        tuple(encode(picture) for picture in pictures),
        np.zeros((4, 4), np.float32),
        np.ones(4, np.float32),
        ("tracked",) * 4,
        ("",) * 4,
    )
    np.testing.assert_array_equal(paint(masks), ids)
    np.testing.assert_array_equal(paint(masks), label_map(masks))


@pytest.mark.parametrize(("object_id", "painted"), [(256, 256), (65535, 65535), (70000, 65535)], ids=str)
def test_ids_above_255_become_sixteen_bit_grey_with_a_warning(tmp_path, masks_at, object_id, painted):
    writer = MaskWriter(tmp_path / "masks")
    labels = paint(masks_at(0, (48, 64), ids=(object_id,)))
    writer.write(0, labels)
    assert read_mask(mask_path(tmp_path / "masks", 0)).max() == painted
    assert "16-bit grey" in writer.warnings[0] and len(writer.warnings) == 1


def test_forgetting_masks_keeps_those_before(tmp_path):
    writer = MaskWriter(tmp_path / "masks")
    for index in range(4):
        writer.write(index, np.zeros((4, 4), np.uint16))
    writer.forget_from(2)
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["00000.png", "00001.png"]


def test_tracks_round_trip(tmp_path, step, info):
    lines = tmp_path / "lines"
    lines.write_bytes(b"".join(track_line(step(index)[1]) for index in range(8)))
    assemble_tracks(lines, tmp_path / "tracks.json", info)
    tracks = read_tracks(tmp_path / "tracks.json")
    assert tracks["video"]["rate"] == "25" and tracks["video"]["num_frames"] == 8
    assert [item["id"] for item in tracks["objects"]] == [1, 2, 3]
    assert tracks["objects"][1] == {
        "id": 2, "class": "naïve cat", "first_frame": 0, "last_frame": 7, "num_tracked": 5
    }  # fmt: skip
    for index, entry in enumerate(tracks["frames"]):
        masks = step(index)[1].masks
        assert entry["frame"] == index and ("detections" in entry) == (index % 3 == 0)
        for row, item in enumerate(entry["objects"]):
            assert item["state"] == masks.states[row]
            np.testing.assert_array_equal(coco_mask.decode(item["segmentation"]).astype(bool), decode(masks.rles[row]))
    assert tracks["frames"][0]["objects"][0]["bbox"] == [2.0, 5.0, 10.0, 10.0]
    assert tracks["frames"][0]["detections"][1] == {
        "id": -1, "class": "car", "score": 0.5, "bbox": [50.0, 2.0, 20.0, 28.0]
    }  # fmt: skip


def test_tracks_of_no_frames(tmp_path, info):
    (tmp_path / "lines").write_bytes(b"")
    assemble_tracks(tmp_path / "lines", tmp_path / "tracks.json", info)
    assert read_tracks(tmp_path / "tracks.json")["frames"] == []


def test_reading_bad_tracks(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_tracks(tmp_path / "no.json")
    (tmp_path / "a.json").write_text('{"frames": [')
    with pytest.raises(IntegrityError, match="damaged"):
        read_tracks(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(IntegrityError, match="format"):
        read_tracks(tmp_path / "a.json")


def test_boxes_are_mot_lines_of_what_is_tracked(tmp_path, step):
    lines = box_lines(step(5)[1])  # the second object is occluded here, the third lost
    assert lines == "6,1,8.00,6.00,10.00,10.00,0.9000,-1,-1,-1\n"
    (tmp_path / "boxes.txt").write_text("".join(box_lines(step(index)[1]) for index in range(10)))
    rows = read_boxes(tmp_path / "boxes.txt")
    assert rows.shape == (15, 10) and rows[:, 0].min() == 1 and (rows[:, 7:] == -1).all()


def test_boxes_of_a_run_without_identities_are_detections(step):
    lines = box_lines(replace(step(0)[1], masks=None))
    assert lines.splitlines()[1] == "1,-1,51.00,3.00,20.00,28.00,0.5000,-1,-1,-1"
    assert box_lines(replace(step(0)[1], masks=None, detections=None)) == ""


def test_reading_bad_boxes(tmp_path):
    (tmp_path / "boxes.txt").write_text("1,2,3\n")
    with pytest.raises(InputError, match="10 numbers"):
        read_boxes(tmp_path / "boxes.txt")


def test_drawing_tints_the_object_in_its_colour_and_leaves_the_rest(step):
    frame, result = step(0, size=(240, 320))
    image = np.full((240, 320, 3), 100, np.uint8)
    picture = draw_result(image, result, paint(result.masks))
    np.testing.assert_allclose(picture[30, 40], 0.58 * 100 + 0.42 * np.array(id_colour(2)), atol=1)
    assert (picture[120:200, 120:] == 100).all()  # nothing is there
    assert (image == 100).all()  # the frame itself is not touched
    assert frame.image.shape == image.shape


@pytest.mark.parametrize("off", ["masks", "boxes", "ids", "states", "header", "hidden"])
def test_each_switch_takes_something_out_of_the_picture(step, off):
    _, result = step(0, size=(240, 320))
    image, labels = np.full((240, 320, 3), 100, np.uint8), paint(result.masks)
    everything = draw_result(image, result, labels)
    without = draw_result(image, result, labels, Shown(**{off: frozenset({2}) if off == "hidden" else False}))
    changed = (everything != without).any(axis=2)
    assert changed.any() and changed.mean() < 0.5
    nothing = Shown(masks=False, boxes=False, ids=False, states=False, header=False)
    np.testing.assert_array_equal(draw_result(image, result, labels, nothing), image)


def test_depth_is_coloured_where_it_is_known(step):
    _, result = step(0, size=(240, 320))
    depth = np.zeros((60, 80), np.float32)
    depth[:, 40:] = np.linspace(1, 4, 40)
    scene = SceneEstimate(0, np.eye(4), np.eye(3), "metric", "ok", depth_m=depth)
    image = np.full((240, 320, 3), 100, np.uint8)
    only = Shown(masks=False, boxes=False, ids=False, states=False, header=False, depth=True)
    picture = draw_result(image, replace(result, scene=scene), None, only)
    assert (picture[:, :150] == 100).all()
    red, blue = picture[120, 164, 0].astype(int), picture[120, 164, 2].astype(int)
    far_red, far_blue = picture[120, 316, 0].astype(int), picture[120, 316, 2].astype(int)
    assert red > blue and far_blue > far_red  # near is red, far is blue


@pytest.mark.parametrize("size", [(1, 1), (17, 9), (2000, 3000)], ids=str)
def test_drawing_fits_any_size(step, size):
    _, result = step(0)
    result = replace(result, size=size, masks=None)
    assert draw_result(np.zeros((*size, 3), np.uint8), result, None).shape == (*size, 3)


def test_colours_of_neighbours_differ():
    colours = np.array([id_colour(object_id) for object_id in range(1, 30)], int)
    gaps = np.abs(colours[1:] - colours[:-1]).sum(axis=1)
    assert gaps.min() > 120 and len({tuple(colour) for colour in colours}) == 29


def encode_overlay(path, info, times, size, segment_frames=1000):
    writer = OverlayWriter(path, info, 23, "ultrafast", 1, segment_frames)
    for index, time_s in enumerate(times):
        writer.write(np.full((*size, 3), 20 + 4 * (index % 50), np.uint8), time_s)
    writer.end_segment()
    writer.join()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        times = [float(frame.pts * stream.time_base) for frame in frames]
        return stream.average_rate, times, frames


@pytest.mark.parametrize(
    ("rate", "time_base"),
    [
        (Fraction(25), Fraction(1, 12800)),
        (Fraction(30000, 1001), Fraction(1, 30000)),
        (Fraction(24), Fraction(1, 24)),
    ],
    ids=["25", "29.97", "folder"],
)
def test_overlay_keeps_a_constant_rate_exactly_across_segments(tmp_path, info, rate, time_base):
    info = replace(info, rate=rate, time_base=time_base)
    times = [float(index / rate) for index in range(40)]
    found_rate, found, frames = encode_overlay(tmp_path / "overlay.mp4", info, times, (48, 64), 7)
    assert found_rate == rate
    assert found == pytest.approx(times, abs=1e-9)
    for index, frame in enumerate(frames):
        assert frame.to_ndarray(format="rgb24").mean() == pytest.approx(20 + 4 * index, abs=4)


def test_overlay_keeps_variable_times(tmp_path, info):
    times = [tick / 12800 for tick in (0, 512, 700, 3000, 3001, 9000, 9001)]
    _, found, _ = encode_overlay(tmp_path / "overlay.mp4", info, times, (48, 64), 3)
    assert found == pytest.approx(times, abs=1e-9)


@pytest.mark.parametrize("size", [(47, 63), (1, 1), (48, 63)], ids=str)
def test_overlay_pads_odd_sizes(tmp_path, info, size):
    info = replace(info, width=size[1], height=size[0])
    _, times, frames = encode_overlay(tmp_path / "overlay.mp4", info, [0.0, 0.04], size)
    assert len(times) == 2
    assert (frames[0].height, frames[0].width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)


def test_a_segment_that_was_cut_off_still_plays(tmp_path, info):
    writer = OverlayWriter(tmp_path / "overlay.mp4", info, 23, "ultrafast", 1, 10_000)
    for index in range(300):
        writer.write(np.full((48, 64, 3), index % 250, np.uint8), index / 25)
    (segment,) = (tmp_path / "overlay.parts").iterdir()
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(segment.read_bytes())  # as a kill would leave it
    with av.open(str(copy)) as container:
        assert len(list(container.decode(video=0))) >= 100
    writer.end_segment()


def test_part_files_cut_back_publish_and_repair(tmp_path):
    part = PartFile(tmp_path / "a.txt")
    part.append(b"one\ntwo\n")
    length = part.sync()
    part.append(b"three\nfo")
    part.close()
    part.publish(keep_part=True)
    assert (tmp_path / "a.txt").read_bytes() == b"one\ntwo\nthree\n"  # the line that was cut off is gone
    again = PartFile(tmp_path / "a.txt")
    again.resume(length)
    again.append(b"3\n")
    again.close()
    again.publish(keep_part=False)
    assert (tmp_path / "a.txt").read_bytes() == b"one\ntwo\n3\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(IntegrityError, match="shorter than at the last checkpoint"):
        again.resume(100)


def test_timings_against_numpy():
    seconds = np.random.default_rng(0).lognormal(-3, 1, 5000)
    timings = Timings()
    for value in seconds:
        timings.add({"segment": value})
    copy = Timings()
    copy.load_state_dict(timings.state_dict())
    summary = copy.summary()["segment"]
    assert summary["count"] == 5000 and summary["mean"] == pytest.approx(seconds.mean(), rel=1e-4)
    assert summary["p50"] == pytest.approx(np.percentile(seconds, 50), rel=0.03)
    assert summary["p95"] == pytest.approx(np.percentile(seconds, 95), rel=0.03)
    assert Timings().summary() == {}


def spans(timeline: Timeline) -> dict:
    return {key: row[1] for key, row in timeline.state_dict()["rows"].items()}


def test_timeline_spans(step):
    timeline = Timeline()
    for index in range(11):
        timeline.add(step(index)[1])
    assert set(spans(timeline)) == {1, 2}  # the third was never visible
    assert spans(timeline)[1] == [["tracked", 0.0, pytest.approx(0.4)]]
    assert [span[0] for span in spans(timeline)[2]] == ["tracked", "occluded", "tracked"]
    assert spans(timeline)[2][1][1:] == pytest.approx([0.2, 0.4])


def test_timeline_ends_where_an_object_is_lost_or_removed(step, masks_at):
    timeline = Timeline()
    for index, ids in enumerate([(1, 2), (1, 2), (1,), (1, 2)]):
        result = step(index)[1]
        timeline.add(replace(result, masks=masks_at(index, result.size, ids)))
    assert spans(timeline)[2] == [["tracked", 0.0, 0.04], ["tracked", 0.12, 0.12]]


def test_timeline_goes_on_from_its_state(step):
    whole, first, second = Timeline(), Timeline(), Timeline()
    for index in range(30):
        whole.add(step(index)[1])
        (first if index < 13 else second).add(step(index)[1])
        if index == 12:
            second.load_state_dict(first.state_dict())
    assert second.state_dict() == whole.state_dict()


def test_timeline_stays_bounded_and_says_so(tmp_path, step, masks_at):
    timeline = Timeline(max_rows=5, max_spans=4)
    for index in range(200):
        ids = (1,) if index % 2 else (1, 10 + index)
        result = step(index)[1]
        timeline.add(replace(result, masks=masks_at(index, result.size, ids)))
    rows = spans(timeline)
    assert len(rows) <= 10 and 1 in rows
    assert max(len(row) for row in rows.values()) <= 4
    assert "the 5 longest-lived of" in timeline._title("clip")
    timeline.draw(tmp_path / "timeline.png", "clip")
    with Image.open(tmp_path / "timeline.png") as image:
        assert image.width > 500


def test_timeline_of_nothing(tmp_path):
    timeline = Timeline()
    timeline.add(StepResult("s", 0, 0.0, (4, 4)))
    timeline.draw(tmp_path / "timeline.png", "clip")
    assert (tmp_path / "timeline.png").stat().st_size > 1000
