"""What is asked of a fit, whether its card says that it passes, and what a reader must mind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

MOST_OVER = 0.01
"""By how much a head's log-loss may be above gradient boosting's, as a share of it."""
MOST_AUC = 0.60
"""Below this must the area be of telling simulated user-weeks from real ones."""
PLACES = {"later_days": "Later days", "unseen_users": "Unseen users"}
"""What heads are judged on."""
_FOLLOWED = {
    "open": "opened",
    "click": "clicked, of those opened",
    "purchase": "followed by a purchase, of those clicked",
    "dismiss": "dismissed, of those not opened",
    "unsubscribe": "answered by an unsubscribe",
}


def goals_of(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal: its name, what was `asked` and `found`, and whether it is `passed`; None where
    nothing can be said."""
    goals = [
        goal
        for where, name in PLACES.items()
        for head, figures in card["heads"][where].items()
        if (goal := _head(f"{name}: {head}", figures)) is not None
    ]
    whole = card["whole"]
    if whole is None:
        return goals
    value = whole["value_per_user_day"]
    return [
        *goals,
        {
            "goal": "Simulated user-weeks against real ones",
            "asked": f"AUC below {MOST_AUC:.2f}",
            "found": f"{whole['auc']:.2f}",
            "passed": whole["auc"] < MOST_AUC,
        },
        {
            "goal": "Expected value of the logging policy",
            "asked": f"in the logged {with_interval(value['logged'])}",
            "found": f"{value['expected']:.4f}",
            "passed": whole["value_inside_interval"],
        },
    ]


def _head(name: str, figures: dict[str, Any]) -> dict[str, Any] | None:
    if figures["log_loss"] is None:
        return None
    return {
        "goal": name,
        "asked": f"log-loss at most {MOST_OVER:.0%} above boosting's",
        "found": f"{figures['over_boosting']:+.1%} ± {2 * figures['standard_error']:.1%}",
        "passed": figures["over_boosting"] <= MOST_OVER,
    }


def notes_of(card: dict[str, Any]) -> list[str]:
    """What a reader must mind, in sentences: that another fit is judged, that the ensemble does not
    agree, and which head's level is off by more than that and luck."""
    notes, judged, whole = [], card["judged"], card["whole"]
    if not judged["saved"]:
        notes.append(
            "The log ends with the fit, so nothing in it is new to the simulator that is saved. "
            "What follows is of another fit of the same recipe, calibration included: to "
            f"{judged['pushes']:,} pushes before {judged['until']}, judged by the days after that."
        )
    if whole is None:
        notes.append("Too few days follow the fit to compare simulated with real ones.")
    elif disagreeing(whole["value_per_user_day"]):
        notes.append(
            "The members of the ensemble differ by more than the interval of the simulated value: "
            "the log leaves open how users respond, and the value is less sure than it looks."
        )
    for name, figures in card["heads"]["later_days"].items():
        if figures["log_loss"] is not None and _off(figures):
            notes.append(
                f"Of later pushes {figures['rate']:.2%} were {_FOLLOWED[name]}, where the fit "
                f"predicts {figures['predicted']:.2%}: more than luck and the ensemble's spread "
                "explain."
            )
    return notes


def level_of_values(card: dict[str, Any]) -> str | None:
    """What stands against a simulator's values: that the logging policy earned other than the fit
    expects on the days after it; None where it did not, or where nothing can be said, as by a card
    of before, which had no expectation."""
    whole = card.get("whole")
    if whole is None or "expected" not in whole["value_per_user_day"]:
        return None
    if whole["value_inside_interval"]:
        return None
    value = whole["value_per_user_day"]
    return (
        "on the days after the fit the logging policy earned "
        f"{with_interval(value['logged'])} per user and day, where the "
        f"fit expects {value['expected']:.4f}: other values in the simulator may be off alike"
    )


def with_interval(figures: dict[str, float]) -> str:
    """A value per user and day of the card in words, ± 95 %."""
    return f"{figures['mean']:.4f} ± {1.96 * figures['standard_error']:.4f}"


def disagreeing(value: dict[str, Any]) -> bool:
    """Whether the members leave the simulated value unsure."""
    return unsure(value["members"], 1.96 * value["simulated"]["standard_error"])


def _off(figures: dict[str, Any]) -> bool:
    """Whether a head's mean prediction is farther from the rate than luck and the members explain
    in 95 % of cases."""
    luck = figures["rate"] * (1 - figures["rate"]) / figures["pushes"]
    sure = np.hypot(1.96 * np.sqrt(luck), margin_of(figures["members"]))
    return bool(abs(figures["rate"] - figures["predicted"]) > sure)


def unsure(members: Sequence[float], half_width: float) -> bool:
    """Whether a value is less sure by the members than by half of its 95 % interval."""
    return margin_of(members) > half_width


def margin_of(values: Sequence[float]) -> float:
    """Half of the 95 % interval of a figure by the members of an ensemble: Student's, since few
    members say little of how far they scatter; 0 for fewer than two."""
    return float(stdtrit(max(len(values) - 1, 1), 0.975)) * spread_of(values)


def spread_of(values: Sequence[float]) -> float:
    """Standard deviation of a figure over the members of an ensemble; 0 for fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
