"""How large the effects are that all users share: prior widths by head, from the log itself.

MacKay's fixed point: a group of effects with mean square m² of which the pushes determine γ gets
the width √(m² / γ). A head with few outcomes has few effects that they determine, so its widths
shrink, and what looked good by luck is not taken for good.

MacKay (1992). Bayesian interpolation. Neural Computation 4(3).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mdp.hashing import STYLE_BUCKETS
from mdp.response import HEADS
from mdp.wording import WORDING
from simulator.fit_heads import predicted
from simulator.head_terms import strained
from simulator.heads_prior import FAR
from simulator.sends import OPEN, Sends
from simulator.widths import Widths

BELIEF = 0.5
"""Effects of the default width that count as seen in every group."""
FIXED = slice(7, 9)
"""Of the weights, those of openness and styles, which act on opening by 1."""
CHUNK = 50_000
"""Pushes that are looked at together."""
_PLACE = {
    "weight": slice(0, 11),
    "weekday": slice(11, 18),
    "hour": slice(18, 42),
    "style": slice(42, 42 + STYLE_BUCKETS),
    "wording": slice(42 + STYLE_BUCKETS, 42 + STYLE_BUCKETS + len(WORDING)),
    "weekday_hour": slice(42 + STYLE_BUCKETS + len(WORDING), 210 + STYLE_BUCKETS + len(WORDING)),
}
"""Columns of the groups whose effects are taken together."""
_GROUPS = tuple(_PLACE)
_SINGLE = {"item_effect": "item", "variant_effect": "variant"}
"""Groups of which each push has one effect, and which; they are taken as independent."""
_ALL = (*_GROUPS, *_SINGLE)
_SCALARS = ("taste", "hours", "fatigue", "repetition", "wear", "bought", "views")
_WALK = 2.0 * np.eye(24) - np.roll(np.eye(24), 1, 0) - np.roll(np.eye(24), -1, 0)
_NEXT = np.diff(np.eye(7), axis=0)[[0, 1, 2, 3, 5]]
"""Neighbouring days of those from Monday to Friday, and of the weekend's."""
_WALKS = {
    "hour": _WALK,
    "weekday_hour": np.kron(np.eye(7), _WALK) + np.kron(_NEXT.T @ _NEXT, np.eye(24)),
}


def likeliest_priors(heads: dict[str, np.ndarray], sends: Sends, widths: Widths) -> Widths:
    """The widths by head that go with parameters fitted to the pushes under `widths`."""
    default, found = Widths(), {name: list(getattr(widths, name)) for name in _ALL}
    information, seen = _information(heads, sends)
    for head in range(len(HEADS)):
        structure = _structure(widths, head, len(information[head]))
        covariance = np.linalg.inv(information[head] + sum(structure.values()))
        for name in _GROUPS:
            width, part = getattr(widths, name)[head], structure[name]
            at = _PLACE[name]
            determined = at.stop - at.start - np.trace(covariance @ part)
            effects = _effects(heads, name)[:, head].astype(np.float64)
            far = effects @ part[at, at] @ effects * width**2
            found[name][head] = _width(far, determined, getattr(default, name)[head])
        for name in _SINGLE:
            width = getattr(widths, name)[head]
            effects = heads[name][:, head].astype(np.float64)
            known = seen[name][:, head]
            determined = float((known / (known + 1.0 / width**2)).sum())
            found[name][head] = _width(
                float(effects @ effects), determined, getattr(default, name)[head]
            )
    for name, values in found.items():
        widths = replace(widths, **{name: tuple(values)})  # type: ignore[arg-type]
    return widths


def _information(
    heads: dict[str, np.ndarray], sends: Sends
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What the pushes tell of the effects that are taken together (5, C, C), and of each effect of
    the other groups (n, 5), float64."""
    columns = _PLACE["weekday_hour"].stop + 1
    out = np.zeros((len(HEADS), columns, columns))
    seen = {name: np.zeros_like(heads[name], np.float64) for name in _SINGLE}
    for start in range(0, len(sends.user), CHUNK):
        some = sends.only(np.arange(start, min(start + CHUNK, len(sends.user))))
        p = predicted(heads, some)
        weight = p * (1.0 - p) * some.asked
        x = _measured(heads, some).astype(np.float32)
        for head in range(len(HEADS)):
            own = x * weight[:, head, None]
            out[head] += own.T @ x
        for name, row in _SINGLE.items():
            np.add.at(seen[name], getattr(some, row), weight)
    # Openness and styles act on opening by 1: nothing was learned of that.
    out[OPEN, FIXED, :] = out[OPEN, :, FIXED] = 0.0
    return out, seen


def _width(square: float, determined: float, default: float) -> float:
    return float(np.sqrt((square + BELIEF * default**2) / (max(determined, 0.0) + BELIEF)))


def _effects(heads: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Effects (n, 5) of a group, in the order of its columns."""
    if name != "weight":
        effects = heads["variant_weight" if name == "wording" else name]
        return effects.reshape(-1, len(HEADS))
    single = [heads[f"{of}_weight"] for of in (*_SCALARS, "openness", "styles")]
    rows = np.concatenate([np.stack(single), heads["item_weight"]])
    rows[FIXED, OPEN] = 0.0
    return rows


def _measured(heads: dict[str, np.ndarray], sends: Sends) -> np.ndarray:
    """What multiplies the effects that are taken together (S, C) float64, the last column for the
    level."""
    user = sends.user
    scalars = [
        sends.liking,
        sends.profile,
        strained(heads["tolerance"], sends),
        sends.repetition,
        sends.wear,
        sends.bought,
        sends.views,
        heads["openness"][user],
        heads["styles"][user, sends.bucket],
        *sends.item_features.T,
    ]
    parts = (
        np.stack(scalars, 1),
        np.eye(7)[sends.weekday],
        np.eye(24)[sends.hour],
        np.eye(STYLE_BUCKETS)[sends.bucket],
        sends.wording[sends.variant],
        np.eye(168)[sends.weekday * 24 + sends.hour],
        np.ones((len(user), 1)),
    )
    return np.concatenate(parts, 1)


def _inner(name: str) -> np.ndarray:
    """Prior precision of a group whose width is 1."""
    return _WALKS.get(name, np.eye(_PLACE[name].stop - _PLACE[name].start))


def _structure(widths: Widths, head: int, size: int) -> dict[str, np.ndarray]:
    """Prior precisions (C, C) of the groups, and what keeps the rest in place."""
    out = {}
    for name in _GROUPS:
        full = np.zeros((size, size))
        full[_PLACE[name], _PLACE[name]] = _inner(name) / getattr(widths, name)[head] ** 2
        out[name] = full
    rest = np.zeros((size, size))
    for name, walk in _WALKS.items():
        rest[_PLACE[name], _PLACE[name]] = np.eye(len(walk)) / FAR**2
    rest[-1, -1] = 1e-6
    return out | {"rest": rest}
