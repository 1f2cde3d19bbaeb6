"""What is wrong with a command line is said in one sentence, before any work is done."""

from importlib import import_module

import pytest

from policies.baselines import Hold
from policies.saved import PolicyBundle, save_policy
from scripts import cli
from scripts.quickstart import Args as QuickstartArgs
from scripts.quickstart import main as quickstart
from simulator.saved import save_simulator
from simulator.worlds.logit import LogitShop

NEEDED = {
    "demo": ["x"],
    "fit": ["x", "--out", "y"],
    "train": ["x", "--out", "y"],
    "compare": ["x"],
    "evaluate": ["x"],
    "decide": ["x", "--out", "y"],
    "simulate": ["x", "hold", "--out", "y"],
    "explain": ["x", "--logs", "y"],
    "tune": ["x", "--out", "y"],
    "candidates evaluate": ["x"],
    "candidates explain": ["x", "--logs", "y"],
    "candidates recommend": ["x", "--out", "y.csv"],
    "copy generate": ["x", "--out", "y"],
    "copy train": ["x", "--out", "y"],
}


def test_the_commands_below_are_those_with_a_seed():
    seeded = {
        command.name
        for command in cli.COMMANDS
        if "seed" in import_module(command.module).Args.__dataclass_fields__
    }
    assert seeded == set(NEEDED)


@pytest.mark.parametrize("command", NEEDED)
def test_a_negative_seed_is_refused(command, capsys):
    assert cli.main([*command.split(), *NEEDED[command], "--seed", "-1"]) == 1
    assert capsys.readouterr().err == "error: --seed is -1; it can't be negative\n"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A simulator, a policy, a directory of something else, and a file."""
    path = tmp_path_factory.mktemp("places")
    save_simulator(path / "sim", LogitShop().simulator(4, 0))
    save_policy(path / "policy", PolicyBundle(Hold(), None, None))
    (path / "other").mkdir()
    (path / "other" / "thesis.txt").write_text("dear")
    (path / "file").write_text("dear")
    return path


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("sim", "is not empty and holds no saved policy"),
        ("other", "is not empty and holds no saved policy"),
        ("file", "is a file"),
    ],
)
def test_train_refuses_an_out_before_it_trains(places, out, message, capsys, monkeypatch):
    monkeypatch.setattr("simulator.saved.load_simulator", lambda path: pytest.fail("too late"))
    assert cli.main(["train", str(places / "sim"), "--out", str(places / out)]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("out", "run"), [("a", "a"), ("a", "a/run"), ("a/policy", "./a")])
def test_train_keeps_policy_and_run_apart(out, run, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "sim", "--out", out, "--run", run]) == 1
    assert "lie in each other: choose two side by side" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["policy", "other", "file"])
def test_fit_refuses_an_out_before_it_fits(places, out, capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestion.read.load_checked", lambda path: pytest.fail("too late"))
        assert cli.main(["fit", "logs", "--out", str(places / out)]) == 1
    assert "choose" in capsys.readouterr().err


def test_the_quickstart_deletes_nothing_that_it_did_not_make(places):
    with pytest.raises(SystemExit, match="holds no earlier quickstart"):
        quickstart(QuickstartArgs(out=places / "other"))
    assert (places / "other" / "thesis.txt").exists()
