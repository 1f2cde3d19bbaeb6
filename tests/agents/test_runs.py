"""A run that was stopped goes on to the same bit, and its folder says what was run."""

import json
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents import runs
from agents.dqn import DQNSettings
from agents.ppo import PPOSettings
from agents.training import train
from mdp.errors import BadArtifact, BadInput
from policies.network import NetworkPolicy

TINY: dict[str, Any] = {
    "ppo": PPOSettings(steps=384, users=16, days=8, rollout=8, batch_size=64, epochs=1, hidden=8),
    "dqn": DQNSettings(steps=384, users=16, days=8, replay=256, learning_starts=64, hidden=8),
}


class Stopped(Exception):
    """What stops a run."""


def _graph(bundle):
    assert isinstance(bundle.policy, NetworkPolicy)
    return bundle.policy.graph


@pytest.fixture(scope="module")
def finished(shop, quick, tmp_path_factory):
    """Runs that were not stopped, by algorithm: the policy and the folder."""
    out = {}
    for algo, settings in TINY.items():
        folder = tmp_path_factory.mktemp(algo) / "run"
        out[algo] = train(shop, algo, 3, settings, ["pushwise", "train"], run=folder), folder
    return out


@pytest.mark.parametrize("algo", TINY)
def test_resumed_is_the_same_to_the_bit(shop, finished, algo, tmp_path, monkeypatch):
    save = runs.Run.save

    def save_and_stop(self, model, judge, part, prices):
        save(self, model, judge, part, prices)
        raise Stopped

    monkeypatch.setattr(runs.Run, "save", save_and_stop)
    with pytest.raises(Stopped):
        train(shop, algo, 3, TINY[algo], run=tmp_path / "run")
    monkeypatch.setattr(runs.Run, "save", save)
    resumed = train(shop, algo, 3, TINY[algo], run=tmp_path / "run", resume=True)
    whole = finished[algo][0]
    assert _graph(resumed) == _graph(whole)
    assert resumed.manifest["metrics"] == whole.manifest["metrics"]
    assert len(resumed.manifest["metrics"]["evaluations"]) == 4


def test_the_folder_says_what_was_run(finished):
    bundle, folder = finished["ppo"]
    said = json.loads((folder / "run.json").read_text())
    assert said["command"] == ["pushwise", "train"]
    assert said["settings"]["steps"] == 384
    assert said["versions"]["numpy"] == np.__version__
    assert said["simulator_hash"] == bundle.manifest["simulator_hash"]


@pytest.mark.parametrize("algo", TINY)
def test_curves_show_value_and_what_it_comes_from(finished, algo):
    events = EventAccumulator(str(finished[algo][1]))
    events.Reload()
    names = set(events.Tags()["scalars"])
    wanted = {"eval/value", "eval/minus_planner", "eval/sends_per_week", "reward/purchase"}
    assert wanted | {"hours/09", "variants/0", "network/trust", "network/norm_of_trunk"} <= names
    values = [event.value for event in events.Scalars("eval/value")]
    judged = [value for _, value in finished[algo][0].manifest["metrics"]["evaluations"]]
    np.testing.assert_allclose(values, judged, rtol=1e-6)


def test_another_run_is_not_resumed(shop, finished):
    with pytest.raises(BadInput, match="seed 3, and now it is 4"):
        train(shop, "ppo", 4, TINY["ppo"], run=finished["ppo"][1], resume=True)


def test_a_folder_that_holds_something_else_is_left_alone(shop, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(BadInput, match="holds no run"):
        train(shop, "ppo", 3, TINY["ppo"], run=tmp_path)


def test_a_broken_state_is_named(shop, finished, tmp_path):
    folder = finished["dqn"][1]
    for name in ("run.json", "state.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(BadArtifact, match="no state to resume from"):
        train(shop, "dqn", 3, TINY["dqn"], ["pushwise", "train"], run=tmp_path, resume=True)
