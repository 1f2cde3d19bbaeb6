"""A run that was stopped goes on to the same bit, and its folder says what was run."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
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

    def save_and_stop(self, model, judge, part, prices, cpu_seconds):
        save(self, model, judge, part, prices, cpu_seconds + 1000)
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
    assert resumed.manifest["cpu_seconds"] > 1000 > whole.manifest["cpu_seconds"]


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
    longer = replace(tiny["ppo"], steps=768)
    with pytest.raises(BadInput, match="a run with steps 384, and now it is 768: give"):
        train(shop, "ppo", 3, longer, run=folders["ppo"], resume=True)


def test_the_caller_s_threads_stay(shop, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        with pytest.raises(BadInput, match="holds no run"):
            learn(shop, "ppo", run=tmp_path)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_folder_that_holds_something_else_is_left_alone(shop, tiny, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(BadInput, match="holds no run"):
        train(shop, "ppo", 3, tiny["ppo"], run=tmp_path)
    with pytest.raises(BadInput, match=r"thesis.tex is a file"):
        train(shop, "ppo", 3, tiny["ppo"], run=tmp_path / "thesis.tex")


def test_a_run_is_not_begun_again_where_one_is(shop, tiny, trained, folders):
    before = {path.name: path.read_bytes() for path in folders["ppo"].iterdir()}
    with pytest.raises(BadInput, match="holds a run already: go on with it by --resume"):
        train(shop, "ppo", 3, tiny["ppo"], run=folders["ppo"])
    assert {path.name: path.read_bytes() for path in folders["ppo"].iterdir()} == before


def test_a_run_stopped_before_its_first_state_begins_again_as_it_was(tmp_path):
    place = runs.Run(tmp_path)
    assert not place.begin({"seed": 3}, resume=True)
    (tmp_path / "notes.md").write_text("mine")
    assert not place.begin({"seed": 3}, resume=True)
    with pytest.raises(BadInput, match="seed 3, and now it is 4"):
        place.begin({"seed": 4}, resume=True)
    assert (tmp_path / "notes.md").exists()


def test_a_broken_state_is_named(shop, quick, tiny, trained, folders, tmp_path):
    folder = folders["dqn"]
    for name in ("run.json", "state.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(BadArtifact, match="no state to resume from"):
        train(shop, "dqn", 3, tiny["dqn"], ["pushwise", "train"], run=tmp_path, resume=True)
