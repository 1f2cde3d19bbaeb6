"""What a policy sees: the same alone and in a batch, and true to the response model."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from mdp.clock import DAY
from mdp.facing import face_all
from mdp.guardrails import Guardrails
from mdp.observation import CANDIDATE, NAMES, USER, Requests, View, observe
from mdp.prediction import PARTS, outcomes_of
from mdp.reward import Reward
from mdp.wording import standard_wording, wording

RULES = Guardrails(per_calendar_day=None, per_7d=None)


@pytest.fixture
def view(requests, catalog, model, traits) -> View:
    return observe(requests, catalog, RULES, Reward(), model.bind(catalog), traits)


def row_of(requests: Requests, n: int) -> Requests:
    return Requests(*(getattr(requests, f)[n : n + 1] for f in Requests.__dataclass_fields__))


def test_a_decision_is_seen_the_same_alone_and_in_a_batch(requests, catalog, model, traits, view):
    for n in range(5):
        alone = observe(
            row_of(requests, n), catalog, RULES, Reward(), model.bind(catalog), traits[n : n + 1]
        )
        for name, array in alone.observation.items():
            assert array.tobytes() == view.observation[name][n : n + 1].tobytes(), name


def test_shapes_names_and_types(view):
    shapes = {"user": (5,), "candidates": (5, 4), "variants": (5, 3), "hours": (5, 24)}
    shapes["pairs"] = (5, 4, 3)
    for name, shape in shapes.items():
        array = view.observation[name]
        assert array.dtype == np.float32
        assert array.shape == (*shape, len(NAMES[name]))
        assert np.isfinite(array).all()
    assert view.observation["action_mask"].shape == (5, 4 + 3 + 24)
    assert view.observation["action_mask"].dtype == np.int8


def test_hidden_taste_does_not_show_without_a_model(requests, catalog, traits):
    one = observe(requests, catalog, RULES, Reward()).observation
    two = observe(requests, catalog, RULES, Reward(), None, traits).observation
    for name in one:
        assert one[name].tobytes() == two[name].tobytes()
    assert (one["pairs"] == 0).all()


def test_it_is_compiled_once_whoever_made_the_arrays(requests, catalog):
    """A simulator's may be written; a log's and a store's may not, and lists may be slices."""
    first = observe(requests, catalog, RULES, Reward()).observation
    known = len(face_all.signatures)
    histories, until = requests.histories.copy(), catalog.items.available_until.copy()
    histories.flags.writeable = until.flags.writeable = False
    items = requests.items.copy(order="F")
    other = replace(requests, histories=histories, items=items)
    same = replace(catalog, items=replace(catalog.items, available_until=until))
    again = observe(other, same, RULES, Reward()).observation
    assert len(face_all.signatures) == known
    for name, array in first.items():
        assert array.tobytes() == again[name].tobytes()


def expected_value(view: View, catalog, requests, n: int, k: int, v: int, h: int) -> np.ndarray:
    """`PARTS` of one send by the chain rule, from the conditional probabilities."""
    chosen = [np.full(5, slot) for slot in (k, v, h)]
    assert view.terms is not None
    opens, clicks, buys, dismisses, leaves = outcomes_of(view.terms, *chosen)[n]
    row = requests.items[n, k]
    worth = catalog.items.margin[row] * catalog.items.price[row]
    click = opens * clicks
    purchase = click * buys * worth
    dismiss = (1 - opens) * dismisses
    value = purchase + 0.2 * click - 0.05 * dismiss - 4 * leaves - 0.01
    return np.array([value, opens, click, purchase, dismiss, leaves])


def test_pairs_are_the_models_expected_reward_at_its_best_hour(view, catalog, requests):
    pairs = view.observation["pairs"]
    assert view.prediction is not None
    best = [int(hour) for hour in view.prediction.best_hour]
    for n, k, v in product((0, 1, 3), range(3), range(3)):
        h = best[n]
        if view.mask.item[n, k] == 0 and view.mask.variant[n, v] == 0:
            expected = expected_value(view, catalog, requests, n, k, v, h)
            np.testing.assert_allclose(pairs[n, k, v], expected, rtol=1e-4, atol=1e-5)
    hours = view.observation["hours"][..., NAMES["hours"].index("value")]
    top = pairs[0, ..., PARTS.index("value")].argmax()
    for h in range(24):
        if view.mask.hour[0, h] != 0:
            continue
        expected = expected_value(view, catalog, requests, 0, *divmod(int(top), 3), h)
        assert hours[0, h] == pytest.approx(expected[0], rel=1e-4)


def test_what_is_masked_predicts_nothing(view):
    pairs = view.observation["pairs"]
    assert (pairs[view.mask.item != 0] == 0).all()
    assert (view.observation["candidates"][1, 3] == 0).all()
    for blocked in (2, 4):  # unsubscribed; no time zone
        assert (pairs[blocked] == 0).all()
        assert (view.observation["action_mask"][blocked, :4] == 0).all()


def test_what_was_never_fitted_is_known_by_its_features(catalog, model):
    bound = model.bind(catalog)
    np.testing.assert_array_equal(bound.item_taste[5], model.category_taste[2])
    np.testing.assert_array_equal(bound.item_taste[:5], model.item_taste)
    copy = catalog.variants
    raw = wording(copy.titles, copy.bodies)
    said = (
        standard_wording(raw, model.variant_center, model.variant_scale)[2] @ model.variant_weight
    )
    expected = model.style[copy.buckets[2]] + said
    np.testing.assert_allclose(bound.variant_term[2], expected, rtol=1e-6)


def test_binding_follows_ids_not_rows(catalog, model):
    turned = np.argsort(catalog.items.price)[::-1].copy()
    items = catalog.items
    flipped = replace(
        items,
        ids=tuple(items.ids[i] for i in turned),
        categories=tuple(items.categories[i] for i in turned),
        price=items.price[turned],
        list_price=items.list_price[turned],
    )
    one = model.bind(catalog)
    two = model.bind(replace(catalog, items=flipped))
    np.testing.assert_allclose(two.item_term, one.item_term[turned], rtol=1e-6)
    np.testing.assert_array_equal(two.item_taste, one.item_taste[turned])


def test_recency_halves_with_age(requests, catalog, model, traits):
    later = replace(requests, decided_at=requests.decided_at + 30 * DAY)
    early, late = (
        observe(r, catalog, RULES, Reward(), model.bind(catalog), traits) for r in (requests, later)
    )
    assert early.terms is not None
    assert late.terms is not None
    fatigue = early.terms.recency.fatigue
    assert (fatigue > 0).any()
    settled = requests.histories["ring"]["send_at"].max(1) < requests.decided_at[0] - DAY
    np.testing.assert_allclose(
        late.terms.recency.fatigue[settled], fatigue[settled] / 2**10, rtol=1e-3, atol=1e-7
    )
    column = early.observation["user"][:, USER.index("fatigue")]
    np.testing.assert_array_equal(column, fatigue)
    repetition = early.observation["candidates"][..., CANDIDATE.index("repetition")]
    np.testing.assert_array_equal(repetition[0], early.terms.recency.repetition[0])
