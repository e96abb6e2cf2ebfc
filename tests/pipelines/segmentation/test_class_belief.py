"""What an object is called after several sightings."""

from __future__ import annotations

import pytest

from pipelines.segmentation.class_belief import ClassBelief


def seen(*sightings: tuple[str, float]) -> ClassBelief:
    belief = ClassBelief()
    for name, score in sightings:
        belief.see(name, score)
    return belief


@pytest.mark.parametrize(
    ("sightings", "name", "score"),
    [
        ([], "", None),
        ([("dog", 0.9)], "dog", 0.9),
        ([("dog", 0.9), ("cat", 0.6), ("cat", 0.5)], "", 0.9),
        ([("dog", 0.5), ("cat", 0.9), ("cat", 0.9)], "cat", 0.9),
        ([("dog", 0.9), ("cat", 0.6), ("dog", 0.7)], "dog", 0.7),
        ([("car", 0.6), ("truck", 0.7)] * 20, "", 0.6),
        ([("car", 0.7), ("truck", 0.6), ("car", 0.8)], "car", 0.8),
    ],
    ids=["none", "one", "ahead by a little", "ahead by a sighting", "the latest score", "two by turns", "two to one"],
)
def test_the_name_changes_when_another_class_is_well_ahead(
    sightings: list[tuple[str, float]], name: str, score: float | None
) -> None:
    belief = seen(*sightings)
    assert (belief.name, belief.score) == (name, score)


def test_the_more_was_seen_the_further_ahead_another_class_must_be() -> None:
    belief = seen(*[("car", 0.8)] * 20)
    names = []
    for _ in range(40):
        belief.see("truck", 0.9)
        names.append((belief.leading, belief.name))
    assert names[0] == ("car", "car") and names[14] == ("car", "")  # 16.0 of car, 13.5 of truck
    assert names[20][0] == "car" and names[21][0] == "truck"  # more than 19.2 of truck
    assert names[22][1] == "" and names[39] == ("truck", "truck")


def test_it_comes_back_from_its_snapshot() -> None:
    belief = seen(("dog", 0.9), ("cat", 0.4))
    state = belief.state_dict()
    belief.see("cat", 9.0)
    assert ClassBelief(**state) == seen(("dog", 0.9), ("cat", 0.4))
