"""`pushwise train --newcomers` lets agents meet users whom nobody knows."""

import numpy as np
import pytest

from mdp.errors import BadSetting
from scripts.train import Args, peopled
from simulator.worlds.logit import LogitShop


@pytest.mark.parametrize("believes", [True, False])
def test_a_share_of_the_users_are_unknown_on_a_truth_too(tmp_path, believes):
    shop = LogitShop().simulator(40, 0)
    shop = shop.believing(shop) if believes else shop
    place = peopled(shop, Args(tmp_path, tmp_path, newcomers=0.2))
    assert len(place.users) == 50
    assert place.beliefs is not None
    known = place.beliefs.rows(place.users.hashes)[1]
    np.testing.assert_array_equal(known, np.arange(50) < 40)
    assert peopled(shop, Args(tmp_path, tmp_path)) is shop


def test_who_learns_from_a_log_meets_nobody(tmp_path):
    with pytest.raises(BadSetting, match="linucb learns from logged decisions: leave out"):
        peopled(LogitShop().simulator(4, 0), Args(tmp_path, tmp_path, algo="linucb", newcomers=0.2))
