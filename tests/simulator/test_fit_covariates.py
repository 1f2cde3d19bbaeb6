"""What covariates tell of users is found where it was planted, and only there."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ingestion.parse import log_of
from ingestion.splits import log_end
from simulator import fit_covariates
from simulator.covariates import Covariates
from simulator.demo import demo
from simulator.fidelity_heads import against_baselines
from simulator.fidelity_judged import later_days
from simulator.fit import fit
from simulator.fit_covariates import likeliest_prior
from simulator.fit_heads import Sizes, fit_heads, predicted
from simulator.fit_widths import likeliest_widths
from simulator.sends import OPEN, Sends, log_loss
from simulator.users_prior import UsersPrior
from simulator.widths import Widths
from simulator.worlds.logit import LogitShop
from tests.simulator.planted import pushes

U, EACH, B = 1000, 18, 6
SIZES = Sizes(U, 1, 1)
COVARIATES = Covariates(
    ("taste", "age", "noise"),
    np.array([0, 0, 0, 0, 1, 2, 2, 2]),
    np.random.default_rng(1)
    .normal(0.0, np.sqrt([1 / 4] * 4 + [1.0] + [1 / 3] * 3), (U, 8))
    .astype(np.float32),
)


def shop(explained: float) -> tuple[Sends, np.ndarray, np.ndarray]:
    """Pushes to users whose openness follows from taste, and whose styles from age, and both."""
    rng = np.random.default_rng(2)
    told = COVARIATES.columns[:, :4] @ rng.choice([-1.0, 1.0], 4)
    opens = np.sqrt(explained) * told + np.sqrt(1 - explained) * rng.normal(size=U)
    aged = COVARIATES.columns[:, 4:5] * rng.choice([-1.0, 1.0], B)
    likes = np.sqrt(explained) * aged + np.sqrt(1 - explained) * rng.normal(size=(U, B))
    openness, styles = 0.6 * opens, 0.45 * likes
    user, bucket = np.repeat(np.arange(U), EACH), rng.integers(0, B, U * EACH)
    logit = -2.0 + openness[user] + styles[user, bucket]
    return pushes(logit, rng, user=user, bucket=bucket), openness, styles


WIDTHS = replace(Widths(), openness=0.6, styles=0.45)


@dataclass(frozen=True)
class Told:
    sends: Sends
    true: dict[str, np.ndarray]
    plain: dict[str, np.ndarray]
    """Heads that were fitted without covariates,"""
    prior: UsersPrior
    heads: dict[str, np.ndarray]
    """and with them."""

    def close(self, effect: str, fitted: np.ndarray, of: slice = slice(None)) -> float:
        """Correlation of some users' fitted effects with the true ones."""
        true = self.true[effect][of]
        own = fitted[of, :B] if fitted.ndim > 1 else fitted[of]
        return float(np.corrcoef(own.ravel(), true.ravel())[0, 1])


@pytest.fixture(scope="module")
def told() -> Told:
    sends, openness, styles = shop(0.4)
    plain = fit_heads(sends, SIZES, WIDTHS, (OPEN,), 30)
    prior = likeliest_prior(plain, sends, WIDTHS, COVARIATES, None)
    assert prior is not None
    heads = fit_heads(sends, SIZES, WIDTHS, (OPEN,), 30, prior=prior)
    return Told(sends, {"openness": openness, "styles": styles}, plain, prior, heads)


def test_covariates_that_tell_are_taken_for_what_they_tell_of(told):
    used = {
        effect: {COVARIATES.names[group] for group in COVARIATES.group[width > 0]}
        for effect, width in told.prior.widths.items()
    }
    assert used == {"openness": {"taste"}, "styles": {"age"}}
    shares = told.prior.as_fitted(told.heads).shares({"openness": 0.46, "styles": 0.35})
    assert shares["taste"]["openness"] == pytest.approx(0.4, abs=0.12)
    assert shares["age"]["styles"] == pytest.approx(0.4, abs=0.15)


@pytest.mark.parametrize(("effect", "gain"), [("openness", 0.05), ("styles", 0.1)])
def test_fitted_with_them_users_are_known_better(told, effect, gain):
    before, after = (told.close(effect, one[effect]) for one in (told.plain, told.heads))
    assert after > before + gain


def test_later_openings_are_predicted_better(told):
    sends, true = told.sends, told.true
    logit = -2.0 + true["openness"][sends.user] + true["styles"][sends.user, sends.bucket]
    later = pushes(logit, np.random.default_rng(9), user=sends.user, bucket=sends.bucket)
    before, after = (
        log_loss(predicted(one, later)[:, OPEN], later.outcome[:, OPEN])
        for one in (told.plain, told.heads)
    )
    assert after < before - 0.001


def test_users_never_pushed_have_what_is_told_of_their_kind(told):
    half = told.sends.only(told.sends.user < U // 2)
    heads = fit_heads(half, SIZES, WIDTHS, (OPEN,), 30, prior=told.prior)
    assert told.close("openness", heads["openness"], slice(U // 2, None)) > 0.5


def test_less_is_left_to_users_own_parts(told):
    left = likeliest_widths(told.heads, told.sends, U, WIDTHS, told.prior)
    assert left.openness < WIDTHS.openness


def test_of_users_whose_effects_are_their_own_covariates_tell_nothing():
    sends = shop(0.0)[0]
    heads = fit_heads(sends, SIZES, WIDTHS, (OPEN,), 30)
    assert likeliest_prior(heads, sends, WIDTHS, COVARIATES, None) is None


@pytest.mark.slow
def test_a_shop_whose_users_follow_from_what_its_log_shows_is_fitted_better(monkeypatch):
    made = demo(LogitShop(explained=0.7).simulator(1500, 2), 42, 2)
    log = log_of(made.tables, made.meta)
    found = fit(log)
    monkeypatch.setattr(fit_covariates, "LEAST", 1e9)
    plain = fit(log)
    assert plain.told == {}
    assert {"styles", "openness"} <= set().union(*found.told.values())
    judged = (later_days(log, one, log_end(log)) for one in (found, plain))
    loss, loss_without = (against_baselines(one)["open"]["log_loss"] for one in judged)
    assert loss < loss_without
    order = [made.truth.users.ids.index(user) for user in found.simulator.users.ids]
    for effect in ("styles", "openness"):
        true = made.truth.traits[effect][order].ravel()
        before, after = (
            np.corrcoef(one.simulator.traits[effect].ravel(), true)[0, 1] for one in (plain, found)
        )
        assert after > before + 0.05
