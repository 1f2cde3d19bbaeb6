"""`pushwise evaluate`, on plain tables and on saved policies."""

import json
import subprocess
import sys
from functools import partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from evaluation.batches import assess_large
from ingestion.splits import split_time
from ingestion.write import write_log
from mdp.clock import DAY
from mdp.response import ResponseModel
from policies.baselines import Hold, Random
from policies.saved import PolicyBundle, load_policy, save_policy
from scripts.cli import main
from simulator.demo import demo
from simulator.description import own_beliefs
from simulator.worlds.logit import LogitShop

VERDICTS = {"better", "worse", "no_difference", "cannot_tell"}


@pytest.fixture
def table(tmp_path):
    """A plain table where the target is better."""
    rng = np.random.default_rng(0)
    action = rng.integers(0, 2, 1000)
    frame = pd.DataFrame(
        {
            "reward": (rng.random(1000) < 0.2 + 0.4 * action).astype(float),
            "propensity": 0.5,
            "target_propensity": np.where(action == 1, 0.9, 0.1),
        }
    )
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A directory with a log and saved policies, one of which has seen all of it."""
    directory = tmp_path_factory.mktemp("shop")
    made = demo(LogitShop().simulator(150, 1), 30, 1)
    write_log(directory / "logs", made.tables, made.meta)
    truth = made.truth
    until = split_time_of(directory)
    for name, policy, seen in (
        ("hold", Hold(), until),
        ("random", Random(hold=0.6), until),
        ("late", Random(), until + 100 * DAY),
    ):
        assert isinstance(truth.response, ResponseModel)
        bundle = PolicyBundle(
            policy,
            truth.response,
            own_beliefs(truth),
            truth.reward,
            truth.guardrails,
            manifest={"trained_until": seen},
        )
        save_policy(directory / name, bundle)
    return directory


def split_time_of(directory) -> int:
    from ingestion.read import read_log

    return split_time(read_log(directory / "logs"))


def test_a_table_as_json(table, capsys):
    assert main(["evaluate", "--table", str(table), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "better"
    assert list(found["estimators"]) == ["ips", "snips", "ips:clip=10"]


def test_json_names_estimators_as_they_were_given(table, capsys):
    line = ["evaluate", "--table", str(table), "--json", "--estimators", "SNIPS,clipped:1234567.0"]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["estimators"]) == ["SNIPS", "clipped:1234567.0"]
    assert set(found["estimators"]["SNIPS"]) == {"value", "low", "high"}
    assert found["reasons"][0].startswith("SNIPS puts")


def test_a_table_on_the_terminal_with_a_report(table, capsys, tmp_path):
    line = [
        "evaluate",
        "--table",
        str(table),
        "--estimators",
        "snips",
        "--out",
        str(tmp_path / "r"),
    ]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "table.csv: better" in shown
    assert "snips" in shown
    assert "clipped" not in shown
    assert json.loads((tmp_path / "r" / "report.json").read_text())["verdict"] == "better"


def test_names_with_brackets_are_shown_as_they_are(table, capsys, tmp_path):
    odd = table.rename(tmp_path / "shop[red].csv")
    assert main(["evaluate", "--table", str(odd), "--out", str(tmp_path / "report[bold]")]) == 0
    shown = capsys.readouterr().out
    assert "shop[red].csv: better" in shown
    assert f"{tmp_path}/report[bold]/report.html\n" in shown


def test_the_same_seed_gives_the_same_output(table, capsys):
    shown = []
    for seed in ("0", "0", "1"):
        assert main(["evaluate", "--table", str(table), "--json", "--seed", seed]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != shown[2]


def test_policies_on_a_log(shop, capsys):
    policies = [str(shop / name) for name in ("hold", "random")]
    line = ["evaluate", *policies, "--logs", str(shop / "logs")]
    assert main([*line, "--json", "--out", str(shop / "report")]) == 0
    printed = capsys.readouterr().out
    found = json.loads(printed)
    assert printed == (shop / "report" / "report.json").read_text()
    assert [each["name"] for each in found["policies"]] == policies
    for each in found["policies"]:
        assert each["verdict"] in VERDICTS
        assert list(each["estimators"])[-3:] == ["dm", "dr", "sndr"]
        assert any("fatigue" in note for note in each["notes"])
    assert main(line) == 0
    assert f"{policies[0]}: " in capsys.readouterr().out


def test_guardrails_replace_those_of_the_policy(shop, capsys, tmp_path):
    (tmp_path / "rules.toml").write_text("[exploration]\nfloor = 0.5\n")
    line = ["evaluate", str(shop / "hold"), "--logs", str(shop / "logs"), "--json"]
    weights = []
    for more in ([], ["--guardrails", str(tmp_path / "rules.toml")]):
        assert main([*line, *more]) == 0
        (policy,) = json.loads(capsys.readouterr().out)["policies"]
        weights.append(policy["diagnostics"]["max_weight"])
    assert weights[0] != weights[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], "give saved policies with --logs LOGS, or a plain table with --table FILE"),
        (["{shop}/hold"], "give saved policies with --logs LOGS"),
        (["--table", "{table}", "--logs", "{shop}/logs"], "--table stands alone"),
        (["--table", "{table}", "--estimators", "dr"], "dr needs a reward model's predictions"),
        (["--table", "{table}", "--estimators", "x"], "there is no estimator 'x'"),
        (["--table", "{table}", "--seed", "-1"], "--seed is -1; it can't be negative"),
        (["--table", "{table}", "--discount", "0.9"], "--discount is of a user's days: add --days"),
        (["--table", "{table}", "--ledger", "x"], "--ledger is of --reconcile"),
        (["--table", "{table}", "--out", "{table}"], "table.csv is a file: choose a directory as"),
        (
            ["{shop}/hold", "--logs", "{shop}/logs", "--reconcile", "x", "--gate"],
            "leave out --gate",
        ),
        (["--table", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["{shop}/late", "--logs", "{shop}/logs"], "the log has no drawn decisions after"),
        (["{shop}/nowhere", "--logs", "{shop}/logs"], "holds no saved policy"),
        (["{shop}/hold", "--logs", "{shop}/nowhere"], "is not a directory"),
    ],
)
def test_bad_input_is_one_sentence(shop, table, capsys, line, message):
    filled = [part.format(shop=shop, table=table) for part in line]
    assert main(["evaluate", *filled]) == 1
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_it_imports_nothing_that_learns_or_serves(table):
    code = (
        "import sys; from scripts.cli import main; main(sys.argv[1:]);"
        "raise SystemExit(len({'torch', 'gymnasium', 'fastapi', 'ray'} & set(sys.modules)))"
    )
    line = ["evaluate", "--table", str(table), "--json"]
    subprocess.run([sys.executable, "-c", code, *line], check=True, capture_output=True)


def test_the_gate_is_the_exit_status(table, capsys, tmp_path):
    line = ["evaluate", "--gate", "--json", "--table"]
    assert main([*line, str(table)]) == 0
    frame = pd.read_csv(table)
    answers = {
        "worse": frame.assign(reward=1.0 - frame["reward"]),
        "no_difference": frame.assign(target_propensity=frame["propensity"]),
        "cannot_tell": frame.head(20),
    }
    found = {}
    for answer, changed in answers.items():
        changed.to_csv(tmp_path / "t.csv", index=False)
        found[answer] = main([*line, str(tmp_path / "t.csv")])
        assert f'"verdict": "{answer}"' in capsys.readouterr().out
    assert found == {"worse": 5, "no_difference": 3, "cannot_tell": 4}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")
@pytest.mark.filterwarnings("ignore")
def test_ray_tasks_say_the_same(table, tmp_path, capsys, monkeypatch):
    """Resamples, SLOPE's choices and refits; batches of a large table; and what is wrong."""
    frame = pd.read_csv(table)
    n = np.arange(len(frame))
    frame = frame.assign(
        user_id=n // 4, step=n % 4, state=n % 2, feature_a=n % 3, target_feature_a=0.5,
        q_logged=0.4, v_target=0.4,
    )  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=200)
    monkeypatch.setattr("evaluation.batches.assess_large", partial(assess_large, batch=200))
    command = ["evaluate", "--table", str(tmp_path / "t.parquet"), "--json"]
    names = ["--estimators", "snips,dros:slope,ips:clip=slope,pdis,mis,fqe"]
    for large, options in ((False, names), (True, [])):
        monkeypatch.setattr("evaluation.batches.is_large", lambda file, large=large: large)
        printed = []
        for extra in ([], ["--ray"]):
            assert main([*command, *options, *extra]) == 0
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]
    assert "read in batches" in printed[0]
    frame.assign(propensity=np.where(n == 700, 0.0, 0.5)).to_parquet(
        tmp_path / "t.parquet", row_group_size=200
    )
    assert main([*command, "--ray"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: {tmp_path / 't.parquet'}, rows from 600 on: propensity must be")


def test_a_certified_mixture_is_saved_and_decides(shop, tmp_path, capsys, monkeypatch):
    """With the running policy one that draws between both, without it a challenger's share."""
    monkeypatch.setattr("evaluation.mixture.certified_share", lambda found: 0.25)
    command = ["evaluate", str(shop / "hold"), "--logs", str(shop / "logs")]
    assert main([*command, "--mixture", str(tmp_path / "share")]) == 0
    assert "served alone it would decide for all" in capsys.readouterr().err
    assert (tmp_path / "share" / "experiment.json").exists()
    mix = tmp_path / "mix"
    assert main([*command, "--mixture", str(mix), "--running", str(shop / "random")]) == 0
    assert "draws the new policy's decision 25% of the time" in capsys.readouterr().err
    assert load_policy(mix).manifest["kind"] == "mixture"
    out = tmp_path / "decisions.csv"
    assert main(["decide", str(mix), "--logs", str(shop / "logs"), "--out", str(out)]) == 0
    assert len(pd.read_csv(out)) == 150
    assert main([*command, "--running", str(shop / "random")]) == 1
    assert "--running is of --mixture" in capsys.readouterr().err
