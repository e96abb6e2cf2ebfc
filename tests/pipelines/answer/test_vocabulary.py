"""Every class by its names, and what is only suggested."""

import pytest

from pipelines.answer.vocabulary import classes_of, is_plural, singular, suggest
from streamvos.models.coco import NAMES


def test_vehicle_and_animal_are_groups():
    assert {"car", "truck", "bus", "motorcycle", "bicycle"} <= classes_of("vehicles")
    assert "dog" in classes_of("animal") and "car" not in classes_of("animal")


@pytest.mark.parametrize("name", NAMES)
def test_every_class_is_known_in_singular_and_plural(name):
    assert classes_of(name) >= {name}
    if name not in ("skis", "scissors", "sheep", "broccoli"):
        head, _, tail = name.rpartition(" ")
        many = {"person": "people", "mouse": "mice", "knife": "knives"}.get(
            tail, tail + ("es" if tail.endswith(("s", "sh", "ch", "x")) else "s")
        )
        assert classes_of(f"{head} {many}".strip()) >= {name}
        assert is_plural(many) and singular(many) == tail


def test_suggestions_are_only_suggestions():
    assert suggest("bycicle", None) == "bicycle" and suggest("submarine", None) is None
    assert [suggest(word, None) for word in ("not", "more", "happy", "bark")] == [None] * 4
    assert classes_of("submarine") is None
