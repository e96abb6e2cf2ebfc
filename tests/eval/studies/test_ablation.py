"""Variants, their rows by hand, and their picture."""

from pathlib import Path

import numpy as np
import pytest

from eval.reporting.ablation_plot import ablation_plot
from eval.reporting.results import render
from eval.running.harness import SequenceScores
from eval.studies.ablation import TABLE, Runs, Variant, ablation_rows, draws_random, own_weights, read_variants
from pipelines.graph.build import GraphConfig
from streamvos import config as configuration
from streamvos.errors import InputError


def scores(name: str, by_object: list[float], outcomes: tuple[str, ...] = (), switches: int = 0) -> SequenceScores:
    ids = list(range(1, len(by_object) + 1))
    identities = {
        str(key): {
            "visible_frames": 10,
            "wrong_id_frames": 0,
            "switches": switches if key == 1 else 0,
            "absent_frames": 0,
            "imagined_frames": 0,
            "returns": [{"outcome": outcome} for outcome in outcomes] if key == 1 else [],
            "returns_any": [{"outcome": "missed"} for _ in outcomes] if key == 1 else [],
        }
        for key in ids
    }
    # J and F differ, their mean is the value given
    by_measure = {"J mean": [value - 2 for value in by_object], "F mean": [value + 2 for value in by_object]}
    kept = {"object_ids": ids, "by_object": by_measure, "identities": identities, "key_frame_bytes": 3 * 2**20}
    return SequenceScores(name, 10, 2.0, kept)


def runs(name: str, *by_seed: list[SequenceScores]) -> Runs:
    return Runs(Variant(name, f"the {name}", {}), by_seed)


BASE = runs("base", [scores("a", [50.0, 70.0], ("found", "missed")), scores("b", [60.0])])
BETTER = runs(
    "better",
    [scores("a", [55.0, 71.0], ("found", "found"), 1), scores("b", [60.0])],
    [scores("a", [57.0, 73.0], ("found", "wrong"), 2), scores("b", [66.0])],
)


def test_rows_by_hand() -> None:
    base, better = ablation_rows("set", [BASE, BETTER], with_identities=True)
    assert base["J&F"] == 60.0 and base["±"] == round(10 / np.sqrt(3), 2)
    assert base["gain"] is None and base["± gain"] is None and base["± seeds"] is None and base["seeds"] == 1
    assert (base["returns"], base["found"], base["wrong"], base["id switches"]) == (2, 50.0, 0.0, 0)
    # seeds: 62 and 65.33; objects: 56, 72, 63, so gains of 6, 2, 3
    assert better["J&F"] == 63.67 and better["gain"] == 3.67 and better["seeds"] == 2
    assert better["± gain"] == round(np.std([6, 2, 3], ddof=1) / np.sqrt(3), 2)
    assert better["± seeds"] == round(np.std([62, 196 / 3], ddof=1), 2)
    assert (better["returns"], better["found"], better["wrong"], better["id switches"]) == (2, 75.0, 25.0, 1.5)
    assert (better["found, any px"], better["wrong, any px"]) == (0.0, 0.0)
    assert better["frames/s"] == 5.0 and better["key frames, MiB"] == 3.0 and better["objects"] == 3
    assert list(base) == list(better)


def test_one_object_has_no_spread_and_official_sets_no_identities() -> None:
    one, two = (runs(name, [scores("a", [50.0])]) for name in ("base", "other"))
    base, other = ablation_rows("set", [one, two], with_identities=False)
    assert base["±"] is None and other["± gain"] is None and other["gain"] == 0.0
    assert base["returns"] is None and base["found"] is None and base["id switches"] is None


def test_picture_of_sets_with_and_without_returns() -> None:
    rows = ablation_rows("long", [BASE, BETTER], True) + ablation_rows("davis", [BASE, BETTER], False)
    assert render(ablation_plot(rows))[:4] == b"\x89PNG"
    assert render(ablation_plot(rows[2:]))[:4] == b"\x89PNG"
    assert render(ablation_plot(ablation_rows("one", [runs("base", [scores("a", [0.0])])], True)))[:4] == b"\x89PNG"


def test_the_table_that_comes_with_it_has_what_it_must() -> None:
    variants = {one.name: one for one in read_variants(TABLE)}
    configs = {name: configuration.merge(GraphConfig(), one.settings).segment for name, one in variants.items()}
    for part in ("base", "refiner", "memory", "appearance", "all"):
        segment = configs[part]
        assert segment.base == "trained"
        assert (segment.refiner != "none") is (part in ("refiner", "all"))
        assert segment.verify is (part in ("appearance", "all"))
        assert (segment.tracker.keyframes.max_per_object > 1) is (part in ("memory", "all"))
    policies = {name: segment.tracker for name, segment in configs.items() if name.startswith("policy-")}
    assert {one.keyframes.policy for one in policies.values()} == {"fifo", "gap", "dmaot", "rmem", "dam4sam"}
    smart = configs["memory"].tracker
    for one in policies.values():  # equal bytes, and read alike
        assert (one.keyframes.max_per_object, one.views_read, one.views_chosen) == (
            smart.keyframes.max_per_object,
            smart.views_read,
            smart.views_chosen,
        )
    assert {one.control for one in variants.values()} == {"none", "no-memory", "other-video"}


def test_variants_extend_each_other_and_the_base_always_runs(tmp_path: Path) -> None:
    table = tmp_path / "table.toml"
    table.write_text(
        'base.settings.segment = { refiner = "none", refine.min_agreement = 0.5 }\n'
        '[more]\nextends = "base"\nsettings.segment = { refiner = "grabcut" }\n'
        '[most]\ntitle = "the most"\nextends = "more"\ncontrol = "no-memory"\nsettings.segment.max_objects = 3\n'
    )
    base, most = read_variants(table, ["most"])
    assert (base.name, base.title, base.control) == ("base", "base", "none")
    assert (most.title, most.control) == ("the most", "no-memory")
    assert most.settings["segment"] == {"refiner": "grabcut", "refine": {"min_agreement": 0.5}, "max_objects": 3}
    config = configuration.merge(GraphConfig(), most.settings)
    assert draws_random(config, "mask") and not draws_random(GraphConfig(), "mask")
    boxes = configuration.merge(GraphConfig(), {"segment": {"first_masks": "grabcut"}})
    assert draws_random(boxes, "box") and not draws_random(boxes, "mask")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 'base'.* as the first variant"),
        ("[more]\n[base]\n", "expected 'base'"),
        ("base = 3\n", "expected a table for each variant"),
        ("[base]\nsetings = {}\n", "unknown field of variant base 'setings'; did you mean 'settings'"),
        ('[base]\n[x]\nextends = "y"\n', "unknown variant above x 'y'"),
        ('[base]\ncontrol = "no memory"\n', "did you mean 'no-memory'"),
        ("[base]\nsettings.segment.refinr = 1\n", "did you mean 'segment.refiner'"),
    ],
)
def test_tables_that_cannot_be_run_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "table.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_variants(tmp_path / "table.toml")


def test_unknown_variants_are_refused_and_weights_named() -> None:
    with pytest.raises(InputError, match="unknown variant 'al'; did you mean 'all'"):
        read_variants(TABLE, ["al"])
    assert "embedded-tracker " in own_weights()
