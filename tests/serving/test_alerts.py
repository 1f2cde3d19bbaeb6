"""Prometheus itself says of each alert that it fires when it should, and not otherwise."""

import shutil
import subprocess
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest
import yaml

from tests.serving.test_deploy import ALERTS

STEPS = 360
"""Of a minute; of an hour for alerts that look back by days."""
SLOW = ("PushwiseNoOutcomes", "PushwiseRewardDrift", "PushwiseUnsubscribes", "PushwiseFeatureDrift")


class Case(NamedTuple):
    """Two histories of metrics: series → values, in promtool's notation."""

    fires: dict[str, str]
    quiet: dict[str, str]
    """Where all is well."""
    labels: Mapping[str, str] = MappingProxyType({})
    """Of the alert, beside its severity."""


def steady(of: float, then: float | None = None) -> str:
    """A counter that rises by so much a step, and by another number in the last 24."""
    return f"0+{of}x336 {of * 336}+{of if then is None else then}x24"


def level(of: float, then: float) -> str:
    """A figure of so much, and of another in the last 24 steps."""
    return f"{of}x335 {then}x24"


DAY = 'pushwise_sends_last_day{{became="{}"}}'
LEDGER = 'pushwise_ledger{{of="decisions",state="{}"}}'
REQUESTS = 'pushwise_request_seconds_{}{{method="POST",route="/v1/decisions",{}}}'
SENDS = 'pushwise_sends_total{{became="{}",reason="{}"}}'
OUTCOMES = 'pushwise_outcomes_total{{outcome="{}"}}'
DRAWS = 'pushwise_draws_last_day{{propensity="{}"}}'
MEAN = 'pushwise_feature_mean{feature="fatigue"}'
SAMPLED = "pushwise_features_sampled"
SETTLED = "pushwise_settled_sends"
REWARD = 'pushwise_settled_reward{reward="value"}'
REWARDED = 'pushwise_settled_rewarded{reward="value"}'
COUNTED = "pushwise_ledger_counted_timestamp_seconds"
UP = 'up{job="pushwise"}'
MACHINE = 'pushwise_machine{{instance="{}",host="{}"}}'
ALWAYS = f"x{STEPS}"

CASES = {
    "PushwiseDown": Case({UP: f"0{ALWAYS}"}, {UP: f"1{ALWAYS}"}, {"job": "pushwise"}),
    "PushwiseMixedScrape": Case(
        {MACHINE.format("a", "x"): "1 _ " * STEPS, MACHINE.format("a", "y"): "_ 1 " * STEPS},
        {MACHINE.format("a", "x"): f"1{ALWAYS}", MACHINE.format("b", "y"): f"1{ALWAYS}"},
        {"instance": "a"},
    ),
    "PushwiseErrors": Case(
        {
            REQUESTS.format("count", 'status="200"'): steady(980),
            REQUESTS.format("count", 'status="503"'): steady(20),
        },
        {
            REQUESTS.format("count", 'status="200"'): steady(995),
            REQUESTS.format("count", 'status="503"'): steady(5),
        },
    ),
    "PushwiseSlow": Case(
        {
            REQUESTS.format("bucket", 'status="200",le="0.2"'): steady(980),
            REQUESTS.format("bucket", 'status="200",le="+Inf"'): steady(1000),
            REQUESTS.format("bucket", 'status="200",le="0.5"'): steady(1000),
        },
        {
            REQUESTS.format("bucket", 'status="200",le="0.2"'): steady(995),
            REQUESTS.format("bucket", 'status="200",le="+Inf"'): steady(1000),
            REQUESTS.format("bucket", 'status="200",le="0.5"'): steady(1000),
        },
    ),
    "PushwiseLedgerUnbalanced": Case(
        {"pushwise_ledger_unbalanced": f"1{ALWAYS}"}, {"pushwise_ledger_unbalanced": f"0{ALWAYS}"}
    ),
    "PushwiseClockJumped": Case(
        {"pushwise_clock_jumps_total": f"0+1{ALWAYS}"}, {"pushwise_clock_jumps_total": f"3{ALWAYS}"}
    ),
    "PushwiseSendsPaused": Case(
        {"pushwise_clock_off_seconds": f"-3600{ALWAYS}"},
        {"pushwise_clock_off_seconds": f"0{ALWAYS}"},
    ),
    "PushwiseOutboxOverdue": Case(
        {"pushwise_outbox_overdue_seconds": f"900{ALWAYS}"},
        {"pushwise_outbox_overdue_seconds": f"60{ALWAYS}"},
    ),
    "PushwiseDeadLetters": Case(
        {SENDS.format("sent", ""): steady(900), SENDS.format("dead", "400"): steady(100)},
        {SENDS.format("sent", ""): steady(990), SENDS.format("dead", "400"): steady(10)},
    ),
    "PushwiseNotAsDecided": Case(
        # A bad day in an old store, and a bad one of long ago.
        {
            LEDGER.format("sent"): f"9980{ALWAYS}",
            LEDGER.format("failed"): f"20{ALWAYS}",
            DAY.format("sent"): f"80{ALWAYS}",
            DAY.format("failed"): f"20{ALWAYS}",
        },
        {
            LEDGER.format("sent"): f"10{ALWAYS}",
            LEDGER.format("failed"): f"90{ALWAYS}",
            DAY.format("sent"): f"95{ALWAYS}",
            DAY.format("failed"): f"5{ALWAYS}",
        },
    ),
    "PushwisePropensityFloor": Case(
        {DRAWS.format("tiny"): f"50{ALWAYS}", DRAWS.format("usable"): f"9950{ALWAYS}"},
        # A few of few.
        {DRAWS.format("tiny"): f"5{ALWAYS}", DRAWS.format("usable"): f"995{ALWAYS}"},
    ),
    "PushwiseNoOutcomes": Case(
        {DAY.format("sent"): f"200{ALWAYS}"},  # none ever came, so that there is no such series
        {DAY.format("sent"): f"200{ALWAYS}", OUTCOMES.format("delivered"): steady(50)},
    ),
    "PushwiseRewardDrift": Case(
        {SETTLED: f"1000{ALWAYS}", REWARD: level(2000, 200), REWARDED: level(100, 90)},
        # As much a send, of half as many sends.
        {SETTLED: level(1000, 500), REWARD: level(2000, 1000), REWARDED: level(100, 50)},
        {"reward": "value"},
    ),
    "PushwiseUnsubscribes": Case(
        {OUTCOMES.format("unsubscribed"): steady(1, 5)},
        {OUTCOMES.format("unsubscribed"): steady(1)},
    ),
    "PushwiseFeatureDrift": Case(
        {MEAN: level(1, 3), SAMPLED: f"2000{ALWAYS}"},
        {MEAN: level(1, 3), SAMPLED: f"20{ALWAYS}"},
        {"feature": "fatigue"},
    ),
    "PushwiseNightUnfinished": Case(
        {"pushwise_night_unfinished_seconds": f"0+60{ALWAYS}"},
        {"pushwise_night_unfinished_seconds": f"3600{ALWAYS}"},
    ),
    "PushwiseSampleRatio": Case(
        {"pushwise_sample_ratio_p": f"0.0001{ALWAYS}", COUNTED: f"1{ALWAYS}"},
        {"pushwise_sample_ratio_p": f"0{ALWAYS}", COUNTED: f"0{ALWAYS}"},  # not counted yet
    ),
    "PushwiseLedgerStale": Case(
        {COUNTED: f"0{ALWAYS}", "pushwise_ledger_count_seconds": f"2{ALWAYS}"},
        {COUNTED: f"0+60{ALWAYS}", "pushwise_ledger_count_seconds": f"2{ALWAYS}"},
    ),
    "PushwiseRefused": Case(
        {'pushwise_refused_total{cause="unknown_zone"}': f"0+1{ALWAYS}"},
        {'pushwise_refused_total{cause="unknown_zone"}': f"7{ALWAYS}"},
        {"cause": "unknown_zone"},
    ),
    "PushwiseHistoriesDamaged": Case(
        {"pushwise_mended_total": f"0+1{ALWAYS}"}, {"pushwise_mended_total": f"7{ALWAYS}"}
    ),
    "PushwiseLeftOut": Case(
        {'pushwise_left_out{role="shadow"}': f"1{ALWAYS}"},
        {'pushwise_left_out{role="shadow"}': f"0{ALWAYS}"},
        {"role": "shadow"},
    ),
    "PushwiseFailedDraws": Case(
        {'pushwise_failed_draws_total{role="shadow"}': f"0+5{ALWAYS}"},
        {'pushwise_failed_draws_total{role="shadow"}': f"5{ALWAYS}"},
        {"role": "shadow"},
    ),
    "PushwiseStoreFault": Case(
        {"pushwise_store_fault": f"1{ALWAYS}"}, {"pushwise_store_fault": f"0{ALWAYS}"}
    ),
    "PushwisePartitionMissing": Case(
        {'pushwise_default_partition_rows{table="decisions"}': f"3{ALWAYS}"},
        {'pushwise_default_partition_rows{table="decisions"}': f"0{ALWAYS}"},
    ),
    "PushwiseKilled": Case({"pushwise_killed": f"1{ALWAYS}"}, {"pushwise_killed": f"0{ALWAYS}"}),
}


def test_every_alert_has_a_case():
    assert set(CASES) == {rule["alert"] for rule in ALERTS}


@pytest.mark.slow
@pytest.mark.parametrize("step", ["1m", "1h"])
def test_alerts_fire_when_they_should_and_not_otherwise(step, tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package: prometheus)")
    mine = [rule for rule in ALERTS if (rule["alert"] in SLOW) == (step == "1h")]
    # Only these, as every rule is evaluated at every step of every history.
    (tmp_path / "alerts.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "pushwise", "rules": mine}]})
    )
    tests = []
    for rule in mine:
        case = CASES[rule["alert"]]
        summary = rule["annotations"]["summary"]
        for label in ("feature", "cause", "reward"):
            value = case.labels.get(label, "")
            summary = summary.replace(f"{{{{ $labels.{label} }}}}", value)
        fired = {
            "exp_labels": {**rule["labels"], **case.labels},
            "exp_annotations": {**rule["annotations"], "summary": summary},
        }
        for series, expected in ((case.fires, [fired]), (case.quiet, [])):
            asked = {"eval_time": f"{STEPS}{step[1]}", "alertname": rule["alert"]}
            tests.append(
                {
                    "interval": step,
                    "input_series": [{"series": k, "values": v} for k, v in series.items()],
                    "alert_rule_test": [{**asked, "exp_alerts": expected}],
                }
            )
    given = {"rule_files": ["alerts.yaml"], "evaluation_interval": step, "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(given))
    said = subprocess.run(
        [promtool, "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr
