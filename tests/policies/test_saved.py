"""Saved policies come back as they were, or not at all."""

import json

import numpy as np
import pytest

from mdp.errors import BadArtifact, BadInput, BadSetting
from mdp.guardrails import Guardrails
from mdp.hashing import hash_ids
from mdp.reward import Reward
from mdp.state import TRAITS
from policies import saved
from policies.baselines import Table
from policies.rules_file import read_guardrails, read_reward
from policies.saved import (
    PolicyBundle,
    SavedRecommender,
    TraitStore,
    load_policy,
    save_policy,
)


@pytest.fixture
def bundle() -> PolicyBundle:
    traits = np.zeros(3, TRAITS)
    traits["openness"] = [1.0, 2.0, 3.0]
    return PolicyBundle(
        Table(send=0.4, items=np.array([2.0, 1.0])),
        None,
        TraitStore(np.sort(hash_ids(["a", "b", "c"])), traits, np.zeros((), TRAITS)),
        Reward(click=0.3),
        Guardrails(per_calendar_day=None, min_hours=6.0),
        SavedRecommender("own_popular", {"score": np.arange(4.0)}),
        {"trained_until": 17, "command": "a test"},
    )


def test_what_is_saved_is_loaded(tmp_path, bundle):
    save_policy(tmp_path / "policy", bundle)
    loaded = load_policy(tmp_path / "policy")
    assert isinstance(loaded.policy, Table)
    assert loaded.traits is not None
    assert loaded.recommender is not None
    assert loaded.policy.send == 0.4
    np.testing.assert_array_equal(loaded.policy.items, [2.0, 1.0])
    np.testing.assert_array_equal(loaded.traits.traits, bundle.traits.traits)
    assert (loaded.reward, loaded.guardrails) == (bundle.reward, bundle.guardrails)
    assert loaded.trained_until == 17
    np.testing.assert_array_equal(loaded.recommender.arrays["score"], np.arange(4.0))


def test_saving_twice_gives_the_same_bytes_and_replaces(tmp_path, bundle):
    save_policy(tmp_path / "policy", bundle)
    first = {p.name: p.read_bytes() for p in (tmp_path / "policy").rglob("*") if p.is_file()}
    save_policy(tmp_path / "policy", bundle)
    assert first == {
        p.name: p.read_bytes() for p in (tmp_path / "policy").rglob("*") if p.is_file()
    }
    assert [p.name for p in tmp_path.iterdir()] == ["policy"]


def test_a_directory_of_something_else_is_not_replaced(tmp_path, bundle):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(BadInput, match="choose another"):
        save_policy(tmp_path, bundle)
    assert (tmp_path / "letters.txt").exists()


def _truncate(path):
    content = (path / "arrays.safetensors").read_bytes()
    (path / "arrays.safetensors").write_bytes(content[:-3])


def _edit(key, value):
    def change(path):
        manifest = json.loads((path / "manifest.json").read_text())
        manifest[key] = value
        (path / "manifest.json").write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_truncate, r"arrays\.safetensors is not the file that was saved"),
        (lambda path: (path / "manifest.json").unlink(), "no manifest"),
        (lambda path: (path / "manifest.json").write_text("{"), "not JSON"),
        (lambda path: (path / "model" / "traits.safetensors").unlink(), "missing"),
        (_edit("schema", "other"), "schema other"),
        (_edit("trained_until", 18), r"manifest\.json is not what was saved"),
        (_edit("parameters", {}), r"manifest\.json is not what was saved"),
        (_edit("guardrails", {}), "--guardrails"),
        (_edit("files", {}), r"manifest\.json is not what was saved"),
        (_edit("files", []), "describes nothing that pushwise saves"),
        (lambda path: (path / "manifest.json").write_bytes(b"\xff{}"), "not JSON"),
    ],
)
def test_a_harmed_policy_is_refused(tmp_path, bundle, harm, message):
    save_policy(tmp_path / "policy", bundle)
    harm(tmp_path / "policy")
    with pytest.raises(BadArtifact, match=message):
        load_policy(tmp_path / "policy")


def test_a_policy_of_a_type_that_nobody_knows_is_refused(tmp_path, bundle, monkeypatch):
    save_policy(tmp_path / "policy", bundle)
    monkeypatch.delitem(saved.TYPES, "Table")
    with pytest.raises(BadArtifact, match="does not describe a policy: KeyError\\('Table'\\)"):
        load_policy(tmp_path / "policy")


def test_traits_of_an_unknown_user_are_the_default(bundle):
    rows, known = bundle.traits.rows(hash_ids(["b", "nobody", "a"]))
    np.testing.assert_array_equal(known, [True, False, True])
    assert rows["openness"][1] == 0
    assert (rows["openness"][[0, 2]] > 0).all()


def test_guardrails_are_read_from_toml(tmp_path):
    file = tmp_path / "rules.toml"
    file.write_text('[caps]\nper_24h = 2\n[quiet_hours]\nstart = "21:00"\n')
    rules = read_guardrails(file, Guardrails(min_hours=8.0))
    assert (rules.per_24h, rules.quiet_start, rules.min_hours) == (2, "21:00", 8.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("caps = [", "not TOML"),
        ("[caps]\nper_year = 1", "per_year"),
        ("[cap]\nper_24h = 1", r"\[cap\]"),
        ("[caps]\nper_24h = -1", "per_24h is -1"),
        ('[quiet_hours]\nstart = "25:00"', "25:00"),
    ],
)
def test_bad_guardrails_are_refused(tmp_path, text, message):
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(BadSetting, match=message):
        read_guardrails(file)


def test_weights_of_the_reward_are_read_from_toml(tmp_path):
    file = tmp_path / "reward.toml"
    file.write_text("unsubscribe = -600\nclick = 30.5\n")
    assert read_reward(file, Reward(send=-2.0)) == Reward(unsubscribe=-600, click=30.5, send=-2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unsubscribe = 600", "unsubscribe is 600; it costs, so 0 or below"),
        ("click = -1", "click is -1; it earns"),
        ("open = 1", "unknown weight 'open'"),
        ('credit = "all"', "unknown weight 'credit'"),
        ("click = true", "click is True; use a number"),
        ("click = nan", "click is nan; use a number"),
        ("[reward]\nclick = 1", "unknown weight 'reward'"),
        ("click =", "not TOML"),
    ],
)
def test_bad_weights_are_refused(tmp_path, text, message):
    file = tmp_path / "reward.toml"
    file.write_text(text)
    with pytest.raises(BadSetting, match=message):
        read_reward(file, Reward())
