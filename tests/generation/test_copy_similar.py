"""What similar users responded to, where the answer is planted."""

import numpy as np

from generation.copy.similar import likenesses


def test_neighbours_show_what_their_group_responds_to():
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=300)
    profiles = np.zeros((300, 20), np.float32)
    np.add.at(
        profiles,
        (np.arange(300)[:, None], group[:, None] * 10 + rng.integers(10, size=(300, 8))),
        1,
    )
    sent = np.full((300, 3), 4.0)
    chance = np.array([[0.3, 0.1, 0.1], [0.1, 0.3, 0.1]])[group]
    responded = rng.binomial(4, chance).astype(float)
    found = likenesses(profiles, sent, responded)
    assert (found.argmax(1) == group).mean() > 0.95
    assert np.abs(found[:, 2] - 1).mean() < 0.4


def test_a_users_own_responses_do_not_count():
    profiles = np.eye(2, dtype=np.float32).repeat(3, 0)
    sent, responded = np.full((6, 2), 50.0), np.zeros((6, 2))
    responded[:, 1] = 5
    before = likenesses(profiles, sent, responded, 2)[0]
    more = responded.copy()
    more[0, 0] = 50
    rate = (more.sum(0) + 1) / (sent.sum(0) + 20)
    after = likenesses(profiles, sent, more, 2)[0] * rate
    assert after[0] < before[0] * (responded.sum(0)[0] + 1) / 320 + 0.05


def test_where_nothing_is_known_nothing_stands_out():
    none = np.zeros((4, 3))
    np.testing.assert_allclose(likenesses(np.zeros((4, 5), np.float32), none, none), 1)
