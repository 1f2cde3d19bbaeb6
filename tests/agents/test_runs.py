"""A run that was stopped goes on to the same bit, and its folder says what was run."""

import json
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents import runs
from agents.dqn import DQNSettings
from agents.learning import learn
from agents.offline import BCQSettings, CloneSettings, CQLSettings, bcq, clone, cql
from agents.ranges import Count, Times
from agents.runs import Run, parts_of
from agents.training import train
from mdp.errors import BadArtifact, BadInput
from policies.network import NetworkPolicy

ALGORITHMS = ("ppo", "dqn")


class Stopped(Exception):
    """What stops a run."""


def _graph(bundle):
    assert isinstance(bundle.policy, NetworkPolicy)
    return bundle.policy.graph


@pytest.fixture
def stopping(monkeypatch):
    """Lets a run be stopped as soon as it has kept its first state, after another 1000 seconds."""
    keep = Run.keep

    def keep_and_stop(self, *args):
        self.began -= 1000
        keep(self, *args)
        raise Stopped

    def stopped(learning):
        with monkeypatch.context() as patch:
            patch.setattr(Run, "keep", keep_and_stop)
            with pytest.raises(Stopped):
                learning()

    return stopped


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_resumed_is_the_same_to_the_bit(shop, quick, tiny, trained, algo, tmp_path, stopping):
    stopping(lambda: train(shop, algo, 3, tiny[algo], ["first"], run=tmp_path / "run"))
    resumed = train(shop, algo, 3, tiny[algo], run=tmp_path / "run", resume=True)
    whole = trained[algo]
    assert _graph(resumed) == _graph(whole)
    assert resumed.manifest["metrics"] == whole.manifest["metrics"]
    assert len(resumed.manifest["metrics"]["evaluations"]) == 4
    assert resumed.manifest["cpu_seconds"] > 1000 > whole.manifest["cpu_seconds"]


@pytest.mark.parametrize(
    ("learn_by", "settings"),
    [
        (cql, CQLSettings(steps=24, batch_size=64, hidden=8)),
        (bcq, BCQSettings(steps=24, batch_size=64, hidden=8, clone_steps=9)),
        (clone, CloneSettings(steps=24, batch_size=64, hidden=8)),
    ],
)
def test_learning_from_a_log_goes_on_to_the_bit(
    quick, data, learn_by, settings, tmp_path, stopping
):
    stopping(lambda: learn_by(data, settings, 3, Run(tmp_path)))
    assert json.loads((tmp_path / "state.json").read_text())["steps"] == 8
    run, began = Run(tmp_path), time.process_time()
    resumed = learn_by(data, settings, 3, run)
    assert run.began < began - 1000
    whole = learn_by(data, settings, 3).state_dict()
    assert resumed.state_dict().keys() == whole.keys()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole[name])
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {"network/threshold", "network/norm_of_critic"} < set(events.Tags()["scalars"])


@pytest.mark.parametrize("algo", ["linucb", "greedy"])
def test_what_is_done_at_once_keeps_a_folder_too(shop, log, quick, algo, tmp_path):
    read = None if algo == "greedy" else log
    made = learn(shop, algo, read, 3, command=["pushwise", "train"], run=tmp_path / "run")
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    names = ("algorithm", "seed", "settings", "command", "simulator_hash", "versions", "log_hash")
    assert {name: made.manifest.get(name) for name in names} == {
        name: said.get(name) for name in names
    }
    assert said["versions"]["numpy"] == np.__version__
    assert said.get("log_hash") == (None if read is None else log.hash)
    learn(shop, algo, read, 3, run=tmp_path / "run", resume=True)


def test_a_run_does_not_go_on_with_another_log(shop, log, tmp_path):
    learn(shop, "linucb", log, 3, run=tmp_path / "run")
    other = log.replace_tables(events=log.tables["events"].iloc[1:])
    with pytest.raises(BadInput, match="a run with log_hash"):
        learn(shop, "linucb", other, 3, run=tmp_path / "run", resume=True)


def test_a_long_training_has_parts_of_two_minutes(monkeypatch):
    """That is twice what the defaults do."""
    monkeypatch.setattr(runs, "PARTS", 8)
    assert [parts_of(steps, 500) for steps in (4000, 8000, 8001, 30_000)] == [8, 8, 9, 30]


def test_the_folder_says_what_was_run(trained, folders):
    said = json.loads((folders["ppo"] / "run.json").read_text())
    assert said["command"] == ["pushwise", "train"]
    assert said["settings"]["steps"] == 384
    assert said["versions"]["numpy"] == np.__version__
    assert said["simulator_hash"] == trained["ppo"].manifest["simulator_hash"]


@dataclass(frozen=True)
class Brief(DQNSettings):
    """Whose default is so short that 384 user-days are long."""

    steps: Count = 30
    learning_starts: Times = 8


@pytest.mark.slow
def test_a_long_training_is_judged_more_often(shop, quick, tiny):
    settings = Brief(**vars(tiny["dqn"]))
    judged = train(shop, "dqn", 3, settings).manifest["metrics"]["evaluations"]
    assert len(judged) == 1 + 7
    assert np.diff([steps for steps, _ in judged]).max() <= 64


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


def test_what_cannot_be_resumed_is_refused(shop):
    with pytest.raises(BadInput, match="needs the folder"):
        learn(shop, "ppo", resume=True)


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
    def begun(seed):
        run = Run.begun(tmp_path, {"seed": seed}, resume=True)
        assert run is not None
        return run

    assert not begun(3).has_state
    (tmp_path / "notes.md").write_text("mine")
    assert not begun(3).has_state
    with pytest.raises(BadInput, match="seed 3, and now it is 4"):
        begun(4)
    assert (tmp_path / "notes.md").exists()


def test_a_broken_state_is_named(shop, quick, tiny, trained, folders, tmp_path):
    folder = folders["dqn"]
    for name in ("run.json", "state.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(BadArtifact, match="no state to resume from"):
        train(shop, "dqn", 3, tiny["dqn"], ["pushwise", "train"], run=tmp_path, resume=True)
