"""The fidelity card on paper: `card.json`, pictures and a page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from simulator.fidelity_goals import PLACES, margin_of, with_interval
from simulator.fidelity_pictures import draw_pictures


def write_card(path: Path, card: dict[str, Any]) -> None:
    """`card.json`, `card.html` and its pictures in a directory."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    pictures = draw_pictures(path, card)
    (path / "card.html").write_text(_page(card, pictures))


def said_of(card: dict[str, Any]) -> list[str]:
    """The card in a few sentences."""
    goals, said = card["goals"], []
    missed = [f"{g['goal']} {g['found']} ({g['asked']})" for g in goals if not g["passed"]]
    if goals:
        said.append(f"{len(goals) - len(missed)} of {len(goals)} goals passed")
    if missed:
        said[0] += "; not: " + "; ".join(missed)
    if card["whole"] is not None:
        said += _said_of_days(card["whole"])
    return [*said, *card["notes"], *card.get("changes", []), *card.get("untried", [])]


def _said_of_days(whole: dict[str, Any]) -> list[str]:
    value = whole["value_per_user_day"]
    logged, simulated = (with_interval(value[name]) for name in ("logged", "simulated"))
    said = (
        f"The {whole['days']} days after the fit, the logging policy once as logged, once "
        f"estimated and simulated: value per user and day {logged} logged, {simulated} simulated "
        f"(95 %). The fit expects {value['expected']:.4f}, which is "
        f"{'inside' if whole['value_inside_interval'] else 'outside'} the logged interval."
    )
    if members := value["members"]:
        said += (
            f" Each member of the ensemble alone: {min(members):.4f} to {max(members):.4f}, which "
            f"leaves it open by ± {margin_of(members):.4f} (95 %, Student's t)."
        )
    return [
        said,
        f"Gradient boosting tells simulated user-weeks from real ones with an AUC of "
        f"{whole['auc']:.2f} (0.5: not at all, 1: always; one half of the real users from the "
        f"other: {whole['auc_of_halves']:.2f}).",
    ]


_JUDGED = {
    "later_days": "Pushes of the days after the fit, whose outcomes had the time to come (two "
    "days, four for purchases). Heads, calibration included, and users' traits are those of the "
    "simulator, and predictions are means over draws of the users, as each episode draws them; "
    "policies see nearly the same without drawing. Members: the lowest and the "
    "highest mean prediction of one of the ensemble.",
    "unseen_users": "Pushes before the fit's end to a tenth of the users. What is saved is fitted "
    "to all users, so these are predicted by heads of the same recipe, calibration included, that "
    "no push of theirs was fitted or calibrated to. Known of them are their visits and the lists "
    "that they were offered; and half-lives, widths and priors, a few dozen numbers for all "
    "users together, were chosen with four fifths of these pushes among the others. Draws of a "
    "user count as likely as it was that they had not unsubscribed before each push.",
}
_COLUMNS = {
    "pushes": ("pushes", "{:,}"),
    "rate": ("observed", "{:.2%}"),
    "predicted": ("predicted", "{:.2%}"),
    "seen": ("seen by policies", "{:.2%}"),
    "log_loss": ("log-loss", "{:.4f}"),
    "log_loss_of_boosting": ("of boosting", "{:.4f}"),
    "log_loss_of_user_rate": ("of users' rates", "{:.4f}"),
    "log_loss_of_rate": ("of the rate", "{:.4f}"),
    "calibration_error": ("calibration error", "{:.4f}"),
    "calibration_slope": ("slope", "{:.2f}"),
}
_TOLD = ("openness", "styles", "price")
_ALT = {
    "calibration.png": "Predicted against observed rates in eight equal groups of pushes; the line "
    "is where they agree, bars are 95 % intervals.",
    "rates.png": "What followed pushes on the days after the fit, logged and simulated; bars are "
    "95 % intervals, groups of fewer than 30 pushes are left out.",
    "distributions.png": "Distributions on the days after the fit, logged and simulated. KS is "
    "Kolmogorov and Smirnov's distance; its floor is that of the real log from itself resampled, "
    "of pauses that of one half of the real users from the other.",
}
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1f2328;max-width:76em;margin:2em auto;padding:0 1em}
h1{margin-bottom:.2em}h2{margin-top:2em;border-bottom:1px solid #d8dee4;padding-bottom:.2em}
p,li{max-width:52em}table{border-collapse:collapse;font-size:.92em;margin:.8em 0}
th,td{padding:.3em .6em;text-align:right;border-bottom:1px solid #d8dee4}td{white-space:nowrap}
th{color:#57606a;font-weight:600;vertical-align:bottom}
th:first-child,td:first-child,.goals :is(th,td){text-align:left}
img{max-width:100%}figure{margin:1em 0}figcaption{color:#57606a;max-width:60em}
.yes{color:#1a7f37;font-weight:600}.no{color:#cf222e;font-weight:600}
.notes{background:#fff8c5;border-left:4px solid #d4a72c;padding:.4em 1em;max-width:54em}
"""


def _page(card: dict[str, Any], pictures: Iterable[str]) -> str:
    basis, own = card["fitted_to"], card["covariates"]
    drawn = {name: _figure(name) for name in pictures}
    notes = "".join(f"<p>{escape(note)}" for note in card["notes"])
    beside = [*card.get("changes", []), *card.get("untried", [])]
    changes = "".join(f"<p>{escape(line)}" for line in beside)
    parts = [
        f"<!doctype html><meta charset=utf-8><title>Fidelity card</title><style>{_STYLE}</style>",
        "<h1>Fidelity card</h1>",
        f"<p>How true a simulator is to its shop. It is fitted to {basis['users']:,} users and "
        f"{basis['pushes']:,} pushes before {basis['until']}.",
        f"<section class=notes>{notes}</section>" if notes else "",
        "<h2>What is asked of it</h2>",
        _goals(card["goals"]),
        "<h2>Heads on pushes that they have not seen</h2>"
        "<p>Mean log-loss; less is better. Beside the fit are the rate of the pushes that it "
        "knows, each user's rate shrunk to it, and gradient boosting (LightGBM) on the same "
        "information. A click is judged where the push was opened, a purchase where it was "
        "clicked, a dismissal where it was not opened. The calibration error is the mean distance "
        "of predicted and observed rates in ten equal groups; a slope below 1 means predictions "
        "too far apart.",
        *(
            f"<h3>{title}</h3><p>{_JUDGED[where]}{_heads(card['heads'][where])}"
            for where, title in PLACES.items()
        ),
        drawn.get("calibration.png", ""),
        "<h2>Days after the fit, simulated</h2>",
        *(f"<p>{line}" for line in ([] if card["whole"] is None else _said_of_days(card["whole"]))),
        changes,
        drawn.get("rates.png", ""),
        drawn.get("distributions.png", ""),
        _after_purchases(card["whole"]),
        "<h2>What tells users apart</h2><p>Share of the variance of users' effects (openness, "
        "response to styles, price sensitivity) that follows from the users table and from how "
        "users shop, before any push; the rest is theirs alone.",
        _told(own),
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _after_purchases(whole: dict[str, Any] | None) -> str:
    """How many of users' days have a purchase, by how long ago the last one was."""
    if whole is None or not (logged := whole["after_purchases"]["logged"]):
        return ""
    simulated = whole["after_purchases"]["simulated"]
    rows = ""
    for name, (share, days) in logged.items():
        drawn = _cell(simulated.get(name, [None])[0], "{:.2%}")
        rows += f"<tr><td>{name}<td>{days:,}<td>{share:.2%}<td>{drawn}"
    return (
        "<p>Days on which a user buys something, by days since the user's last purchase before. "
        "Who buys often is met more often soon after a purchase, so the shares fall with time even "
        "where a purchase makes nobody buy less."
        f"<table><tr><th>days since<th>users' days<th>logged<th>simulated{rows}</table>"
    )


def _goals(goals: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(goal['goal'])}<td>{escape(goal['asked'])}<td>{escape(goal['found'])}"
        + ("<td class=yes>✓ passed" if goal["passed"] else "<td class=no>✗ not passed")
        for goal in goals
    )
    if not rows:
        return "<p>The log is too short to judge the fit by it."
    return (
        f"<table class=goals><tr><th>goal<th>asked<th>found<th>{rows}</table><p>± is two standard "
        "errors over users: a difference smaller than that may be luck, to either side."
    )


def _heads(heads: dict[str, dict[str, Any]]) -> str:
    names = "".join(f"<th>{title}" for title, _ in _COLUMNS.values())
    rows = "".join(
        f"<tr><td>{name}"
        + "".join(f"<td>{_cell(m.get(column), form)}" for column, (_, form) in _COLUMNS.items())
        + f"<td>{_span(m.get('members'))}"
        for name, m in heads.items()
    )
    return f"<table><tr><th>head{names}<th>members{rows}</table>"


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _span(values: list[float] | None) -> str:
    """The lowest and the highest of some shares."""
    return f"{100 * min(values):.2f} to {max(values):.2%}" if values else "–"


def _figure(name: str) -> str:
    caption = escape(_ALT[name], quote=True)
    return f'<figure><img src={name} alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def _told(covariates: dict[str, dict[str, float]]) -> str:
    """Which covariates tell of which effects of users, and how much of how users differ."""
    if not covariates:
        return (
            "<p>Nothing of that tells how a user answers pushes: whoever was pushed little is "
            "taken for the average user."
        )
    rows = ""
    for name, told in covariates.items():
        cells = (f"{told[effect]:.0%}" if effect in told else "–" for effect in _TOLD)
        rows += f"<tr><td>{escape(name)}<td>{'<td>'.join(cells)}"
    names = "".join(f"<th>{effect}" for effect in _TOLD)
    return f"<table><tr><th>{names}{rows}</table>"
