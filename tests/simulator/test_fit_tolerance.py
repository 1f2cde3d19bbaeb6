"""Who bears pushes is read off dismissals and unsubscribes, though who bears few gets few."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdp.response import HEADS
from mdp.state import TRAITS
from simulator.fit_calibration import over_draws
from simulator.fit_heads import Sizes, fit_heads, predicted
from simulator.fit_tolerance import Told, likeliest_tolerance, nodes, tolerances_of
from simulator.head_terms import of_heads, parts_of
from simulator.sends import DISMISS, OPEN, UNSUBSCRIBE, Sends
from simulator.widths import Widths
from tests.simulator.planted import pushes

U, EACH, WIDTH = 2500, 40, 0.6
EVERY = tuple(range(len(HEADS)))
TIRES = {DISMISS: 0.2, UNSUBSCRIBE: 0.5}
LEVEL = {DISMISS: -2.0, UNSUBSCRIBE: -5.0}


@pytest.fixture(scope="module")
def tolerance() -> np.ndarray:
    return np.random.default_rng(1).normal(0.0, WIDTH, U).astype(np.float32)


@pytest.fixture(scope="module")
def sends(tolerance) -> Sends:
    """Pushes until a user leaves, tired by every second one before it."""
    rng, user = np.random.default_rng(2), np.repeat(np.arange(U), EACH)
    number = np.tile(np.arange(EACH), U)
    fatigue = (4.0 * rng.random(len(user)) * np.minimum(number, 3) / 3).astype(np.float32)
    out = pushes(np.full(len(user), -2.0), rng, user=user, fatigue=fatigue, decided_at=number)
    own = tolerance[user]
    for head in (DISMISS, UNSUBSCRIBE):
        logit = LEVEL[head] + TIRES[head] * fatigue * np.exp(-own) - own
        out.outcome[:, head] = rng.random(len(user)) < 1 / (1 + np.exp(-logit))
    out.outcome[:, DISMISS] *= 1 - out.outcome[:, OPEN]
    gone = out.outcome[:, UNSUBSCRIBE].reshape(U, EACH)
    return out.only((gone.cumsum(1) - gone == 0).ravel())


@pytest.fixture(scope="module")
def fitted(sends) -> tuple[dict[str, np.ndarray], Widths]:
    widths = Widths()
    heads = None
    for _ in range(2):
        heads = fit_heads(sends, Sizes(U, 1, 1), widths, EVERY, 25, heads)
        widths = likeliest_tolerance(heads, sends, widths)
    return fit_heads(sends, Sizes(U, 1, 1), widths, EVERY, 25, heads), widths


def test_width_fatigue_and_levels_are_those_planted(fitted, sends):
    heads, widths = fitted
    assert widths.tolerance == pytest.approx(WIDTH, abs=0.1)
    first = replace(sends.only(slice(1)), fatigue=np.zeros(1, np.float32))
    p = predicted(heads | {"tolerance": np.zeros(U, np.float32)}, first)[0]
    for head in (DISMISS, UNSUBSCRIBE):
        assert heads["fatigue_weight"][head] == pytest.approx(TIRES[head], abs=0.08)
        assert np.log(p[head] / (1 - p[head])) == pytest.approx(LEVEL[head], abs=0.25)


def test_beliefs_are_as_far_off_as_they_say(fitted, sends, tolerance):
    heads, widths = fitted
    mean, variance = tolerances_of(heads, sends, widths.tolerance)
    np.testing.assert_allclose(mean, heads["tolerance"], atol=1e-5)
    off = np.square(mean - tolerance)
    assert off.mean() < 0.8 * tolerance.var()
    assert off.mean() == pytest.approx(variance.mean(), rel=0.1)
    few = np.bincount(sends.user, minlength=U) < EACH // 2  # they left
    assert mean[few].mean() < mean[~few].mean() - 0.2


def test_users_of_whom_nothing_is_known_are_judged_as_those_who_stayed(fitted, sends):
    heads, widths = fitted
    traits = np.zeros(U, TRAITS)
    traits["tolerance_var"] = widths.tolerance**2
    average = heads | {"tolerance": np.zeros(U, np.float32)}
    late = sends.decided_at >= EACH // 2
    observed = sends.outcome[late, UNSUBSCRIBE].mean()
    stayed, anyone = (
        over_draws(average, sends, traits, stayed)[late, UNSUBSCRIBE].mean()
        for stayed in (True, False)
    )
    assert stayed == pytest.approx(observed, rel=0.15)
    assert anyone > 1.15 * observed


def test_the_mean_over_beliefs_is_what_was_seen(fitted, sends):
    heads, widths = fitted
    traits = np.zeros(U, TRAITS)
    traits["tolerance_var"] = tolerances_of(heads, sends, widths.tolerance)[1]
    seen = over_draws(heads, sends, traits)[:, UNSUBSCRIBE].mean()
    assert seen == pytest.approx(sends.outcome[:, UNSUBSCRIBE].mean(), rel=0.05)
    assert predicted(heads, sends)[:, UNSUBSCRIBE].mean() < seen


@pytest.mark.parametrize("knee", [0.0, 0.5])
def test_the_cost_and_its_gradients_are_those_of_the_likelihoods(fitted, sends, knee):
    heads, widths = fitted
    own = {name: torch.from_numpy(value) for name, value in heads.items()}
    told = Told.of(own, parts_of(replace(sends, knee=np.array(knee, np.float32))))
    weight = torch.from_numpy(np.random.default_rng(4).integers(0, 3, U).astype(np.float32))
    values, log_weights = nodes(widths.tolerance)
    names = ("base", "fatigue_weight", "taste_weight")
    both = []
    for by_hand in (True, False):
        p = of_heads(own, told.heads)
        p |= {name: p[name].clone().requires_grad_() for name in names}
        if by_hand:
            cost = told.cost(p, widths.tolerance, weight)
        else:
            said = torch.logsumexp(told.likelihoods(p, values) + log_weights, 1)
            (-weight @ said).backward()
            cost = -float(weight @ said.detach())
        both.append((cost, [p[name].grad for name in names]))
    (cost, gradients), (other, theirs) = both
    assert cost == other
    for one, two in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-2)
