import dataclasses

import numpy as np
import pytest

from pipelines.graph.build import GraphConfig, StreamSetup, all_names, build_stages, resolve
from pipelines.graph.chain import Pipeline, available_threads
from streamvos.errors import InputError, MissingWeightsError
from streamvos.records import Frame, StepResult


class Recorder:
    """A stage that counts."""

    def __init__(self, name: str, fails: bool = False) -> None:
        self.name, self.num_steps, self.num_closed, self._fails = name, 0, 0, fails

    def step(self, frame, result):
        self.num_steps += 1
        return dataclasses.replace(result, shot_index=result.shot_index * 10 + self.num_steps)

    def reset(self):
        self.num_steps = 0

    def stats(self):
        return {f"memory of {self.name}": self.num_steps}

    def state_dict(self):
        return {"num_steps": self.num_steps}

    def load_state_dict(self, state):
        self.num_steps = state["num_steps"]

    def products(self):
        return {"num_steps": self.num_steps}

    def close(self):
        self.num_closed += 1
        if self._fails:
            raise OSError(self.name)


FRAME = Frame("s", 0, 0.0, np.zeros((8, 8, 3), np.uint8))


def test_pipeline_calls_in_order_and_times_each_stage():
    first, second = Recorder("first"), Recorder("second")
    pipeline = Pipeline([first, second])
    pipeline.step(FRAME, StepResult.of(FRAME))
    result = pipeline.step(FRAME, StepResult.of(FRAME))
    assert result.shot_index == 22
    assert list(result.timings_s) == ["first", "second"]
    assert all(seconds > 0 for seconds in result.timings_s.values())
    assert pipeline.stats() == {"memory of first": 2, "memory of second": 2}
    assert pipeline.products() == {"first": {"num_steps": 2}, "second": {"num_steps": 2}}


def test_pipeline_state_goes_round():
    pipeline, other = Pipeline([Recorder("a"), Recorder("b")]), Pipeline([Recorder("a"), Recorder("b")])
    pipeline.step(FRAME, StepResult.of(FRAME))
    other.load_state_dict(pipeline.state_dict())
    assert other.state_dict() == {"a": {"num_steps": 1}, "b": {"num_steps": 1}}
    other.reset()
    assert other.state_dict()["b"] == {"num_steps": 0}


def test_snapshot_of_other_stages_is_refused():
    with pytest.raises(InputError, match="stages a, b; these are a"):
        Pipeline([Recorder("a")]).load_state_dict({"a": {}, "b": {}})


def test_all_stages_are_closed_once_though_one_fails():
    stages = [Recorder("a"), Recorder("b", fails=True), Recorder("c")]
    pipeline = Pipeline(stages)
    with pytest.raises(OSError, match="b"):
        pipeline.close()
    pipeline.close()
    assert [stage.num_closed for stage in stages] == [1, 1, 1]


def test_each_stage_once():
    with pytest.raises(InputError, match="each once"):
        Pipeline([Recorder("a"), Recorder("a")])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": ()}, "got none"),
        ({"stages": ("segmnt",)}, "did you mean 'segment'"),
        ({"stages": ("detect", "detect")}, "each once"),
        ({"size": 32}, "at least 64"),
        ({"threads": -1}, "setting threads: expected a whole number of at least 0"),
        ({"seed": -1}, "setting seed: expected a whole number of at least 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message):
        GraphConfig(**settings)


def test_resolve_decides_everything(monkeypatch):
    config = resolve(GraphConfig(stages=("remember", "detect"), size=96, threads=3, device="cpu"))
    assert config.stages == ("detect", "remember")
    assert all_names(config) == ("shots", "detect", "remember")
    assert (config.threads, config.device) == (3, "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert resolve(GraphConfig(device="cpu")).threads == available_threads() == 1


def test_hub_profile_names_the_command_that_gets_its_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="streamvos models fetch sam-hq-vit-tiny"):
        resolve(GraphConfig(profile="hub", device="cpu"))


def test_build_stages_in_the_order_asked_for(tmp_path):
    config = resolve(GraphConfig(size=96, threads=1, device="cpu"))
    stages = build_stages(config, all_names(config), StreamSetup("s", "here", tmp_path / "memory"))
    assert [stage.name for stage in stages] == ["shots", "detect", "segment", "reconstruct", "remember"]
    Pipeline(stages).close()


def test_remember_needs_a_folder():
    config = resolve(GraphConfig(stages=("remember",), device="cpu"))
    with pytest.raises(InputError, match="memory_dir"):
        build_stages(config, ("remember",), StreamSetup("s", "here"))
