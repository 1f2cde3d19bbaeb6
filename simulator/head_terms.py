"""The additive terms of the five heads at pushes, some of them at a time, as tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

import numpy as np
import torch

from mdp.hashing import STYLE_BUCKETS
from mdp.response import HEADS
from simulator.additive import Term, added
from simulator.sends import OPEN, Sends, asked
from simulator.users_prior import COEFFICIENTS

TOGETHER = 200_000
"""Pushes that are worked on at a time: what is worked out of a push takes more memory than it."""
MOST_BLOCKS = 16
"""In which pushes are worked on: each takes a gradient for all users."""
USERS_EFFECTS = ("openness", "styles", "tolerance", "price")
Parameters = dict[str, torch.Tensor]
"""Arrays by name; what all users share has a last axis of heads."""


def tied(p: Parameters) -> dict[str, torch.Tensor]:
    """Weights of the users' effects, by name, with those fixed that set an effect's unit: openness
    and styles act on opening by 1, tolerance on dismissing and unsubscribing by -1, price
    sensitivity on clicking by 1."""
    opening = torch.nn.functional.one_hot(torch.tensor(OPEN), len(HEADS)).float()
    learned = {name: p[f"{name}_weight"] * (1 - opening) for name in ("openness", "styles")}
    return {
        "openness_weight": learned["openness"] + opening,
        "styles_weight": learned["styles"] + opening,
        "tolerance_weight": torch.tensor([0.0, 0.0, 0.0, -1.0, -1.0]),
        "price_weight": torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]),
    }


def logits(p: Parameters, s: dict[str, torch.Tensor], effects: Parameters) -> torch.Tensor:
    """Logits (S, H) of heads at pushes, given their parameters.

    effects: `effects_of` all `USERS_EFFECTS` there, and `tired`.
    """
    hours = (p["hour"] + p["weekday_hour"]).flatten(0, 1)
    wording = s["wording"] @ p["variant_weight"] + p["variant_effect"]
    special: tuple[Term, ...] = ()
    if len(p["special"]):
        ordinary = torch.zeros_like(p["special"][:1])
        special = ((torch.cat([ordinary, p["special"]]), s["special"]),)
    return added(
        p["base"],
        len(s["user"]),
        (p["weekday"], s["weekday"]),
        (hours, 24 * s["weekday"] + s["hour"]),
        (s["item_features"] @ p["item_weight"], None),
        (p["item_effect"], s["item"]),
        (wording, s["variant"]),
        (p["style"], s["bucket"]),
        (p["openness_weight"], effects["openness"]),
        (p["tolerance_weight"], effects["tolerance"]),
        (p["styles_weight"], effects["styles"]),
        (p["price_weight"], effects["price"] * s["item_features"][:, 0]),
        (p["taste_weight"], s["liking"]),
        (p["hours_weight"], s["profile"]),
        (p["fatigue_weight"], effects["tired"]),
        (p["repetition_weight"], s["repetition"]),
        (p["wear_weight"], s["wear"]),
        (p["bought_weight"], s["bought"]),
        (p["views_weight"], s["views"]),
        *special,
    )


def of_heads(p: Parameters, heads: torch.Tensor) -> Parameters:
    """What users share, of some heads alone; effects of the users as they are."""
    return {
        name: value if name in USERS_EFFECTS else value[..., heads]
        for name, value in p.items()
        if not name.endswith(COEFFICIENTS)
    }


def effects_of(p: Parameters, s: dict[str, torch.Tensor], names: Iterable[str]) -> Parameters:
    """Some of `USERS_EFFECTS` at pushes (S,) each: of the user, of `styles` that to what was
    sent."""
    user = s["user"]
    place = {"styles": user * STYLE_BUCKETS + s["bucket"]}
    return {name: p[name].reshape(-1).index_select(0, place.get(name, user)) for name in names}


def tired(s: dict[str, torch.Tensor], tolerance: torch.Tensor) -> Parameters:
    """How fatigue acts (S,) at pushes to users of some tolerance (U,)."""
    return {"tired": strain(s["fatigue"], tolerance[s["user"]], s["knee"])}


def strain(fatigue: torch.Tensor, tolerance: torch.Tensor, knee: torch.Tensor) -> torch.Tensor:
    """How far fatigue, eased by tolerance, is above its knee (), of arrays that go together."""
    return (fatigue * torch.exp(-tolerance) - knee).clamp(min=0.0)


def turns(s: dict[str, torch.Tensor], heads: torch.Tensor) -> torch.Tensor:
    """Whether pushes ask each of some heads for what followed (S, H) bool."""
    return torch.from_numpy(asked(s["outcome"].numpy(), s["come"].numpy()))[:, heads]


def strained(tolerance: np.ndarray, sends: Sends) -> np.ndarray:
    """How fatigue acts (S,) float32 at pushes to users of some tolerance (U,)."""
    return tired(tensors(sends), torch.from_numpy(tolerance))["tired"].numpy()


def blocks_of(pushes: int) -> list[slice]:
    """The pushes, as many at a time as are worked on."""
    height = max(TOGETHER, -(-pushes // MOST_BLOCKS))
    return [slice(begin, begin + height) for begin in range(0, pushes, height)]


def parts_of(sends: Sends) -> list[dict[str, torch.Tensor]]:
    """The pushes in blocks, without a copy of them."""
    return [tensors(sends.only(rows)) for rows in blocks_of(len(sends.user))]


def tensors(sends: Sends) -> dict[str, torch.Tensor]:
    """All that is known of pushes, by name."""
    return {each.name: torch.from_numpy(getattr(sends, each.name)) for each in fields(sends)}
