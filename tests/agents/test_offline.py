"""Agents from logs: what they are taught, that they keep to the mask, and what they learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents import offline
from agents.learning import learn
from agents.logged import transitions
from agents.network import FactorNetwork, Soft, best_send, fit_scaling, tensors
from agents.offline import (
    BCQSettings,
    CloneSettings,
    CQLSettings,
    PriceSettings,
    Supported,
    _facts,
    bcq,
    clone,
    cql,
    price,
)
from agents.training import TorchPolicy
from mdp.actions import HOLD, HOURS
from mdp.errors import NotEnoughData
from policies.baselines import predicted
from policies.composition import split_mask
from policies.network import NetworkPolicy
from policies.saved import load_policy, save_policy

QUICK = PriceSettings(steps=600, batch_size=256, learning_rate=5e-3, tau=0.05, hidden=16)


@pytest.fixture(scope="module")
def priced(data):
    """A network whose sends are priced as the log says."""
    return price(data, QUICK, 0)


def _held(network, data):
    """What a hold is worth beside a send, currency units, on average over the log."""
    with torch.no_grad():
        return float((network(tensors(data.observation))[0].hold * network.unit).mean())


def test_transitions_lead_to_the_user_s_next_decision(data):
    moves = transitions(data, 0.9)
    assert data.usable[moves.start].all()
    assert (moves.after == moves.start + 1).all()
    assert not data.gone[moves.start].any()
    np.testing.assert_array_equal(moves.reward, data.expected[moves.start])
    days = data.day[moves.after] - data.day[moves.start]
    np.testing.assert_allclose(moves.discount, 0.9**days * (1 - data.leaving[moves.start]))
    holds = data.action[moves.start] == HOLD
    assert (moves.reward[holds] == 0).all()
    assert (moves.discount[~holds] < 0.9 ** days[~holds]).all()


@pytest.mark.parametrize(
    ("learn_by", "settings"), [(price, QUICK), (cql, CQLSettings()), (bcq, BCQSettings())]
)
def test_a_log_of_one_decision_a_user_is_refused(data, learn_by, settings):
    alone = replace(data, following=np.full(len(data.following), -1))
    with pytest.raises(NotEnoughData, match="no user of the log has a second decision"):
        learn_by(alone, settings, 0)


def test_pushes_are_paid_what_the_model_expects(data):
    sent = data.usable & data.sent
    assert data.expected[sent].std() < 0.5 * data.reward[sent].std()
    error = data.reward[sent].std() / np.sqrt(sent.sum())
    assert abs(data.expected[sent].mean() - data.reward[sent].mean()) < 4 * error


def test_maxima_and_totals_are_over_what_is_allowed(make_observation, data):
    seen = make_observation(60, 4, 3, seed=3)
    small = replace(data, observation=seen, action=np.zeros(60, np.int64))
    network = FactorNetwork(fit_scaling([seen]), 0.2, hidden=8)
    _, best, total, held = _facts(network, network, small, 0.7)
    pair, hour = predicted(seen)
    item, variant, hours = split_mask(seen["action_mask"], 4)
    legal = item[:, :, None, None] & variant[:, None, :, None] & hours[:, None, None, :]
    worth = (pair[..., None] + hour[:, None, None, :]) / float(network.unit)
    flat = np.where(legal, worth, -np.inf).reshape(60, -1)
    some = np.isfinite(flat.max(1))
    np.testing.assert_allclose(best[some], flat[some].max(1), rtol=1e-4, atol=1e-4)
    expected = np.log(np.exp(0.7 * flat[some]).sum(1) / np.isfinite(flat[some]).sum(1))
    np.testing.assert_allclose(total[some], expected, rtol=1e-4, atol=1e-4)
    assert (best[~some] < -1e8).all()
    assert (total[~some] < -1e8).all()
    assert held.all()


def test_a_send_is_priced_by_what_is_lost_later(data):
    """The same log where pushes lose nobody, and where each loses a third of the users."""
    cheap = price(replace(data, leaving=np.zeros(len(data.leaving))), QUICK, 0)
    dear = price(replace(data, leaving=np.where(data.sent, 0.33, 0.0)), QUICK, 0)
    assert _held(dear, data) > _held(cheap, data) + 0.1
    # Nobody who does not look ahead sees a price.
    assert abs(_held(price(data, replace(QUICK, gamma=0.0), 0), data)) < 0.05


def test_what_a_send_earns_at_once_stays_the_model_s(data, priced):
    seen = data.some(np.arange(200))
    with torch.no_grad():
        found = best_send(priced(tensors(seen))[0])
        fresh = FactorNetwork(fit_scaling([seen]), 0.0, hidden=16)
        before = best_send(fresh(tensors(seen))[0])
    torch.testing.assert_close(found * priced.unit, before * fresh.unit, rtol=1e-3, atol=1e-3)


def test_conservatism_pulls_towards_what_the_log_did(data, priced):
    settings = CQLSettings(**{**vars(QUICK), "alpha": 0.0})
    same = cql(data, settings, 0)
    assert _held(priced, data) == pytest.approx(_held(same, data))
    # Where the log holds nine times of ten, conservatism holds too.
    rows = np.flatnonzero(data.usable & data.sent)
    seldom = data.usable.copy()
    seldom[rows[np.arange(len(rows)) % 10 > 0]] = False
    timid = replace(data, usable=seldom)
    careful = cql(timid, replace(settings, alpha=5.0), 0)
    assert _held(careful, data) > _held(cql(timid, settings, 0), data) + 0.5


def test_a_clone_does_what_the_log_did(data):
    settings = CloneSettings(steps=300, batch_size=256, learning_rate=5e-3, hidden=16)
    network = clone(data, settings, 0)
    rows = np.flatnonzero(data.usable)
    made = TorchPolicy(network=network, temperature=1.0)
    likelihood = np.log(made.propensity(data.some(rows), data.action[rows]))
    true = np.log(data.propensity[rows])
    assert likelihood.mean() > true.mean() - 0.15
    held = made.propensity(data.some(rows), np.zeros(len(rows), np.int64))
    assert held.mean() == pytest.approx((~data.sent[rows]).mean(), abs=0.03)


def test_bcq_takes_only_what_the_clone_is_likely_enough_to_do(make_observation):
    seen = make_observation(200, 4, 3, seed=6)
    torch.manual_seed(0)
    network = FactorNetwork(fit_scaling([seen]), 0.1, hidden=8)
    cloned = Soft(FactorNetwork(fit_scaling([seen]), 0.0, hidden=8), 2.0, 2.0)
    torch.nn.init.normal_(cloned.network.weights.weight, 0, 0.3)
    with torch.no_grad():
        advantages, _ = Supported(network, cloned, 0.5)(tensors(seen))
        hold, pair, hour, _ = cloned(tensors(seen))
    sends = pair.flatten(1).logsumexp(1) + hour.logsumexp(1) - hold
    likely = torch.softmax(pair.flatten(1), 1), torch.softmax(hour, 1)
    can = advantages.sendable
    for scores, chance in zip((advantages.pair.flatten(1), advantages.hour), likely, strict=True):
        taken = scores > -1e8
        assert (chance >= 0.5 * chance.amax(1, keepdim=True) - 1e-6)[can][taken[can]].all()
        assert 0 < taken[can].float().mean() < 1
    assert (sends[can] >= np.log(0.5) - 1e-5).all()
    must = advantages.hold < -1e9
    assert (sends[must] > np.log(2) - 1e-5).all()
    assert must.any()


@pytest.mark.parametrize(
    ("algo", "settings"),
    [
        ("bcq", BCQSettings(steps=20, batch_size=64, hidden=8, clone_steps=10)),
        pytest.param("price", replace(QUICK, steps=20), marks=pytest.mark.slow),
        pytest.param("cql", CQLSettings(steps=20, hidden=8), marks=pytest.mark.slow),
        pytest.param("clone", CloneSettings(steps=20, hidden=8), marks=pytest.mark.slow),
    ],
)
def test_what_is_learned_is_saved_and_keeps_to_the_mask(shop, log, data, algo, settings, tmp_path):
    bundle = learn(shop, algo, log, 3, settings, run=tmp_path / "run")
    assert (tmp_path / "run" / "state.json").exists()
    save_policy(tmp_path / algo, bundle)
    loaded = load_policy(tmp_path / algo)
    assert isinstance(loaded.policy, NetworkPolicy)
    assert (loaded.policy.temperature is None) == (algo != "clone")
    assert loaded.manifest["learned_from"] == data.summary
    seen = data.some(np.arange(100))
    network = getattr(offline, algo)(data, settings, 3)  # the same seed again
    floor = shop.guardrails.floor
    same = TorchPolicy(network=network, temperature=loaded.policy.temperature, floor=floor)
    actions, propensity = loaded.policy.act(seen, np.random.default_rng(0))
    np.testing.assert_allclose(propensity, same.propensity(seen, actions), atol=1e-4)
    V = seen["variants"].shape[1]
    item, variant, hour = split_mask(seen["action_mask"], seen["pairs"].shape[1])
    sent = np.flatnonzero(actions)
    place = actions[sent] - 1
    assert len(sent)
    assert item[sent, place // HOURS // V].all()
    assert variant[sent, place // HOURS % V].all()
    assert hour[sent, place % HOURS].all()
