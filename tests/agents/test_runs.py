"""A run that was stopped goes on to the same bit, and its folder says what was run."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents import runs
from agents.learning import learn
from agents.training import train
from mdp.errors import BadArtifact, BadInput
from policies.network import NetworkPolicy

ALGORITHMS = ("ppo", "dqn")


class Stopped(Exception):
    """What stops a run."""


def _graph(bundle):
    assert isinstance(bundle.policy, NetworkPolicy)
    return bundle.policy.graph


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_resumed_is_the_same_to_the_bit(shop, quick, tiny, trained, algo, tmp_path, monkeypatch):
    save = runs.Run.save

    def save_and_stop(self, model, judge, part, prices):
        save(self, model, judge, part, prices)
        raise Stopped

    monkeypatch.setattr(runs.Run, "save", save_and_stop)
    with pytest.raises(Stopped):
        train(shop, algo, 3, tiny[algo], ["first"], run=tmp_path / "run")
    monkeypatch.setattr(runs.Run, "save", save)
    resumed = train(shop, algo, 3, tiny[algo], run=tmp_path / "run", resume=True)
    whole = trained[algo]
    assert _graph(resumed) == _graph(whole)
    assert resumed.manifest["metrics"] == whole.manifest["metrics"]
    assert len(resumed.manifest["metrics"]["evaluations"]) == 4


def test_the_folder_says_what_was_run(trained, folders):
    said = json.loads((folders["ppo"] / "run.json").read_text())
    assert said["command"] == ["pushwise", "train"]
    assert said["settings"]["steps"] == 384
    assert said["versions"]["numpy"] == np.__version__
    assert said["simulator_hash"] == trained["ppo"].manifest["simulator_hash"]


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_curves_show_value_and_what_it_comes_from(trained, folders, algo):
    events = EventAccumulator(str(folders[algo]))
    events.Reload()
    names = set(events.Tags()["scalars"])
    wanted = {"eval/value", "eval/minus_planner", "eval/sends_per_week", "reward/purchase"}
    assert wanted | {"hours/09", "variants/0", "network/trust", "network/norm_of_trunk"} <= names
    values = [event.value for event in events.Scalars("eval/value")]
    judged = [value for _, value in trained[algo].manifest["metrics"]["evaluations"]]
    np.testing.assert_allclose(values, judged, rtol=1e-6)


def test_what_cannot_be_resumed_is_refused(shop, tmp_path):
    with pytest.raises(BadInput, match="needs the folder"):
        learn(shop, "ppo", resume=True)
    with pytest.raises(BadInput, match="greedy is done at once"):
        learn(shop, "greedy", run=tmp_path)


def test_another_run_is_not_resumed(shop, tiny, trained, folders):
    with pytest.raises(BadInput, match="seed 3, and now it is 4"):
        train(shop, "ppo", 4, tiny["ppo"], run=folders["ppo"], resume=True)
    busier = replace(shop, organic=replace(shop.organic, slump=0.3))
    with pytest.raises(BadInput, match="simulator_hash"):
        train(busier, "ppo", 3, tiny["ppo"], run=folders["ppo"], resume=True)


def test_a_folder_that_holds_something_else_is_left_alone(shop, tiny, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(BadInput, match="holds no run"):
        train(shop, "ppo", 3, tiny["ppo"], run=tmp_path)


def test_a_broken_state_is_named(shop, quick, tiny, trained, folders, tmp_path):
    folder = folders["dqn"]
    for name in ("run.json", "state.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(BadArtifact, match="no state to resume from"):
        train(shop, "dqn", 3, tiny["dqn"], ["pushwise", "train"], run=tmp_path, resume=True)
