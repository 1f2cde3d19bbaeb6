"""What is said of a user's interests, on the shop of two crowds."""

import json
from dataclasses import replace

import numpy as np
import pytest

from generation.candidates.hybrid import Hybrid
from generation.candidates.interest import interest_of
from mdp.clock import DAY
from scripts.cli import main
from tests.generation.test_leaderboard import write_shop
from tests.generation.test_rankers import made_up


@pytest.fixture(scope="module")
def log():
    return made_up()


@pytest.fixture(scope="module")
def hybrid(log):
    return Hybrid(rounds=20).fit(log)


def test_a_user_likes_what_their_crowd_buys_and_is_offered_it_with_reasons(log, hybrid):
    found = interest_of(log, "u07", hybrid)
    assert [like.category for like in found.likes] == ["teapot"]
    like = found.likes[0]
    assert (like.share, like.times_usual) == (1.0, 2.0)
    mine = log.at[log.user == 7]
    assert (like.since, found.first) == (str(np.datetime64(int(mine[0] // DAY), "D")),) * 2
    assert found.interactions == 20
    assert {offer.category for offer in found.offers} == {"teapot"}
    reasons = {offer.why.split(" ")[0] for offer in found.offers}
    assert "met" in reasons
    assert reasons <= {"met", "goes", "popular:", "new:"}
    times = [regular.days for regular in found.regulars]
    assert times == sorted(times, reverse=True)
    assert times[0] > 1


def test_blocked_pushed_and_sold_out_items_are_not_offered(log, hybrid):
    first = interest_of(log, "u07", hybrid).offers[0].item_id
    others = interest_of(log, "u07", hybrid, pushed=frozenset([first])).offers
    assert first not in [offer.item_id for offer in others]
    lamps = interest_of(log, "u07", hybrid, blocked=frozenset(["teapot"])).offers
    assert {offer.category for offer in lamps} == {"lamp"}
    stock = np.where(np.array(log.items.ids) == first, 0, 5)
    sold_out = replace(log, items=replace(log.items, stock=stock))
    assert first not in [offer.item_id for offer in interest_of(sold_out, "u07", hybrid).offers]


def test_of_somebody_unknown_nothing_is_known_and_popular_items_are_offered(log, hybrid):
    found = interest_of(log, "nobody", hybrid)
    assert (found.interactions, found.likes, found.regulars, found.prices) == (0, (), (), None)
    assert all(offer.why.startswith("popular: ") for offer in found.offers)


def test_the_command_prints_it(tmp_path, log, capsys):
    write_shop(tmp_path, log)
    line = ["candidates", "explain", "u07", "--logs", str(tmp_path), "--size", "3"]
    assert main([*line, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["offers"]) == 3
    assert main(line) == 0
    assert "likes teapot: 100% of what was met, 2 times the shop's share" in capsys.readouterr().out
    assert main([*line[:-1], "0"]) == 1
    assert "--size is 0" in capsys.readouterr().err
