import json

import numpy as np
import pytest
from PIL import Image

from apps.prompt_files import digest, parse_box, read_first_mask, read_prompts
from pipelines.prompts import Schedule, check_prompts
from streamvos.errors import InputError
from streamvos.records import Naming, ObjectMasks, Prompt, Removal

BOX = {"frame": 0, "object": 1, "box": [1, 2, 30, 20]}


def write(folder, data) -> str:
    path = folder / "prompts.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def save_labels(path, labels, mode="P") -> None:
    picture = Image.fromarray(labels)
    if mode == "P":
        picture = picture.convert("P") if labels.ndim == 3 else Image.fromarray(labels, mode="L")
    picture.save(path)


def test_a_file_with_everything(tmp_path):
    labels = np.zeros((24, 32), np.uint8)
    labels[4:9, 5:9] = 255
    (tmp_path / "sub").mkdir()
    save_labels(tmp_path / "sub/mask.png", labels)
    path = write(
        tmp_path,
        {
            "prompts": [
                BOX | {"label": "dog"},
                {"frame": 3, "object": 2, "points": [[4, 5], [9, 9]], "labels": [1, 0]},
                {"frame": 4, "object": 3, "mask": "sub/mask.png"},
            ],
            "removals": [{"frame": 9, "object": 1}],
        },
    )
    prompts, removals = read_prompts(path)
    assert [(p.frame_index, p.object_id, p.label) for p in prompts] == [(0, 1, "dog"), (3, 2, None), (4, 3, None)]
    np.testing.assert_array_equal(prompts[0].box, np.array([1, 2, 30, 20], np.float32))
    np.testing.assert_array_equal(prompts[1].labels, [True, False])
    np.testing.assert_array_equal(prompts[2].mask, labels > 0)
    assert [(r.frame_index, r.object_id) for r in removals] == [(9, 1)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "not valid JSON"),
        ([], "expected .*got list"),
        ({"prompt": []}, "did you mean 'prompts'"),
        ({"prompts": {}}, "to be a list, got dict"),
        ({"prompts": []}, "at least one prompt"),
        ({"prompts": [3]}, "prompt 0: expected an object"),
        ({"prompts": [BOX | {"obj": 1}]}, "unknown key 'obj'; did you mean 'object'"),
        ({"prompts": [BOX, BOX | {"object": 0}]}, "prompt 1: expected 'object' .*at least 1, got 0"),
        ({"prompts": [BOX | {"object": "1"}]}, "whole number"),
        ({"prompts": [BOX | {"object": True}]}, "whole number"),
        ({"prompts": [{"object": 1, "box": [1, 2, 3, 4]}]}, "'frame' .*got nothing"),
        ({"prompts": [BOX | {"frame": -1}]}, "'frame' .*at least 0"),
        ({"prompts": [BOX | {"box": [1, 2, 3]}]}, r"\[x1, y1, x2, y2\]"),
        ({"prompts": [BOX | {"box": [30, 2, 1, 20]}]}, "x1 < x2"),
        ({"prompts": [BOX | {"box": [1, 2, "x", 20]}]}, "finite numbers"),
        ('{"prompts": [{"frame": 0, "object": 1, "box": [1, 2, NaN, 20]}]}', "finite numbers"),
        ({"prompts": [{"frame": 0, "object": 1}]}, "one of mask, box, points"),
        ({"prompts": [{"frame": 0, "object": 1, "points": [[1, 2]]}]}, "expected labels"),
        ({"prompts": [{"frame": 0, "object": 1, "points": [[1, 2]], "labels": [0]}]}, "at least one point on"),
        ({"prompts": [{"frame": 0, "object": 1, "mask": "none.png"}]}, "does not exist"),
        ({"prompts": [{"frame": 0, "object": 1, "mask": 3}]}, "to be a path"),
        ({"prompts": [BOX | {"label": 3}]}, "'label' to be a text"),
        ({"prompts": [BOX], "removals": [{"frame": 3, "object": 7}]}, "no prompt .*names object 7"),
        ({"prompts": [BOX | {"frame": 5}], "removals": [{"frame": 3, "object": 1}]}, "no prompt up to frame 3"),
        ({"prompts": [BOX], "removals": [{"frame": 3}]}, "removal 0: expected 'object'"),
        ({"prompts": [BOX], "removals": [{"frame": 0, "object": 1}]}, "removal 0: .*remove it from frame 1 on"),
        ({"prompts": [BOX | {"object": 10**20}]}, r"'object' to be at most 9007199254740991 \(2\^53 - 1\)"),
        ({"prompts": [BOX | {"frame": 10**20}]}, "'frame' to be at most 9007199254740991"),
        ('{"prompts": [{"frame": 0, "object": ' + "9" * 5000 + "}]}", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        (r'{"prompts": [{"frame": 0, "object": 1, "box": [1, 2, 9, 9], "label": "\ud83d"}]}', "to be Unicode text"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_line(tmp_path, data, message):
    with pytest.raises(InputError, match=message) as caught:
        read_prompts(write(tmp_path, data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_that_editors_save(tmp_path, encoding):
    path = tmp_path / "prompts.json"
    path.write_bytes(json.dumps({"prompts": [BOX | {"label": "café 日本"}]}, ensure_ascii=False).encode(encoding))
    assert read_prompts(path)[0][0].label == "café 日本"


def test_other_encodings_are_told(tmp_path):
    path = tmp_path / "prompts.json"
    path.write_bytes(json.dumps({"prompts": [BOX | {"label": "café"}]}, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 \(byte \d+\): save it as UTF-8"):
        read_prompts(path)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(tmp_path / "none.json")


@pytest.mark.parametrize(("values", "ids"), [((1, 3), [1, 3]), ((255,), [1])], ids=["indexed", "0 and 255"])
def test_first_mask(tmp_path, values, ids):
    labels = np.zeros((20, 30), np.uint8)
    for row, value in enumerate(values):
        labels[4 * row : 4 * row + 3, 2:9] = value
    save_labels(tmp_path / "first.png", labels)
    prompts = read_first_mask(tmp_path / "first.png")
    assert [(p.frame_index, p.object_id) for p in prompts] == [(0, object_id) for object_id in ids]
    for prompt, value in zip(prompts, values, strict=True):
        np.testing.assert_array_equal(prompt.mask, labels == value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: save_labels(path, np.zeros((9, 9), np.uint8)), "holds no object"),
        (lambda path: Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(path), "holds no object"),
        (lambda path: path.write_text("not a picture"), "cannot be read as a picture"),
        (lambda path: None, "does not exist"),
    ],
    ids=["empty", "black", "text", "absent"],
)
def test_wrong_first_masks(tmp_path, make, message):
    make(tmp_path / "first.png")
    with pytest.raises(InputError, match=message):
        read_first_mask(tmp_path / "first.png")


def test_box_option():
    prompt = parse_box("7:1,2.5,30,20")
    assert prompt.object_id == 7
    assert prompt.box.tolist() == [1, 2.5, 30, 20]


WRONG_BOXES = ["1,2,3,4", "0:1,2,3,4", "1:1,2,3", "a:1,2,3,4", "1:a,b,c,d", "", "1:3,2,1,4", f"{10**20}:1,2,3,4"]


@pytest.mark.parametrize("text", WRONG_BOXES)
def test_wrong_box_options(text):
    with pytest.raises(InputError, match=r"id:x1,y1,x2,y2|x1 < x2"):
        parse_box(text)


def prompt(frame=0, object_id=1, **parts) -> Prompt:
    return Prompt(frame, object_id, **(parts or {"box": np.array([1, 2, 9, 9], np.float32)}))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (prompt(mask=np.ones((20, 31), bool)), "30x20; got 31x20"),
        (prompt(mask=np.zeros((20, 30), bool)), "mask is empty"),
        (prompt(box=np.array([40, 2, 50, 9], np.float32)), "outside the frame of 30x20"),
        (prompt(points=np.array([[1, 1], [5, 20]], np.float32), labels=np.ones(2, bool)), r"point \[5.0, 20.0\]"),
        (prompt(frame=9), "has 9 frames, from 0 to 8"),
        (prompt(object_id=10**20), "an id of at most 9007199254740991"),
        (prompt(box=np.array([0.2, 0.3, 0.8, 0.9], np.float32)), "look normalised; expected pixels .* 30x20"),
        (prompt(box=np.array([0, 0, 1, 1], np.float32)), "look normalised"),
        (prompt(points=np.array([[0.2, 0.5]], np.float32), labels=np.ones(1, bool)), "look normalised"),
    ],
)
def test_prompts_that_do_not_fit(wrong, message):
    with pytest.raises(InputError, match=message):
        check_prompts([wrong], (20, 30), 9)


@pytest.mark.parametrize(("second", "fits"), [([1, 1], True), ([0.5, 0.5], False)], ids=["pixels", "fractions"])
def test_clicks_on_the_corner_pixels_are_no_fractions(second, fits):
    clicks = prompt(points=np.array([[0, 0], second], np.float32), labels=np.ones(2, bool))
    if fits:
        assert check_prompts([clicks], (20, 30)) is None
    else:
        with pytest.raises(InputError, match="look normalised"):
            check_prompts([clicks], (20, 30))


def test_an_object_that_is_removed_before_its_first_frame_is_not_followed():
    schedule = Schedule()
    schedule.add(prompt(0))
    schedule.add(prompt(0, 2))
    schedule.name(1, "Rex")
    schedule.remove(1)
    assert [[p.object_id for p in prompts] + list(more) for prompts, *more in [schedule.take(0)]] == [[2, (), ()]]
    schedule.add(prompt(5, 3))
    with pytest.raises(InputError, match="removal of object 3 at frame 4: it is first pointed at in frame 5"):
        schedule.remove(3, 4)


def test_an_object_can_be_replaced_in_one_frame():
    schedule = Schedule()
    schedule.add(prompt(0))
    schedule.add(prompt(3))
    schedule.remove(1, 3)
    assert [len(words) for words in schedule.take(0)] == [1, 0, 0]
    assert [len(words) for words in schedule.take(3)] == [1, 1, 0]


def test_schedule_hands_over_at_the_frame():
    schedule = Schedule()
    assert schedule.is_empty
    schedule.add(prompt(0))
    schedule.add(prompt(2, 4))
    schedule.remove(1, 2)
    assert not schedule.is_empty
    taken = [schedule.take(index) for index in range(4)]
    assert [[p.object_id for p in prompts] for prompts, _, _ in taken] == [[1], [], [4], []]
    assert [[r.object_id for r in removals] for _, removals, _ in taken] == [[], [], [1], []]
    assert schedule.next_index == 4


def test_schedule_refuses_the_past_and_the_unknown():
    schedule = Schedule()
    schedule.add(prompt(0))
    schedule.take(0)
    with pytest.raises(InputError, match="is past, the next one is 1"):
        schedule.add(prompt(0, 2))
    with pytest.raises(InputError, match="is past, the next one is 1"):
        schedule.remove(1, 0)
    with pytest.raises(InputError, match=r"object 9 is not followed .*\(followed: 1\)"):
        schedule.remove(9)
    schedule.remove(1)
    with pytest.raises(InputError, match="followed: none"):
        schedule.remove(1)


def test_schedule_knows_discovered_objects():
    schedule = Schedule()
    ids = np.array([3], np.int64)
    masks = ObjectMasks(
        (2, 2), ids, ({"size": [2, 2], "counts": b"4"},), np.zeros((1, 4), np.float32), np.ones(1, np.float32),
        ("tracked",), ("dog",),
    )  # fmt: skip
    schedule.note(masks)
    schedule.remove(3)
    assert [r.object_id for r in schedule.take(0)[1]] == [3]


def test_schedule_hands_names_over_with_the_next_frame():
    schedule = Schedule()
    with pytest.raises(InputError, match=r"object 1 is not followed and cannot be named \(followed: none\)"):
        schedule.name(1, "Rex")
    schedule.add(prompt(0))
    with pytest.raises(InputError, match="expected a name"):
        schedule.name(1, " ")
    schedule.take(0)
    schedule.name(1, "Rex")
    assert schedule.take(1)[2] == (Naming(1, 1, "Rex"),) and schedule.take(2)[2] == ()


def test_schedule_goes_on_in_the_middle():
    schedule = Schedule()
    for frame in (0, 5, 6):
        schedule.add(prompt(frame, frame + 1))
    schedule.restart(6)
    assert schedule.next_index == 6
    assert [p.object_id for p in schedule.take(6)[0]] == [7]
    assert not schedule.is_empty


def test_digest():
    one, same, other = parse_box("1:1,2,30,20"), parse_box("1:1,2,30,20"), parse_box("1:1,2,30,21")
    mask = np.eye(5, dtype=bool)
    assert digest([], []) is None
    assert digest([one], []) == digest([same], [])
    different = ([one], []), ([other], []), ([one], [Removal(3, 1)]), ([Prompt(0, 1, mask=mask)], [])
    assert len({digest(*words) for words in different}) == 4
