"""The fidelity card on paper: `card.json`, a picture and a page."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mdp.response import HEADS


def write_card(path: Path, card: dict[str, Any]) -> None:
    """`card.json`, `card.png` and `card.html` in a directory."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    _picture(path / "card.png", card)
    (path / "card.html").write_text(_page(card))


GROUPED = {
    "hour": "local hour of the push",
    "weekday": "local weekday of the decision (0: Monday)",
    "variant": "variant",
    "fatigue": "pushes in the three days before",
    "week": "pushes in the seven days before",
}


def _picture(file: Path, card: dict[str, Any]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(17, 7), layout="constrained")
    axes = figure.subplots(2, 5).ravel()
    for axis, head in zip(axes, HEADS, strict=False):
        _calibrated(axis, head, np.array(card["calibration"][head]).reshape(-1, 3))
    for axis, (by, label) in zip(axes[len(HEADS) :], GROUPED.items(), strict=True):
        if card["whole"] is None:
            axis.set_visible(False)
            continue
        for kind, colour in (("logged", "tab:gray"), ("simulated", "tab:blue")):
            rates = card["whole"]["opened_by"][by][kind]
            names = sorted(rates, key=lambda name: (len(name), name) if by != "variant" else name)
            shares, counts = np.array([rates[name] for name in names]).reshape(-1, 2).T
            _points(axis, names, shares, counts, fmt="o-", color=colour, label=kind)
        axis.set(title=f"opened, by {by}", xlabel=label, ylabel="share of pushes", ylim=(0, None))
        axis.legend()
        axis.tick_params("x", labelrotation=90 if by == "variant" else 0, labelsize="small")
    figure.savefig(file, dpi=110)


def _calibrated(axis: Any, head: str, points: np.ndarray) -> None:
    """Predicted against observed rates; points: (n, 3) predictions, rates and numbers."""
    top = max(float(points[:, :2].max(initial=0.0)) * 1.1, 0.01)
    axis.plot([0, top], [0, top], color="0.7", linewidth=1)
    _points(axis, *points.T, fmt="o", color="tab:blue")
    axis.set(title=f"calibration: {head}", xlabel="predicted", ylabel="observed", ylim=(0, None))


def _points(axis: Any, x: Any, rate: np.ndarray, number: np.ndarray, **style: Any) -> None:
    """Rates with two standard errors; one more success and failure keep those of 0 from 0."""
    eased = (rate * number + 1) / (number + 2)
    error = 2 * np.sqrt(eased * (1 - eased) / (number + 2))
    axis.errorbar(x, rate, yerr=error, elinewidth=1, capsize=2, **style)


def said_of(whole: dict[str, Any]) -> list[str]:
    """What the card says of the days after the fit, in sentences."""
    logged, simulated = (
        f"{value['mean']:.4f} ± {2 * value['standard_error']:.4f}"
        for value in (whole["value_per_user_day"][name] for name in ("logged", "simulated"))
    )
    return [
        f"The {whole['days']} days after the fit, the logging policy once as logged, once "
        "estimated and simulated:",
        f"value per user and day {logged} logged, {simulated} simulated (± 2 standard errors), "
        f"{'inside' if whole['value_inside_interval'] else 'outside'} the logged 95 % interval;",
        f"gradient boosting tells simulated user-weeks from real ones with an AUC of "
        f"{whole['auc']:.2f} (0.5: not at all, 1: always; one half of the real users from the "
        f"other: {whole['auc_of_halves']:.2f}).",
    ]


JUDGED = {
    "later_days": "The latest pushes, of users known from earlier ones",
    "unseen_users": "Users none of whose pushes were seen",
}
COLUMNS = {
    "log_loss": "log-loss",
    "log_loss_of_rate": "of the rate",
    "log_loss_of_user_rate": "of users' rates",
    "log_loss_of_boosting": "of boosting",
    "calibration_error": "calibration error",
    "calibration_slope": "slope",
}


def _table(heads: dict[str, dict[str, float | None]]) -> str:
    names = "".join(f"<th>{title}" for title in COLUMNS.values())
    rows = "".join(
        f"<tr><td>{name}<td>{m['pushes']:.0f}"
        + "".join(f"<td>{figure(m.get(column))}" for column in COLUMNS)
        for name, m in heads.items()
    )
    return f"<table><tr><th>head<th>pushes{names}{rows}</table>"


TOLD = ("openness", "styles", "price")


def _told(covariates: dict[str, dict[str, float]]) -> str:
    """Which covariates tell of which effects of users, and how much of how users differ."""
    if not covariates:
        return (
            "<p>Nothing of that tells how a user answers pushes: whoever was pushed little is "
            "taken for the average user."
        )
    rows = ""
    for name, told in covariates.items():
        cells = (f"{told[effect]:.0%}" if effect in told else "–" for effect in TOLD)
        rows += f"<tr><td>{escape(name)}<td>{'<td>'.join(cells)}"
    names = "".join(f"<th>{effect}" for effect in TOLD)
    return f"<table><tr><th>{names}{rows}</table>"


def _page(card: dict[str, Any]) -> str:
    tables = "".join(
        f"<h3>{title}</h3>{_table(card['baselines'][which])}" for which, title in JUDGED.items()
    )
    whole, basis = card["whole"], card["fitted_to"]
    lines = ["The log ends with the fit, or within three days of it: no later days to compare."]
    if whole is not None:
        lines = [" ".join(said_of(whole))]
    lines.insert(
        0,
        f"Fitted to {basis['users']} users and {basis['pushes']} pushes before {basis['until']}.",
    )
    lines += card.get("changes", [])
    if whole is not None:
        lines.append(
            "Counts per user-week, Kolmogorov and Smirnov's distance of simulated from real (of "
            "real from itself resampled): "
            + ", ".join(
                f"{name} {d['distance']:.3f} ({d['of_resampled']:.3f})"
                for name, d in whole["counts"].items()
            )
            + f"; pauses between visits {figure(whole['pauses']['distance'])} (of one half of the "
            f"real users from the other: {figure(whole['pauses']['of_halves'])})."
        )
    said = "".join(f"<p>{line}" for line in lines)
    return (
        "<!doctype html><meta charset=utf-8><title>Fidelity card</title>"
        "<style>body{font:16px sans-serif;max-width:72em;margin:2em auto;padding:0 1em}"
        "td,th{padding:.2em 1em;text-align:right}img{max-width:100%}</style>"
        f"<h1>Fidelity card</h1>{said}"
        "<h2>Heads on pushes not seen</h2><p>Mean log-loss; less is better. The fit is beside the "
        "earlier pushes' rate, each user's rate shrunk to it, and gradient boosting on the same "
        "information. A click is judged where the push was opened, a purchase where it was "
        "clicked, a dismissal where it was not opened. The calibration error is the mean distance "
        "of predicted and observed rates in ten equal groups; a slope below 1 means predictions "
        "too far apart."
        f"{tables}<p><img src=card.png alt='calibration and rates of opening'>"
        "<p>Calibration on the later days, in eight equal groups, and the shares opened on the "
        "days after the fit; bars are two standard errors."
        "<h2>What tells users apart</h2><p>Share of the variance of users' effects (openness, "
        "response to styles, price sensitivity) that follows from the users table and "
        "from how users shop, before any push; the rest is theirs alone."
        f"{_told(card['covariates'])}"
    )


def figure(value: float | None) -> str:
    """Four decimals; a dash for nothing."""
    return "–" if value is None else f"{value:.4f}"
