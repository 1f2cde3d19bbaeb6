"""Arrays that were handed out stay as they are while anybody holds them."""

import gc

import numpy as np
import pytest

from envs.vector import PushVectorEnv
from mdp.additive import TOGETHER
from mdp.observation import observe
from mdp.prediction import predict
from mdp.recency import recency_of
from mdp.state import features
from simulator.kernel import Kernel
from simulator.memory import MOST, Memory


def test_a_block_is_handed_out_again_once_nothing_refers_to_it():
    memory = Memory()
    first = memory.take(1000)
    place, part = first.ctypes.data, first[10:20].view(np.uint16)
    del first
    second = memory.take(1000)
    assert second.ctypes.data != place  # a part of the first is still held
    del part
    gc.collect()
    assert memory.take(1000).ctypes.data == place
    assert memory.take(2000).ctypes.data not in (place, second.ctypes.data)


def test_blocks_that_all_are_held_are_not_kept_for_ever():
    memory = Memory()
    held = [memory.take(100) for _ in range(2 * MOST)]
    assert len({block.ctypes.data for block in held}) == 2 * MOST
    assert len(memory._blocks) == MOST


def test_observations_that_are_kept_do_not_change(shop):
    env = PushVectorEnv(shop.believing(shop), 5)
    kept = [env.reset(seed=0)[0]]
    copies = [{name: array.copy() for name, array in kept[0].items()}]
    for _ in range(2 * MOST):
        kept.append(env.step(np.zeros(5, np.int64))[0])
        copies.append({name: array.copy() for name, array in kept[-1].items()})
    for then, now in zip(copies, kept, strict=True):
        for name, array in then.items():
            np.testing.assert_array_equal(now[name], array, err_msg=name)


@pytest.mark.parametrize("users", [1, TOGETHER, TOGETHER + 1])
def test_what_is_seen_in_one_pass_is_what_its_parts_say_one_by_one(shop, users):
    """States, recency, terms and predictions asked for by themselves are those of the pass."""
    believing = shop.believing(shop)
    kernel = Kernel(believing, np.arange(users), 4, 9)
    for _ in range(3):
        kernel.step(np.full(users, 1 + 12))
    view, requests = kernel.view(), kernel.requests()
    states = features(kernel.histories, kernel.at)
    assert requests.histories.tobytes() == states.tobytes()
    again = observe(
        requests,
        shop.catalog,
        shop.guardrails,
        shop.reward,
        kernel._looking.model,
        kernel._looking.believed,
    )
    for name, array in view.observation.items():
        assert again.observation[name].tobytes() == array.tobytes(), name
    model, table = kernel._looking.model, shop.catalog.items
    assert model is not None
    lists = requests.items, requests.variants
    recency = recency_of(
        states, kernel.at, *lists, table.hashes, shop.catalog.variants.buckets, model.half_lives
    )
    terms = model.terms(states, kernel._looking.believed, *lists, kernel.at, kernel.zone)
    assert view.terms is not None
    for name in ("fatigue", "repetition", "wear", "bought", "views"):
        np.testing.assert_array_equal(getattr(view.terms.recency, name), getattr(recency, name))
    for name in ("base", "item", "variant", "hour"):
        np.testing.assert_array_equal(getattr(view.terms, name), getattr(terms, name))
    worth = np.append(table.margin * table.price, np.float32(0))[requests.items]
    mask = view.mask
    predicted = predict(terms, mask.item, mask.variant, mask.hour, worth, shop.reward)
    np.testing.assert_array_equal(predicted.pair, view.observation["pairs"])
    assert view.prediction is not None
    np.testing.assert_array_equal(predicted.best_hour, view.prediction.best_hour)
