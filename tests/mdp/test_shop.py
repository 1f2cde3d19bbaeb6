"""A log that goes on is of the same shop; one whose ids merely look alike is not."""

import numpy as np
import pytest

from mdp.clock import DAY, NEVER
from mdp.errors import BadInput
from mdp.hashing import hash_ids
from mdp.shop import KEPT, Shop, need_same_shop

UNTIL = 500 * DAY


def _shop(users=40, first_user=0, items=("a", "b"), seed=0, moved=0, first=NEVER):
    ids = [f"u{n}" for n in range(first_user, first_user + users)]
    days = np.array([np.random.default_rng([seed, n]).integers(400) for n in range(users)])
    firsts = np.full(users, first)
    return Shop.of(hash_ids(ids), (days * DAY).astype(np.int64) + moved, firsts, hash_ids(items))


def _need(found, known, until=UNTIL):
    need_same_shop(found, known, until, "other shop", "give its log")


@pytest.mark.parametrize(
    "found",
    [
        _shop(),
        _shop(users=90, items=("c",)),  # new users, and none of the old items
        _shop(first_user=1000, items=("b", "c")),  # pseudonyms
        _shop(moved=DAY),  # dates without hours, elsewhere
        _shop(users=2, seed=1),  # too few to tell
        _shop(seed=1, first=0),  # sign-ups made of first events
        _shop(moved=UNTIL),  # users whom a server got to know later
    ],
)
def test_what_may_be_the_same_shop_passes(found):
    _need(found, _shop())


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (_shop(seed=1), "other shop: of 40 users whom both name, .* on other days; give its log"),
        (_shop(seed=1, items=("c",), users=4), "of 4 users whom both name"),
        (_shop(first_user=1000, items=("c",)), "other shop: no user and no item is known"),
        (_shop(moved=3 * DAY, first=UNTIL), "40 signed up on other days"),
    ],
)
def test_another_shop_is_refused(found, message):
    with pytest.raises(BadInput, match=message):
        _need(found, _shop())


def test_without_an_instant_late_sign_ups_tell_too():
    with pytest.raises(BadInput, match="on other days"):
        _need(_shop(moved=UNTIL), _shop(), None)


def test_days_are_those_of_the_first_users_asked_for():
    shop = _shop(users=3)
    days = shop.days(np.concatenate([shop.users[::-1], hash_ids(f"x{n}" for n in range(KEPT))]))
    assert days[:3] == (shop.signed_up[::-1] // DAY).tolist()
    assert days[3:] == [None] * (KEPT - 3)
