"""The quickstart, whole, on a shop small enough for a test."""

import json
from pathlib import Path

import pytest

from scripts.quickstart import Args, main


@pytest.mark.slow
def test_the_whole_path_runs(tmp_path, capfd):
    out = tmp_path / "run"
    main(Args(out=out, steps=5000, users=150))
    said = capfd.readouterr().out
    assert "Next:" in said
    table = json.loads((out / "comparison" / "comparison.json").read_text())["policies"]
    assert {"hold", "logging", "fitted greedy + threshold", "ppo", "dqn"} <= {
        line["policy"] for line in table
    }
    steps = json.loads((out / "steps.json").read_text())
    assert [Path(step["command"].split()[1]).name for step in steps][:3] == ["demo", "check", "fit"]
    for name in ("report.html", "month.png", "evaluation/report.html", "sim/card/card.html"):
        assert (out / name).stat().st_size > 500
    answer = said[said.index("curl") :]
    assert '"action"' in answer
    assert '"propensity"' in answer
