"""Samples for the tests of evaluation."""

import numpy as np
import pandas as pd
import pytest

from evaluation.sample import Sample


@pytest.fixture
def sample() -> Sample:
    """2,000 rows of 400 users; the target prefers action 1, which is worth twice action 0."""
    rng = np.random.default_rng(5)
    n = 2000
    action = (rng.random(n) < 0.3).astype(int)
    logging, target = np.array([0.7, 0.3]), np.array([0.4, 0.6])
    worth = np.array([0.2, 0.4])
    return Sample(
        reward=(rng.random(n) < worth[action]).astype(float),
        propensity=logging[action],
        target_propensity=target[action],
        user=np.arange(n) % 400,
        q_logged=worth[action],
        v_target=np.full(n, float(worth @ target)),
    )


@pytest.fixture
def frame(sample: Sample) -> pd.DataFrame:
    """The sample as a plain table."""
    return pd.DataFrame(
        {
            "reward": sample.reward,
            "propensity": sample.propensity,
            "target_propensity": sample.target_propensity,
            "q_logged": sample.q_logged,
            "v_target": sample.v_target,
            "user_id": [f"u{user}" for user in sample.user],
        }
    )
