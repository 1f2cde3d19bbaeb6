"""Tuning: searched values are settings, and what wins is what `train` reads."""

import json
import pickle
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from importlib.util import find_spec

import numpy as np
import pytest

from agents import tuning
from agents.algorithms import algorithm_of
from agents.settings_file import read_settings
from agents.tuning import SPACES, Trial
from mdp import clock
from scripts import cli


def test_what_is_searched_are_settings_around_their_defaults():
    for algo, space in SPACES.items():
        settings = algorithm_of(algo).default_settings()
        assert set(space) <= {field.name for field in fields(settings)}
        for name, (low, high) in space.items():
            assert low <= getattr(settings, name) <= high


def test_users_are_the_same_in_a_process_that_knows_other_zones(shop, monkeypatch):
    content = pickle.dumps(shop.users)
    zones = [clock.zone_name(int(code)) for code in shop.users.codes]
    clock.zone_codes(["Pacific/Apia"])
    again = pickle.loads(content)
    assert [clock.zone_name(int(code)) for code in again.codes] == zones
    np.testing.assert_array_equal(again.hashes, shop.users.hashes)
    assert b"codes" not in content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--algo", "greedy"], "greedy has nothing to tune; choose among ppo, dqn"),
        (["--trials", "0"], "--trials is 0"),
        (["--at-once", "-1"], "--at-once is -1"),
        (["--resume"], "--resume needs the folder of the search"),
    ],
)
def test_bad_options_are_named(shop_dir, tmp_path, capsys, options, message):
    argv = ["tune", str(shop_dir[0]), "--out", str(tmp_path / "settings.toml"), *options]
    assert cli.main(argv) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("steps", "judgements"),
    [([], 8), (["--steps", "8500000"], 9), (["--steps", "1024"], 1)],
)
def test_trials_are_said_to_be_of_as_many_judgements_as_there_are(
    shop_dir, tmp_path, capsys, monkeypatch, steps, judgements
):
    monkeypatch.setattr(tuning, "tune", lambda *given: [Trial({"clip": 0.2}, 1.5, 1)])
    argv = ["tune", str(shop_dir[0]), "--out", str(tmp_path / "settings.toml"), *steps]
    assert cli.main(argv) == 0
    assert f"1.500 after 1 of {judgements} judgements: clip 0.2" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("ray") is None or find_spec("optuna") is None, reason="needs the extra `ray`"
)
@pytest.mark.filterwarnings("ignore")
def test_the_best_of_some_trainings_is_written_for_train(shop_dir, tmp_path, capsys):
    file = tmp_path / "settings.toml"
    argv = ["tune", str(shop_dir[0]), "--out", str(file), "--trials", "2", "--steps", "1024"]
    argv += ["--at-once", "1", "--json", "--run", str(tmp_path / "search")]
    assert cli.main(argv) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert len(found) == 2
    assert re.search(rf"2 of 2 trials ended: .*best {found[0]['value']:.3f}", printed.err)
    assert cli.main(argv) == 1
    assert "go on with it by --resume" in capsys.readouterr().err
    assert cli.main([*argv, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert found[0]["value"] >= found[1]["value"]
    default = algorithm_of("ppo").default_settings()
    assert any(each["settings"]["clip"] == default.clip for each in found)
    best = read_settings(file, "logit", "ppo")
    assert {name: getattr(best, name) for name in SPACES["ppo"]} == found[0]["settings"]


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("ray") is None or find_spec("optuna") is None, reason="needs the extra `ray`"
)
def test_a_search_that_is_stopped_leaves_the_best_so_far(shop_dir, tmp_path):
    file = tmp_path / "settings.toml"
    argv = [sys.executable, "-m", "scripts.cli", "tune", str(shop_dir[0]), "--out", str(file)]
    argv += ["--trials", "3", "--steps", "1024", "--at-once", "1", "--run", str(tmp_path / "run")]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as search:
        while search.poll() is None and not file.exists():
            time.sleep(0.2)
        search.send_signal(signal.SIGINT)
    assert read_settings(file, "logit", "ppo").clip == algorithm_of("ppo").default_settings().clip
    whole = subprocess.run([*argv, "--resume", "--json"], check=True, capture_output=True)
    assert len(json.loads(whole.stdout)) == 3


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("ray") is None or find_spec("optuna") is None, reason="needs the extra `ray`"
)
@pytest.mark.parametrize(
    "command", [["tune", "--out", "settings.toml"], ["train", "--workers", "2", "--out", "policy"]]
)
def test_a_cluster_that_does_not_answer_is_told_in_one_sentence(
    shop_dir, tmp_path, capsys, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert cli.main([command[0], str(shop_dir[0].resolve()), *command[1:]]) == 1
    assert "the Ray cluster 127.0.0.1:1 can't be joined" in capsys.readouterr().err
