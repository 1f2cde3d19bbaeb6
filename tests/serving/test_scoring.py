"""Drawing for many users at once."""

import numpy as np

from serving import scoring
from serving.scoring import Question, draw
from serving.store import reading
from serving.users import new_user


def drawn(world, questions):
    return draw(world, questions, np.random.default_rng(0))


def test_long_lists_are_drawn_in_parts_with_the_same_result(shop, monkeypatch):
    observed = []
    observe = scoring.observe

    def noting(requests, *rest):
        observed.append(len(requests.items) * requests.items.shape[1] * requests.variants.shape[1])
        return observe(requests, *rest)

    monkeypatch.setattr(scoring, "observe", noting)
    with shop.server(shop.policy("p")) as client:
        service = client.app.state.service
        with reading(service.engine) as connection:
            world = service.registry.world(connection)
        users = [new_user(f"u{n}", shop.clock.now, True, "UTC") for n in range(20)]
        questions = [Question(user, shop.clock.now, (0, 1, 2, 3), None) for user in users]
        together = drawn(world, questions)
        assert observed.pop() == 20 * 4 * 3
        monkeypatch.setattr(scoring, "PAIRS", 30)
        assert drawn(world, questions) == together
    assert observed[-10:] == [2 * 4 * 3] * 10
