"""What is deployed beside the server names what is there: metrics, settings, headings."""

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.cli import main
from serving.metrics import Metrics
from serving.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
PANELS = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]


def exported() -> set[str]:
    """Names of the samples that a server may export."""
    names = set()
    for metric in Metrics().registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}
        names |= {metric.name + end for end in ends[metric.type]}
    return names


@pytest.mark.parametrize(
    "expression",
    [rule["expr"] for rule in ALERTS]
    + [target["expr"] for panel in PANELS for target in panel["targets"]],
)
def test_alerts_and_panels_use_metrics_that_there_are(expression):
    assert set(re.findall(r"pushwise_\w+", expression)) <= exported()
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_a_panel_shows_what_an_alert_goes_by(rule):
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    names = r"\b(?:pushwise_\w+|up)\b"
    assert set(re.findall(names, rule["expr"])) <= set(re.findall(names, shown))


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_a_heading_of_the_runbook(rule):
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_the_dockerfile_passes_its_linter():
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    assert hadolint, "hadolint is missing: make install"
    said = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "")


def test_compose_is_as_its_specification_has_it():
    checker = shutil.which("check-jsonschema", path=Path(sys.executable).parent)
    assert checker, "check-jsonschema is missing: make install"
    schema = ["--builtin-schema", "vendor.compose-spec"]
    said = subprocess.run(
        [checker, *schema, DEPLOY / "compose.yaml"], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout


def test_systemd_finds_nothing_wrong_in_the_units(tmp_path):
    verifier = shutil.which("systemd-analyze")
    if verifier is None:
        pytest.skip("systemd is not installed")
    installed = "/opt/pushwise/venv/bin/pushwise"
    units = [*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")]
    assert len(units) == 3
    for unit in units:
        text = unit.read_text()
        assert installed in text or unit.suffix == ".timer"
        (tmp_path / unit.name).write_text(text.replace(installed, "/bin/true"))
    written = [tmp_path / unit.name for unit in units]
    said = subprocess.run([verifier, "verify", *written], capture_output=True, text=True)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_units_and_compose_call_commands_that_there_are(capsys):
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    calls = [service["command"] for service in services.values() if "command" in service]
    for unit in DEPLOY.glob("*.service"):
        (line,) = re.findall(r"^ExecStart=\S+ (.*)$", unit.read_text(), re.MULTILINE)
        calls.append(line.split())
    assert {call[0] for call in calls} == {"serve", "load", "keys", "archive"}
    for command, *rest in calls:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert [word for word in rest if word.startswith("--") and word not in said] == []


def test_the_image_holds_every_package():
    image = (DEPLOY / "Dockerfile").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    packages = set(re.findall(r'^  "(\w+)", "\w+\.\*",$', project, re.MULTILINE))
    assert len(packages) > 8
    assert set(re.findall(r"^COPY (\w+) \w+$", image, re.MULTILINE)) == packages


def test_compose_sets_what_there_is_to_set_and_mounts_what_there_is():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in compose["services"].values():
        for name in service.get("environment", {}):
            if name.startswith("PUSHWISE_"):
                assert name.removeprefix("PUSHWISE_").lower() in Settings.model_fields
        for volume in service.get("volumes", ()):
            if volume.startswith("./"):
                assert (DEPLOY / volume.split(":")[0]).exists()


def test_the_metrics_are_told(always):
    sent = always.post("/v1/decisions", json={"user_id": "u", "candidates": ["i0"]}).json()
    outcome = {"decision_id": sent["decision_id"], "outcome": "delivered", "at": sent["decided_at"]}
    always.post("/v1/outcomes", json={"outcomes": [outcome]}).raise_for_status()
    always.app.state.observer.count()
    text = always.get("/metrics").text
    for line in (
        'pushwise_ledger{of="decisions",state="',
        f'pushwise_machine{{host="{socket.gethostname()}"}} 1.0',
        'pushwise_outcomes_total{outcome="delivered"} 1.0',
        "pushwise_ledger_unbalanced 0.0",
        "pushwise_features_sampled 1.0",
        "pushwise_propensity_count 1.0",
        "pushwise_sample_ratio_p 1.0",
        'pushwise_sends_last_day{became="sent"} ',
        "pushwise_ledger_counted_timestamp_seconds 1.",
    ):
        assert line in text, line
