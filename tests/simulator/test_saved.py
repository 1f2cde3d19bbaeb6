"""Saved simulators come back as they were, or not at all."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mdp.errors import BadArtifact, BadInput
from mdp.guardrails import Guardrails
from mdp.hashing import hash_ids
from mdp.reward import Reward
from policies.manifest import manifest_hash
from policies.saved import PolicyBundle, save_policy
from simulator.kernel import Kernel
from simulator.saved import load_simulator, save_simulator


@pytest.fixture
def saved(tmp_path, shop):
    save_simulator(tmp_path / "sim", shop)
    return tmp_path / "sim"


def test_a_loaded_simulator_lives_on_as_the_one_that_was_saved(saved, shop, play):
    loaded = load_simulator(saved)
    kernels = [Kernel(one, np.arange(60), 4, 5) for one in (shop, loaded)]
    before, after = ([step.reward for step in play(kernel)] for kernel in kernels)
    np.testing.assert_array_equal(before, after)
    assert kernels[0].histories.tobytes() == kernels[1].histories.tobytes()
    assert loaded.catalog.hash == shop.catalog.hash
    assert (loaded.start, loaded.world, loaded.users.ids) == (shop.start, "logit", shop.users.ids)
    assert loaded.model is None


def test_all_that_a_fit_adds_comes_back(tmp_path, shop):
    other = replace(shop.response, base=shop.response.base + 1)
    full = replace(
        shop.believing(shop),
        members=(shop.response, other),
        reward=Reward(click=0.5),
        guardrails=Guardrails(per_7d=None, min_hours=6.0),
        users=replace(shop.users, attributes={"tier": ("gold",) * 60}, locales=("en",) * 60),
        manifest={"trained_until": 17},
    )
    save_simulator(tmp_path / "sim", full)
    loaded = load_simulator(tmp_path / "sim")
    assert loaded.model is loaded.response
    assert [member.hash for member in loaded.members] == [shop.response.hash, other.hash]
    assert loaded.beliefs is not None
    assert full.beliefs is not None
    assert loaded.beliefs.traits.tobytes() == full.beliefs.traits.tobytes()
    assert (loaded.reward, loaded.guardrails) == (full.reward, full.guardrails)
    assert (loaded.users.attributes, loaded.users.locales) == (
        {"tier": ("gold",) * 60},
        ("en",) * 60,
    )
    assert loaded.manifest == {"trained_until": 17}
    observed = [Kernel(one, np.arange(60)).view().observation for one in (full, loaded)]
    for name in observed[0]:
        np.testing.assert_array_equal(observed[0][name], observed[1][name])


def test_words_come_back(tmp_path, shop):
    words = {"word_hash": hash_ids(["red", "box"]), "word_taste": np.ones((2, 8), np.float32)}
    reading = replace(shop.response, **words)
    save_simulator(tmp_path / "sim", replace(shop, response=reading))
    loaded = load_simulator(tmp_path / "sim").response
    assert loaded.hash == reading.hash != shop.response.hash
    for name, array in words.items():
        np.testing.assert_array_equal(loaded.arrays()[name], array)


def test_another_simulators_belief_is_saved_beside_the_truth(tmp_path, shop):
    other = replace(shop, response=replace(shop.response, base=shop.response.base + 1))
    save_simulator(tmp_path / "sim", shop.believing(other))
    loaded = load_simulator(tmp_path / "sim")
    assert loaded.model is not None
    assert loaded.model.hash == other.response.hash != loaded.response.hash


def test_saving_again_replaces_and_leaves_other_folders_alone(saved, shop):
    (saved / "card").mkdir()
    (saved / "card" / "card.json").write_text("{}")
    save_simulator(saved, replace(shop, members=(shop.response,)))
    assert (saved / "model" / "member_0.safetensors").exists()
    save_simulator(saved, shop)
    assert not (saved / "model" / "member_0.safetensors").exists()
    assert (saved / "card" / "card.json").exists()
    assert load_simulator(saved).members == ()


def edited(sealed=False, **changes):
    """A manifest with changes; sealed: with a hash that goes with them."""

    def edit(path):
        manifest = json.loads((path / "manifest.json").read_text()) | changes
        if sealed:
            manifest["manifest_hash"] = manifest_hash(manifest)
        (path / "manifest.json").write_text(json.dumps(manifest))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (edited(schema="0" * 32), "schema 0000"),
        (edited(format=99), "format 99"),
        (edited(artifact=None), "holds no simulator"),
        (edited(start=0), "not what was saved"),
        (edited(True, reward={"clicks": 1}), "clicks"),
        (edited(True, recommender="oracle"), "oracle"),
        (edited(True, organic={"view": 1.0, "wiew": 1.0}), "does not describe a simulator"),
        (lambda path: (path / "manifest.json").unlink(), "no manifest.json"),
        (lambda path: (path / "manifest.json").write_text("{"), "not JSON"),
        (lambda path: (path / "users.json").unlink(), "users.json is missing"),
        (lambda path: (path / "arrays.safetensors").write_bytes(b"x"), "arrays.safetensors"),
        (lambda path: (path / "logging_policy/manifest.json").unlink(), "logging_policy"),
    ],
)
def test_what_is_damaged_is_refused(saved, damage, message):
    damage(saved)
    with pytest.raises(BadArtifact, match=message):
        load_simulator(saved)


def test_a_saved_policy_is_no_simulator(tmp_path, shop):
    save_policy(tmp_path / "policy", PolicyBundle(shop.logging, None, None))
    with pytest.raises(BadArtifact, match="holds no simulator, but a saved table policy"):
        load_simulator(tmp_path / "policy")
    with pytest.raises(BadInput, match="is not empty"):
        save_simulator(tmp_path / "policy", shop)


def test_a_simulator_needs_users_and_their_rows(shop):
    with pytest.raises(BadInput, match="60 users need as many histories, not 3"):
        replace(shop, histories=shop.histories[:3])
