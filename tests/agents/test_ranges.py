"""Settings out of their range are refused in a sentence, wherever they come from."""

from dataclasses import fields
from typing import get_type_hints

import pytest

from agents.algorithms import ALGORITHMS
from agents.dqn import DQNSettings
from agents.ranges import Range
from agents.settings_file import with_values
from mdp.errors import BadSetting
from scripts import cli

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("algo", "name", "value", "wanted"),
    [
        ("ppo", "users", 0, "at least 1"),
        ("ppo", "rollout", 1, "at least 2"),
        ("ppo", "batch_size", 1, "at least 2"),
        ("ppo", "epochs", 0, "at least 1"),
        ("ppo", "hidden", 0, "at least 1"),
        ("ppo", "learning_rate", NAN, "above 0"),
        ("ppo", "learning_rate", INFINITE, "above 0"),
        ("dqn", "learning_rate", 200.0, "above 0 and at most 1"),
        ("ppo", "gamma", 1.0, "at least 0 and below 1"),
        ("ppo", "clip", -1.0, "above 0"),
        ("ppo", "send_budget", 0.0, "above 0"),
        ("dqn", "days", 1, "at least 2"),
        ("dqn", "tau", 2.0, "above 0 and at most 1"),
        ("dqn", "explore", 3.0, "at least 0 and at most 1"),
        ("dqn", "target_days", 0, "at least 1"),
        ("dqn", "learning_starts", 10**9, "at most replay, 40000"),
        ("linucb", "ridge", 0.0, "above 0"),
        ("linucb", "alpha", INFINITE, "a finite number"),
        ("thompson", "ridge", -1000.0, "above 0"),
        ("recovering", "spread", 0.0, "above 0"),
        ("price", "batch_size", 0, "at least 1"),
        ("price", "gamma", 2.0, "below 1"),
        ("cql", "alpha", -1.0, "at least 0"),
        ("bcq", "threshold", 2.0, "above 0 and at most 1"),
        ("clone", "steps", 0, "at least 1"),
    ],
)
def test_what_is_out_of_range_is_refused(algo, name, value, wanted):
    with pytest.raises(BadSetting, match=rf"^file: {name} is {value}; it must be .*{wanted}"):
        with_values(algo, {name: value}, "file")


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_number_has_a_range(algo):
    settings = type(ALGORITHMS[algo].default_settings())
    hints = get_type_hints(settings, include_extras=True)
    for field in fields(settings):
        (of_it,) = getattr(hints[field.name], "__metadata__", ()) or (None,)
        assert isinstance(of_it, Range), field.name


def test_dqn_that_would_learn_nothing_is_refused():
    with pytest.raises(BadSetting, match=r"steps is 4000; nothing is learned before .* 4000"):
        DQNSettings(steps=4000)
    assert DQNSettings(steps=4000, learning_starts=500).steps == 4000


def test_the_command_line_says_the_same(shop_dir, tmp_path, capsys):
    argv = ["train", str(shop_dir[0]), "--out", str(tmp_path / "p")]
    for name, value in (("steps", "0"), ("send-budget", "-1")):
        assert cli.main([*argv, f"--{name}", value]) == 1
        assert f"{name.replace('-', '_')} is {value}" in capsys.readouterr().err
