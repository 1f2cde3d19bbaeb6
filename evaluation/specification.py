"""Estimators by name, as `--estimators` takes them: `snips,switch_dr:10,dros:slope,ips:clip=5`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evaluation.estimators import (
    Shrink,
    Terms,
    clip,
    dm,
    dr,
    ips,
    mips,
    optimistic,
    predictions,
    sndr,
    snips,
    snmips,
    subgaussian,
    switch,
)
from evaluation.sample import Sample
from evaluation.slope import Rows, slope
from mdp.errors import BadSetting

PLAIN: dict[str, Callable[[Sample], Terms]] = {
    "ips": ips,
    "snips": snips,
    "dm": dm,
    "dr": dr,
    "sndr": sndr,
    "mips": mips,
    "snmips": snmips,
}


@dataclass(frozen=True)
class Family:
    """Estimators that change the weights by one number."""

    base: Callable[[Sample, np.ndarray], Terms]
    """`ips` or `dr`"""
    shrink: Shrink
    """the changed weights of weights and number"""
    key: str
    """what the number is called, as in `ips:clip=10`"""
    most: float = np.inf
    """largest number that has a meaning; the least is above 0"""


PARAMETRIC: dict[str, Family] = {
    "ips": Family(ips, clip, "clip"),
    "dr": Family(dr, clip, "clip"),
    "switch_dr": Family(dr, switch, "tau"),
    "dros": Family(dr, optimistic, "lambda"),
    "sg_ips": Family(ips, subgaussian, "lambda", 1.0),
    "sg_dr": Family(dr, subgaussian, "lambda", 1.0),
}
TUNED = "slope"
"""In place of a number: chosen from the log."""
UNBIASED = ("dr", "sndr", "snips", "ips")
"""With right weights, in the order in which they decide."""
MARGINAL = ("mips", "snmips")
"""With weights of the actions' features."""
SEQUENTIAL = ("first", "pdis", "sn_pdis", "sdr", "mis", "fqe")
"""Of a user's days; `evaluation.sequential` has them."""
WITHOUT_MODEL = "ips,snips,ips:clip=10"
WITH_MODEL = "ips,snips,ips:clip=10,dm,dr,sndr"
_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
_NEEDS_KEY = ("ips", "dr")
"""Of these a bare number would not say what it is."""
_OLD = {"clipped": "ips"}
"""Name before `ips:clip=`, still understood."""


@dataclass(frozen=True)
class Estimator:
    """An estimator by name, with its parameter where it has one."""

    label: str
    """As it was asked for, and as results name it."""
    name: str
    """a key of `PLAIN` or `PARAMETRIC`"""
    parameter: float | None = None
    """The number, above 0; None: none, or not chosen yet."""
    tuned: bool = False
    """Whether the log chooses the number."""

    def terms(self, sample: Sample) -> Terms:
        """Every row's terms; raises `BadSetting` where the sample lacks columns."""
        if self.tuned and self.parameter is None:
            return self.resolved(sample).terms(sample)
        if self.parameter is None:
            return PLAIN[self.name](sample)
        family = self._family(sample)
        return family.base(sample, family.shrink(sample.weights, self.parameter))

    def resolved(self, sample: Sample) -> Estimator:
        """This estimator with its number chosen by SLOPE, where the log is to choose it."""
        if not self.tuned:
            return self
        family = self._family(sample)

        def rows(number: float) -> Rows:
            return family.base(sample, family.shrink(sample.weights, number)).top

        return replace(self, parameter=slope(rows, candidates(self.name, sample.weights)))

    def _family(self, sample: Sample) -> Family:
        family = PARAMETRIC[self.name]
        if family.base is dr:
            predictions(sample, self.label)
        return family

    @property
    def unbiased(self) -> bool:
        """Whether its value would be right on average, were propensities and support."""
        return self.name in UNBIASED and self.parameter is None and not self.tuned

    @property
    def marginal(self) -> bool:
        """Whether it weighs by the features of actions."""
        return self.name in MARGINAL

    @property
    def checked_by(self) -> str | None:
        """The unbiased estimator that its own bias can be measured against; None: needs none."""
        if self.unbiased:
            return None
        return "ips" if self.marginal or self.name in ("ips", "sg_ips") else "dr"


def candidates(name: str, weights: np.ndarray) -> list[float]:
    """Numbers to choose from by SLOPE: from none of the weights (n,) changed to half of them."""
    if PARAMETRIC[name].most == 1.0:
        return [1e-9, 0.01, 0.03, 0.1, 0.3, 1.0]
    positive = weights[weights > 0]
    if not len(positive):
        return [1.0]
    found = np.unique(np.quantile(positive, _QUANTILES))
    if name == "dros":
        found = found**2
    return [*(float(number) for number in found), np.inf]


def divided(specification: str) -> tuple[tuple[Estimator, ...], tuple[str, ...]]:
    """A text's estimators per decision, and the names of those over a user's days; raises
    `BadSetting`."""
    texts = [text.strip() for text in specification.split(",")]
    days = tuple(dict.fromkeys(text.lower() for text in texts if text.lower() in SEQUENTIAL))
    rest = [text for text in texts if text.lower() not in SEQUENTIAL]
    return (parse(",".join(rest)) if rest else ()), days


def parse(specification: str) -> tuple[Estimator, ...]:
    """The estimators of a text such as `ips,snips,switch_dr:10,ips:clip=5,dros:slope`, in either
    case; raises `BadSetting`."""
    found: list[Estimator] = []
    for text in (part.strip() for part in specification.split(",")):
        estimator = _parse_one(text)
        if estimator not in found:
            found.append(estimator)
    return tuple(found)


def _parse_one(text: str) -> Estimator:
    name, colon, rest = text.lower().partition(":")
    old = name in _OLD
    name = _OLD.get(name, name)
    if name in PLAIN and not colon and not old:
        return Estimator(text, name)
    if name not in PARAMETRIC:
        known = ", ".join([*PLAIN, *(shape(name) for name in PARAMETRIC), *SEQUENTIAL])
        raise BadSetting(f"there is no estimator {text!r}: use {known}")
    family = PARAMETRIC[name]
    key, equals, number = rest.rpartition("=")
    if (equals and key != family.key) or (not equals and name in _NEEDS_KEY and not old):
        raise BadSetting(f"estimator {text!r} must be written {shape(name)}")
    if number == TUNED:
        return Estimator(text, name, tuned=True)
    try:
        value = float(number)
    except ValueError:
        value = np.nan
    if not 0 < value <= family.most:
        limit = f", at most {family.most:g}" if np.isfinite(family.most) else ""
        raise BadSetting(
            f"estimator {text!r} needs a number above 0{limit}, "
            f"such as {shape(name, example(name))}"
        )
    return Estimator(text, name, value)


def shape(name: str, number: str = "NUMBER") -> str:
    """How an estimator with a number is written."""
    return f"{name}:clip={number}" if name in _NEEDS_KEY else f"{name}:{number}"


def example(name: str) -> str:
    """A number that an estimator may have."""
    return "0.1" if PARAMETRIC[name].most == 1.0 else "10"


def default_estimators(sample: Sample) -> tuple[Estimator, ...]:
    """Those that most readers need, as far as the sample has the columns for them."""
    return parse(WITH_MODEL if sample.has_model else WITHOUT_MODEL)
