"""What a saved policy's manifest says of how it stands beside simple ones, in words.

`agents.standing` finds it when a policy is learned: under `standing` in the manifest are `value`
and, for each simple policy, `minus`, the value per user above its own; `low` and `high` of 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOLD, LOGGING, GREEDY = "hold", "logging", "greedy + threshold"
"""Simple policies that others stand beside."""


def standing_said(standing: Mapping[str, Any]) -> str:
    """How a policy stands, in a sentence."""
    ranked = [_ranked(name, margin) for name, margin in standing["minus"].items()]
    return (
        f"on other users and draws, under each member of the ensemble, it earns "
        f"{_figures(standing['value'], '')} per user over {standing['days']} simulated days with "
        f"{standing['sends_per_week']:.2f} pushes a week: {'; '.join(ranked)}"
    )


def doubt(manifest: Mapping[str, Any]) -> str | None:
    """What is to be minded before a policy decides for all, where it is not surely above hold; None
    where it is, or where nobody looked (a policy saved before, or of another reward)."""
    standing = manifest.get("standing")
    if standing is None or standing["minus"][HOLD]["low"] > 0:
        return None
    return (
        "the fit does not show that this policy earns more than sending nothing does: let it "
        "decide for a share of the users beside a holdout, or log more, before it decides for all"
    )


def _ranked(name: str, margin: Mapping[str, float]) -> str:
    if margin["low"] > 0:
        return f"more than {name}, {_figures(margin)}"
    if margin["high"] < 0:
        return f"less than {name}, {_figures(margin)}"
    return f"not surely more or less than {name}, {_figures(margin)}"


def _figures(found: Mapping[str, float], sign: str = "+") -> str:
    mean, low, high = (format(found[name], f"{sign}.3f") for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"
