"""Hyper-parameters in a file: what is written is read, what is wrong is named."""

from dataclasses import replace

import pytest

from agents.dqn import DQNSettings
from agents.ppo import PPOSettings
from agents.settings_file import read_settings, write_settings
from mdp.errors import BadSetting


def test_what_is_written_is_read_and_others_stay(tmp_path):
    file = tmp_path / "settings.toml"
    write_settings(file, "fitted", "ppo", {"learning_rate": 3e-4, "users": 64})
    write_settings(file, "hazard", "ppo", {"clip": 0.2})
    write_settings(file, "fitted", "dqn", {"tau": 0.02})
    default = PPOSettings()
    assert read_settings(file, "fitted", "ppo") == replace(default, learning_rate=3e-4, users=64)
    assert read_settings(file, "hazard", "ppo") == replace(default, clip=0.2)
    assert read_settings(file, "fitted", "dqn") == DQNSettings(tau=0.02)
    assert '["pushwise/HazardShop-v0".ppo]' in file.read_text()


def test_a_whole_number_does_for_a_float_and_a_budget_may_be_set(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('["pushwise/Push-v0".ppo]\nentropy = 1\nsend_budget = 2\n')
    settings = read_settings(file, "fitted", "ppo")
    assert (settings.entropy, settings.send_budget) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["pushwise/Push-v0".ppo]\nrate = 1.0', "ppo has no setting 'rate'; it has steps"),
        ('["pushwise/Push-v0".ppo]\nusers = 1.5', "users is 1.5; it must be like 512"),
        ('["pushwise/Push-v0".ppo]\nlearning_rate = "fast"', "learning_rate is 'fast'"),
        ('["pushwise/Push-v0".dqn]\ntau = 0.1', "says nothing of ppo there"),
        ("learning_rate = 1.0", "no table of algorithms"),
        ("[", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(BadSetting, match=message.replace("[", r"\[")):
        read_settings(file, "fitted", "ppo")
