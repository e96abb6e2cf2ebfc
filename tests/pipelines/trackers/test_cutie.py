"""Cutie's parts taken apart against the package's own loop; buckets, removal, budget, loading."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.trackers.cutie import CutieConfig, CutieTracker
from pipelines.trackers.protocol import Propagation, TrackerSetup
from streamvos.errors import InputError, IntegrityError
from streamvos.models.cutie import cutie_settings, load_cutie, random_cutie

CPU = torch.device("cpu")
SIZE = 64
SETUP = TrackerSetup(SIZE, CPU, budget_bytes=768 * 2**20, object_budget_bytes=12 * 2**20)
TWICE = dataclasses.replace(SETUP, size=2 * SIZE)
Film = Callable[[int], tuple[np.ndarray, dict[int, np.ndarray]]]

pytestmark = pytest.mark.usefixtures("cutie_installed")


@pytest.fixture
def tracker(weights: Path) -> CutieTracker:
    return CutieTracker(CutieConfig(), SETUP)


def start(tracker: CutieTracker, film: Film, ids: tuple[int, ...] = (1, 2)) -> None:
    image, truth = film(0)
    tracker.observe(image)
    for object_id in ids:
        tracker.add(0, object_id, truth[object_id])
    tracker.memorize(0, tracker.propagate(), {})


def step(tracker: CutieTracker, film: Film, index: int, confident: dict[int, bool], hidden: int = 0) -> None:
    image, truth = film(index)
    tracker.observe(image)
    ids = tracker.propagate().object_ids
    masks = np.array([truth[1 if key % 2 else 2] & (key != hidden) for key in ids], np.float32)
    tracker.memorize(index, Propagation(ids, masks), confident)


def doubled(film: Film, index: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """A frame at (128, 192): the package's own loop needs at least 30 cells.

    Noisy, for among cells that are equal the best matches are chosen by accident.
    """
    image, truth = film(index)
    noise = np.random.default_rng(index).integers(-20, 21, (2 * image.shape[0], 2 * image.shape[1], 3))
    noisy = np.clip(image.repeat(2, 0).repeat(2, 1) + noise, 0, 255).astype(np.uint8)
    return noisy, {key: mask.repeat(2, 0).repeat(2, 1) for key, mask in truth.items()}


def test_it_finds_what_the_package_finds(weights: Path, film: Film) -> None:
    """Every mask handed back unchanged and confident: the package's own `InferenceCore.step`."""
    from cutie.inference.inference_core import InferenceCore

    tracker = CutieTracker(CutieConfig(), TWICE)
    image, truth = doubled(film, 0)
    tracker.observe(image)
    for object_id in (1, 2):
        tracker.add(0, object_id, truth[object_id])
    tracker.memorize(0, Propagation(np.zeros(0, np.int64), np.zeros((0, 128, 192), np.float32)), {})
    core = InferenceCore(tracker._network, cutie_settings("small"))
    with torch.inference_mode():
        for index in range(12):
            image, _ = doubled(film, index)
            pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
            if index == 0:
                core.step(pixels, torch.from_numpy(truth[1] * 1 + truth[2] * 2), [1, 2])
                continue
            expected = core.step(pixels)[1:].numpy()
            tracker.observe(image)
            found = tracker.propagate()
            apart = np.abs(found.probabilities - expected)  # of equally good matches, another may be among the best
            assert np.quantile(apart, 0.99) < 1e-3, f"frame {index}"
            tracker.memorize(index, found, {1: True, 2: True})
    assert (expected > 0.5).any(axis=(1, 2)).all(), "nothing was found: the memories were not compared"
    assert tracker.stats().entries == 3  # frames 0, 5 and 10


def test_weights_are_loaded_and_random_ones_only_on_request(weights: Path, film: Film) -> None:
    loaded = CutieTracker(CutieConfig(), SETUP)._network.state_dict()
    stored = torch.load(next(weights.rglob("cutie-small-mega.pth")), weights_only=True)
    assert all(torch.equal(loaded[name], stored[name]) for name in stored)
    before = torch.random.get_rng_state()
    one, again, other = (
        CutieTracker.randomly_initialised(seed, CutieConfig(), SETUP)._network.state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    name = "key_proj.key_proj.weight"
    assert torch.equal(one[name], again[name]) and not torch.equal(one[name], other[name])


def test_objects_that_came_together_share_keys_until_they_disagree(tracker: CutieTracker, film: Film) -> None:
    start(tracker, film)
    assert tracker._memory.groups == [[1, 2]]
    for index in range(1, 6):
        step(tracker, film, index, {1: True, 2: True})
    assert tracker._memory.groups == [[1, 2]]
    for index in range(6, 11):
        step(tracker, film, index, {1: True, 2: False})
    assert tracker._memory.groups == [[1], [2]]
    sizes = [tracker._memory._manager.work_mem.size(bucket) for bucket in tracker._memory._manager.work_mem.buckets]
    assert sizes == [3 * 24, 2 * 24]  # only object 1 learned frame 10
    step(tracker, film, 11, {1: True, 2: True})


def test_the_absent_are_written_as_absent(tracker: CutieTracker, film: Film) -> None:
    start(tracker, film)
    for index in range(1, 6):
        step(tracker, film, index, {1: True, 2: False}, hidden=2)
    assert tracker._memory.groups == [[1, 2]]
    written = tracker.drain_events()[-1]
    assert written.reason == "kept a view of objects 1, 2: the masks are confident; absent: 2"
    assert written.numbers == {"confident": 1, "absent": 1}
    for index in range(6, 20):
        step(tracker, film, index, {1: False, 2: False}, hidden=2)
    assert tracker.stats().entries == 2  # nobody was sure


def test_a_removed_object_leaves_nothing_behind(tracker: CutieTracker, film: Film) -> None:
    start(tracker, film)
    for index in range(1, 61):  # far enough for the long-term memory
        step(tracker, film, index, {1: True, 2: True})
    manager = tracker._memory._manager
    assert manager.long_mem.buckets == {0: [1, 2]}
    tracker.remove(2)
    for held in (manager.sensory, manager.obj_v, manager.work_mem.v, manager.long_mem.v):
        assert list(held) == [1]
    assert tracker._memory._objects.all_historical_object_ids == [1]
    tracker.add(60, 2, film(60)[1][2])
    tracker.memorize(60, tracker.propagate(), {})
    tracker.remove(1)
    assert list(manager.work_mem.k) == [1] and list(manager.work_mem.perm_end_pt) == [1]
    assert not manager.long_mem.k and list(manager.obj_v) == [2]
    tracker.remove(2)
    assert tracker.state_bytes() == 0 and tracker.stats().entries == 0


def test_an_id_that_returns_is_a_new_object(tracker: CutieTracker, film: Film) -> None:
    """Sums of the old one's object memory would be added to, were they kept."""
    seen = []
    for detour in (False, True):
        tracker.reset()
        start(tracker, film, (1, 2) if detour else (1,))
        if detour:
            tracker.remove(2)
        tracker.observe(film(1)[0])
        tracker.add(1, 2, film(1)[1][1])
        tracker.memorize(1, tracker.propagate(), {})
        seen.append(tracker._memory._manager.obj_v[2].clone())
    areas = [sums[..., -1] for sums in seen]  # of one mask; twice as much with the old one's
    assert torch.allclose(areas[0], areas[1], rtol=0.05, atol=0.05) and float(areas[0].max()) > 1


def test_long_term_memory_is_bounded(weights: Path, film: Film) -> None:
    tracker = CutieTracker(CutieConfig(memorize_every=1, max_long_term_tokens=512), TWICE)
    tokens, actions = [], set()
    for index in range(45):
        image, truth = doubled(film, index)
        tracker.observe(image)
        if index == 0:
            tracker.add(0, 1, truth[1])
        found = tracker.propagate()
        tracker.memorize(index, Propagation(found.object_ids, truth[1][None].astype(np.float32)), {1: True})
        tokens.append(tracker._memory._manager.long_mem.size(0))
        actions |= {event.action for event in tracker.drain_events()}
    assert 300 < max(tokens) <= 512 and tokens[-1] < max(tokens)
    assert actions == {"write", "merge", "evict"}


def test_bytes_stay_within_the_budget(weights: Path, film: Film) -> None:
    budget = 600_000
    tracker = CutieTracker(CutieConfig(memorize_every=1), dataclasses.replace(SETUP, budget_bytes=budget))
    start(tracker, film)
    for index in range(1, 40):
        step(tracker, film, index, {1: True, 2: index % 7 > 0})
        assert tracker.stats().bytes <= budget == tracker.stats().capacity_bytes
    evicted = [event for event in tracker.drain_events() if event.action == "evict"]
    assert evicted and all(event.numbers["bytes"] > event.numbers["budget_bytes"] == budget for event in evicted)
    assert len(tracker._memory._manager.work_mem.buckets) == 2
    for bucket, permanent in tracker._memory._manager.work_mem.perm_end_pt.items():
        assert permanent == 24 <= tracker._memory._manager.work_mem.size(bucket)  # the first view stays


def test_more_objects_than_the_budget_holds_are_refused(weights: Path, film: Film) -> None:
    tracker = CutieTracker(CutieConfig(), dataclasses.replace(SETUP, budget_bytes=100_000))
    tracker.observe(film(0)[0])
    tracker.add(0, 1, film(0)[1][1])
    with pytest.raises(InputError, match="hold the first views of 1 objects .* not of 2"):
        tracker.add(0, 2, film(0)[1][2])
    tracker.memorize(0, tracker.propagate(), {})
    assert tracker.propagate().object_ids.tolist() == [1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop("key_proj.key_proj.weight"), "1 missing .first: key_proj.key_proj.weight"),
        (lambda state: state.update(other=torch.zeros(1)), "1 unexpected .first: other"),
        (lambda state: state.update({"pix_feat_proj.bias": torch.zeros(3)}), "1 of another shape"),
    ],
    ids=["missing", "unexpected", "shape"],
)
def test_a_checkpoint_of_another_model_is_refused(
    damage: Callable[[dict], object], message: str, tmp_path: Path, network_state: dict
) -> None:
    state = dict(network_state)
    damage(state)
    torch.save(state, tmp_path / "bad.pth")
    with pytest.raises(IntegrityError, match=message):
        load_cutie("small", tmp_path / "bad.pth", CPU)


def test_heads_for_training_may_be_absent(tmp_path: Path, network_state: dict) -> None:
    lean = {name: value for name, value in network_state.items() if not name.startswith("aux_computer.")}
    torch.save(lean, tmp_path / "lean.pth")
    assert len(lean) < len(network_state) and load_cutie("small", tmp_path / "lean.pth", CPU)
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(IntegrityError, match="cannot be read"):
        load_cutie("small", tmp_path / "text.pth", CPU)


@pytest.fixture(scope="module")
def network_state(cutie_installed_once: None) -> dict[str, torch.Tensor]:
    return random_cutie("small", 0, CPU).state_dict()


@pytest.fixture(scope="module")
def cutie_installed_once() -> None:
    pytest.importorskip("cutie")


def test_both_sizes_are_built_without_the_network(no_network: None) -> None:
    small, base = (
        sum(value.numel() for value in random_cutie(size, 0, CPU).parameters()) for size in ("small", "base")
    )
    assert small == 28_747_578 and base == 35_024_186
    from cutie.model.utils import resnet

    assert resnet.resnet18.__module__ == resnet.resnet50.__module__ == "cutie.model.utils.resnet"


def test_without_the_package_the_install_line_is_said() -> None:
    """In a process of its own, where the package cannot be found."""
    code = (
        "import importlib.metadata as m\n"
        "found = m.distribution\n"
        "def hide(name):\n"
        "    if name == 'rf-cutie': raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.distribution = hide\n"
        "import torch\n"
        "from pipelines.segment import SegmentConfig, SegmentStage\n"
        "SegmentStage(SegmentConfig(), 64, torch.device('cpu'))\n"
        "try: SegmentStage(SegmentConfig(base='cutie'), 64, torch.device('cpu'))\n"
        "except ValueError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "InputError the base tracker cutie needs the package rf-cutie; install it with: pip install 'streamvos[cutie]'"
    )


def test_nothing_is_said_of_old_autocast(film: Film, recwarn: pytest.WarningsRecorder) -> None:
    tracker = CutieTracker.randomly_initialised(0, dataclasses.replace(CutieConfig(), memorize_every=1), SETUP)
    start(tracker, film)
    step(tracker, film, 1, {1: True, 2: True})
    assert not [one for one in recwarn if issubclass(one.category, FutureWarning)]
