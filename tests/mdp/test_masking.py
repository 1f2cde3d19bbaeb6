"""The ceiling on unsubscribe risk, by what the response model predicts."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from mdp.clock import DAY, HOUR, zone_code
from mdp.errors import BadSetting
from mdp.guardrails import Guardrails, Reason
from mdp.masking import first_quiet
from mdp.observation import READABLE, SCHEMA, Requests, View, observe
from mdp.prediction import outcomes_of
from mdp.response import HEADS, BoundModel, Terms
from mdp.reward import Reward

RULES = Guardrails(per_calendar_day=None, per_7d=None, quiet_start="20:00", quiet_end="10:00")


@dataclass(frozen=True)
class Hazards:
    """A model's terms on the complementary log-log scale."""

    of: BoundModel

    @property
    def half_lives(self) -> np.ndarray:
        return self.of.half_lives

    def terms(self, *given) -> Terms:
        return replace(self.of.terms(*given), cloglog=np.ones(len(HEADS), np.bool_))


def riskiest(view: View, asked: Requests, n: int, k: int) -> float:
    """Highest probability of unsubscribing of the sends of an item, from the heads' terms."""
    hours = np.flatnonzero(view.mask.hour[n] != Reason.QUIET_HOURS)
    terms: Any = view.terms
    sends = list(product(np.flatnonzero(asked.variant_reason[n] == 0), hours))
    v, h = np.array(sends).T
    some = replace(terms, **{
        name: np.repeat(getattr(terms, name)[n : n + 1], len(sends), 0)
        for name in ("base", "item", "variant", "hour")
    })  # fmt: skip
    return float(outcomes_of(some, np.full(len(sends), k), v, h)[:, 4].max())


def seen(asked, catalog, model, traits, ceiling):
    rules = replace(RULES, unsubscribe_ceiling=ceiling)
    return observe(asked, catalog, rules, Reward(), model, traits)


@pytest.mark.parametrize("cloglog", [False, True])
def test_no_send_is_allowed_above_the_ceiling_and_no_item_masked_below(
    requests, catalog, model, traits, cloglog
):
    bound = Hazards(model.bind(catalog)) if cloglog else model.bind(catalog)
    free = seen(requests, catalog, bound, traits, None)
    allowed = np.argwhere(free.mask.item == 0)
    risks = {(n, k): riskiest(free, requests, n, k) for n, k in allowed.tolist()}
    middle = len(risks) // 2
    ceiling = float(np.mean(sorted(risks.values())[middle : middle + 2]))
    held = seen(requests, catalog, bound, traits, ceiling)
    masked = {place: held.mask.item[place] == Reason.UNSUBSCRIBE_RISK for place in risks}
    assert masked == {place: risk > ceiling for place, risk in risks.items()}
    assert 0 < sum(masked.values()) < len(masked)
    K = requests.items.shape[1]
    np.testing.assert_array_equal(held.observation["action_mask"][:, :K], held.mask.item == 0)


def test_zero_masks_all_and_one_nothing(requests, catalog, model, traits):
    bound = model.bind(catalog)
    assert (seen(requests, catalog, bound, traits, 0).mask.item != 0).all()
    free = seen(requests, catalog, bound, traits, None)
    np.testing.assert_array_equal(
        seen(requests, catalog, bound, traits, 1).mask.item, free.mask.item
    )


def test_a_ceiling_needs_a_model(requests, catalog):
    with pytest.raises(BadSetting, match=r"unsubscribe\.ceiling is 0.1, and there is no response"):
        seen(requests, catalog, None, None, 0.1)


def test_a_higher_ceiling_or_cap_masks_no_more(requests, catalog, model, traits):
    bound = model.bind(catalog)
    fewer = seen(requests, catalog, bound, traits, 0.1).mask.item != 0
    for ceiling in (0.2, 0.5, None):
        more = seen(requests, catalog, bound, traits, ceiling).mask.item != 0
        assert not (more & ~fewer).any()
        fewer = more


def test_quiet_hours_begin_once_their_first_minute_is_there():
    berlin, spring = zone_code("Europe/Berlin"), 20_541 * DAY  # 2026-03-29, 01:00 there
    rules = Guardrails(quiet_start="02:30", quiet_end="05:00")
    later = spring + DAY
    assert first_quiet(rules, berlin, spring, later) == spring + HOUR  # 02:30 does not come
    assert first_quiet(rules, berlin, spring + HOUR + 1, later) == spring + HOUR + 1  # they are on
    assert first_quiet(rules, berlin, spring, spring + HOUR // 2) == spring + HOUR // 2
    assert first_quiet(Guardrails(quiet_start="08:00"), berlin, spring, later) == later  # none


def test_artifacts_from_before_the_ceiling_can_be_read():
    assert READABLE[0] == SCHEMA
    assert len(set(READABLE)) == 2
