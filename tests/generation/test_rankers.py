"""One set of tests that every ranker inherits, on a made-up shop of a few dozen users."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from generation.candidates.collaborative import ALS, Ease, ItemBM25, ItemKNN, UserKNN, ease_weights
from generation.candidates.content import Content
from generation.candidates.evidence import FEATURES, Evidence
from generation.candidates.hybrid import Hybrid
from generation.candidates.interactions import Interactions, interactions_of
from generation.candidates.ranker import Ranker
from generation.candidates.reviewed import Reviewed
from generation.candidates.simple import OwnHistory, Popular
from generation.learning.networks import CNN, GRU
from ingestion.parse import log_of
from mdp.catalog import simple_items
from mdp.clock import DAY
from mdp.errors import BadInput, NotEnoughData

HALF, DAYS = 12, 90
START = 20_000 * DAY
LAMPS, TEAPOTS = range(HALF), range(HALF, 2 * HALF)
NOBODY, UNMET = 60, 2 * HALF


def made_up() -> Interactions:
    """Sixty users: even ones buy lamps, odd ones teapots, low numbers most. A sixty-first buys
    nothing, and nobody the last teapot."""
    rng = np.random.default_rng(0)
    user = np.tile(np.arange(60), 20)
    kinds = ["lamp"] * HALF + ["teapot"] * (HALF + 1)
    return Interactions(
        user_ids=tuple(f"u{n:02d}" for n in range(61)),
        items=simple_items([f"{kind} {n}" for n, kind in enumerate(kinds)], np.ones(25), kinds),
        descriptions=("",) * 25,
        user=user,
        item=(rng.beta(1, 2, len(user)) * HALF).astype(np.int64) + HALF * (user % 2),
        at=np.sort(START + rng.integers(0, DAYS * DAY, len(user))),
        bought=np.ones(len(user), bool),
        until=START + DAYS * DAY,
    )


@pytest.fixture(scope="module")
def log() -> Interactions:
    return made_up()


class RankerTests:
    """What holds of every ranker."""

    make: Callable[[], Ranker]

    @pytest.fixture(scope="class")
    @classmethod
    def ranker(cls, log):
        return cls.make().fit(log)

    def test_lists_are_of_different_items_in_the_order_of_scores(self, ranker):
        users = np.arange(60)
        lists = ranker.recommend(users, 7)
        assert lists.shape == (60, 7)
        assert lists.dtype == np.int32
        assert all(len(set(row)) == 7 for row in lists.tolist())
        found = np.take_along_axis(np.asarray(ranker.scores(users), float), lists, 1)
        assert (np.diff(found) <= 0).all()

    def test_alone_a_user_gets_the_list_of_the_batch(self, ranker):
        lists = ranker.recommend(np.arange(61), 5)
        for user in (0, 31, NOBODY):
            np.testing.assert_array_equal(ranker.recommend([user], 5)[0], lists[user])

    def test_fitted_again_it_gives_the_same_lists(self, ranker, log):
        users = np.arange(61)
        again = type(self).make().fit(log).recommend(users, 8)
        np.testing.assert_array_equal(again, ranker.recommend(users, 8))

    def test_whoever_is_unknown_or_met_nothing_gets_what_is_popular(self, ranker, log):
        popular = Popular().fit(log).recommend([-1], 6)[0]
        for user in (-1, NOBODY):
            np.testing.assert_array_equal(ranker.recommend([user], 6)[0], popular)

    def test_what_is_excluded_is_never_offered(self, ranker):
        barred = np.zeros((2, 25), bool)
        barred[0, :HALF] = barred[1, 3:] = True
        lists = ranker.recommend(np.array([0, -1]), 10, csr_matrix(barred))
        assert set(lists[0].tolist()) <= {*TEAPOTS, UNMET}
        assert sorted(lists[1].tolist()) == [-1] * 7 + [0, 1, 2]

    def test_a_list_longer_than_the_catalogue_ends_in_padding(self, ranker):
        lists = ranker.recommend([0, -1], 30)
        np.testing.assert_array_equal(lists[:, 25:], -1)
        assert all(sorted(row) == list(range(25)) for row in lists[:, :25].tolist())

    def test_an_exclusion_of_another_shape_is_refused(self, ranker):
        with pytest.raises(BadInput, match=r"\(1, 3\); it must be \(2, 25\)"):
            ranker.recommend([0, 1], 5, csr_matrix((1, 3)))


class PersonalTests(RankerTests):
    """What holds of every ranker that learns what a user likes."""

    def test_users_get_what_their_crowd_buys(self, ranker):
        lists = ranker.recommend(np.arange(60), 8)
        for user, row in enumerate(lists.tolist()):
            assert set(row) <= {*((*TEAPOTS, UNMET) if user % 2 else LAMPS)}


class TestPopular(RankerTests):
    make = staticmethod(Popular)

    def test_only_the_last_days_count(self, log):
        old = log.age > 30
        changed = log.where(~old | (log.item == 0)).where(old[~old | (log.item == 0)] == 1)
        assert len(changed.user) > 5
        assert (Popular(30).fit(changed).scores(np.array([0])) == 0).all()


class TestOwnHistory(RankerTests):
    make = staticmethod(OwnHistory)

    def test_what_was_met_most_comes_first(self, ranker, log):
        counts = log.counts.toarray()
        first = ranker.recommend(np.arange(60), 1)[:, 0]
        np.testing.assert_array_equal(counts[np.arange(60), first], counts[:60].max(1))


class TestUserKNN(PersonalTests):
    make = staticmethod(lambda: UserKNN(10))


class TestItemKNN(PersonalTests):
    make = staticmethod(ItemKNN)


class TestItemBM25(PersonalTests):
    make = staticmethod(ItemBM25)


class TestALS(PersonalTests):
    make = staticmethod(lambda: ALS(factors=4, regularization=1.0))


class TestEase(PersonalTests):
    make = staticmethod(lambda: Ease(10.0))

    def test_its_weights_solve_the_ridge_regressions(self, log):
        met, weights = log.met.toarray(), ease_weights(log.met, 10.0)
        for item in (0, 13):
            others = np.delete(met, item, 1)
            solved = np.linalg.solve(others.T @ others + 10 * np.eye(24), others.T @ met[:, item])
            np.testing.assert_allclose(np.delete(weights[:, item], item), solved, atol=1e-5)
        assert (np.diag(weights) == 0).all()

    def test_a_catalogue_too_large_for_it_is_refused(self):
        with pytest.raises(NotEnoughData, match="30,000 items are more than 20,000"):
            ease_weights(csr_matrix((2, 30_000)), 1.0)


class TestContent(PersonalTests):
    make = staticmethod(Content)

    def test_an_item_that_nobody_met_is_found_by_its_words(self, ranker, log):
        lists = ranker.recommend(np.array([1]), 9, log.met[[1]])
        assert UNMET in lists[0, : 13 - log.met[1].nnz + 1]


class TestReviews:
    """Reviews as content, in a shop whose items have the same words."""

    @pytest.fixture(scope="class")
    @classmethod
    def log(cls):
        """Ann buys what is soft, Bob what smells good; two new items are soft and fragrant, as
        reviews in another language than those of what they bought say."""
        reviews = {
            "soft": "So soft and comfortable", "silky": "Very soft", "fresh": "A lovely scent",
            "floral": "Smells good", "new-soft": "手感柔软", "new-scented": "很好闻，气味不错",
        }  # fmt: skip
        bought = [("ann", "soft"), ("ann", "silky"), ("bob", "fresh"), ("bob", "floral")]
        return log_of(
            {
                "users": pd.DataFrame({"user_id": ["ann", "bob"], "timezone": "UTC"}),
                "items": pd.DataFrame(
                    {"item_id": list(reviews), "title": "Thing", "category": "c", "price": 1.0}
                ),
                "events": pd.DataFrame(bought, columns=["user_id", "item_id"]).assign(
                    event="purchase", at="2026-03-01T00:00:00Z"
                ),
                "reviews": pd.DataFrame(
                    {
                        "item_id": [item for item in reviews for _ in range(3)],
                        "text": [text for text in reviews.values() for _ in range(3)],
                        "at": ["2026-02-01T00:00:00Z", None, "2026-04-01T00:00:00Z"] * 6,
                    }
                ),
            }
        )

    def test_new_items_are_found_by_what_reviewers_praise_in_either_language(self, log):
        known = interactions_of(log)
        lists = Content().fit(known).recommend([0, 1], 1, known.met)
        assert [known.items.ids[row] for row in lists[:, 0]] == ["new-soft", "new-scented"]

    def test_the_hybrid_reads_them_too(self, log):
        known = interactions_of(log)
        user, item, seen = Evidence(known).pairs(np.array([0, 1]))
        content = {
            (u, known.items.ids[i]): found
            for u, i, found in zip(user, item, seen[:, FEATURES.index("content")], strict=True)
        }
        assert content[0, "new-soft"] > content[0, "new-scented"]
        assert content[1, "new-soft"] < content[1, "new-scented"]

    def test_at_an_instant_only_reviews_written_before_it_are_known(self, log):
        known = interactions_of(log)
        assert len(known.reviewed.at) == 18
        cut = pd.Timestamp("2026-03-15T00:00:00Z").value // 1000
        for earlier in (known.before(cut), interactions_of(log, cut)):
            assert earlier.reviewed.at.tolist() == [pd.Timestamp("2026-02-01").value // 1000] * 6

    def test_blame_speaks_against_and_few_reviews_say_little(self):
        tone = np.array([[1], [1], [-1], [1], [0]], np.int8)
        features = Reviewed(np.array([0, 0, 1, 2, 2]), tone, np.zeros(5, np.int64)).features(4)
        # All reviews: mean 0.4. Item 2's mean is 0.5, of two reviews like item 0's 1.
        assert features[:, 0] == pytest.approx([2 / 7, -1 / 6, 2 / 7, 0])


class TestHybrid(PersonalTests):
    make = staticmethod(lambda: Hybrid(windows=2, rounds=30))

    def test_without_a_past_to_learn_from_ease_and_popularity_rank(self, log):
        lists = Hybrid(days=200).fit(log).recommend(np.arange(60), 5)
        assert all(
            set(row) <= {*(TEAPOTS if n % 2 else LAMPS)} for n, row in enumerate(lists.tolist())
        )


class TestGRU(PersonalTests):
    make = staticmethod(lambda: GRU(width=8, epochs=8, length=16))


class TestCNN(PersonalTests):
    make = staticmethod(lambda: CNN(width=8, epochs=8, length=16))
