"""The dispatcher: finding a command, reading its arguments, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from tyro.conf import Positional

from mdp.errors import BadInput
from scripts import cli

ROOT = Path(cli.__file__).parents[1]


@dataclass(frozen=True)
class Args:
    logs: Positional[Path]
    """directory of the log's tables"""
    users: int = 3
    """how many users"""
    at: str | None = None
    """the instant, which may be left out, and whose docstring is longer than a line, as many are
    (default: the log's end)"""
    json: bool = False
    """print JSON"""


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Args], int | None]], None]:
    """Makes `pushwise fake` run a function."""

    def install(run: Callable[[Args], int | None]) -> None:
        module = ModuleType("fake_command", "Fake a command. Example:\n\n    pushwise fake logs\n")
        module.__dict__.update(Args=Args, run=run)
        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setattr(cli, "COMMANDS", (cli.Command("fake", "fake_command", "fakes"),))

    return install


def raising(error: BaseException) -> Callable[[Args], None]:
    def run(args: Args) -> None:
        raise error

    return run


def test_a_command_gets_its_arguments_and_its_status_is_returned(install):
    seen = []

    def run(args: Args) -> int:
        seen.append(args)
        return 7

    install(run)
    assert cli.main(["fake", "logs", "--users", "5", "--json"]) == 7
    assert seen == [Args(Path("logs"), users=5, json=True)]


def test_a_command_that_returns_nothing_has_succeeded(install):
    install(lambda args: None)
    assert cli.main(["fake", "logs"]) == 0


def test_help_of_a_command_shows_its_docstring_and_its_fields(install, capsys):
    install(lambda args: None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["fake", "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for text in ("usage: pushwise fake [-h] LOGS", "\n\nExample:\n    pushwise fake logs\n"):
        assert text in shown
    said = " ".join(shown.replace("│", " ").split())
    for text in (
        "LOGS directory of the log's tables (required)",
        "--users INT how many users (default: 3)",
        "--at STR the instant, which may be left out, and whose docstring is longer than a line,"
        " as many are (default: the log's end) --json print JSON",
    ):
        assert text in said


@pytest.mark.parametrize("line", [["fake"], ["fake", "logs", "--users", "x"], ["fake", "a", "-z"]])
def test_arguments_that_do_not_fit_are_a_usage_error(install, capsys, line):
    install(lambda args: None)
    with pytest.raises(SystemExit) as stop:
        cli.main(line)
    assert stop.value.code == cli.EXIT_USAGE
    assert "pushwise fake" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (BadInput("the price\n  of x is -1"), 1, "error: the price of x is -1\n"),
        (KeyboardInterrupt(), 130, ""),
        (FileNotFoundError(2, "No such file", "logs/a.csv"), 1, "error: logs/a.csv: No such file"),
        (
            ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"),
            1,
            "error: this needs torch.nn, which is not installed: pip install 'pushwise[train]'\n",
        ),
    ],
)
def test_a_failure_is_one_sentence_and_a_status(install, capsys, error, status, sentence):
    install(raising(error))
    assert cli.main(["fake", "logs"]) == status
    shown = capsys.readouterr()
    assert shown.err.startswith(sentence)
    assert shown.err.count("\n") == (1 if sentence else 0)
    assert shown.out == ""


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), ModuleNotFoundError("x", name="x"), OSError("no file named")]
)
def test_a_bug_keeps_its_traceback(install, error):
    install(raising(error))
    with pytest.raises(type(error)):
        cli.main(["fake", "logs"])


def test_an_unknown_command_is_answered_with_a_near_one(capsys):
    assert cli.main(["evalute"]) == cli.EXIT_USAGE
    assert "did you mean evaluate?" in capsys.readouterr().err
    assert cli.main(["zzz"]) == cli.EXIT_USAGE
    assert "pushwise --help" in capsys.readouterr().err


def test_version_is_that_of_the_installed_package(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"pushwise {version('pushwise')}\n"


@pytest.mark.parametrize("line", [[], ["-h"], ["--help"]])
def test_help_lists_every_command_the_main_path_first(capsys, line):
    assert cli.main(line) == 0
    rows = [row[2:] for row in capsys.readouterr().out.splitlines() if row[:2] == "  "]
    shown = [row.split("  ")[0] for row in rows]
    assert shown == [command.name for command in cli.COMMANDS]
    assert shown[:6] == ["demo", "fit", "train", "compare", "evaluate", "serve"]


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_help_of_every_command_has_an_example(capsys, command):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.name.split(), "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    usage, description = shown.split("\n\n", 1)
    assert usage.startswith(f"usage: pushwise {command.name}")
    assert f"pushwise {command.name} " in description


HEAVY = "numpy pandas pyarrow numba torch gymnasium stable_baselines3 ray matplotlib fastapi tyro"


TINY = {
    "users": "user_id,timezone,signed_up_at\nu1,Europe/Berlin,2026-01-01T00:00:00Z\n",
    "items": "item_id,title,category,brand,price\na,Lamp,Home,Lux,9.5\n",
    "events": "user_id,item_id,event,at,value\nu1,a,purchase,2026-01-02T00:00:00Z,9.5\n",
}
"""A log of one purchase."""


def imported_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after `code`."""
    code += (
        "\nimport sys; print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_imports_nothing_heavy():
    imported = imported_by("from scripts.cli import main; main(['--help'])")
    assert "scripts" in imported
    assert not imported & set(HEAVY.split())


def test_commands_on_logs_compile_nothing(tmp_path):
    """Numba takes about a second to load: as long as cleaning a quarter of a million events."""
    (tmp_path / "log").mkdir()
    for name, rows in TINY.items():
        (tmp_path / "log" / f"{name}.csv").write_text(rows)
    log, out = str(tmp_path / "log"), str(tmp_path / "out")
    export = tmp_path / "export.jsonl"
    viewed = {"type": "track", "event": "Product Viewed", "userId": "u1"}
    thing = {"timestamp": "2026-01-02T00:00:00Z", "properties": {"product_id": "a"}}
    export.write_text(json.dumps(viewed | thing))
    commands = [
        ["import", "segment", str(export), "--out", str(tmp_path / "made")],
        ["check", log, "--json"],
        ["clean", log, out],
    ]
    run = f"from scripts.cli import main\nassert [main(each) for each in {commands}] == [0, 0, 0]"
    imported = imported_by(run)
    assert "pandas" in imported
    assert not imported & {"numba", "scipy", "matplotlib", "torch"}


def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", "from scripts.cli import main; raise SystemExit(main(['--help']))"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (cli.EXIT_BROKEN_PIPE, "")


SLOW_COMMAND = """
import sys, tempfile, time, types
from dataclasses import dataclass
from scripts import cli

def run(args):
    with tempfile.TemporaryDirectory():
        print("working", flush=True)
        time.sleep(60)

@dataclass
class Args: ...

sys.modules["slow"] = types.SimpleNamespace(Args=Args, run=run)
cli.COMMANDS = (cli.Command("slow", "slow", "works"),)
sys.argv = ["pushwise", "slow"]
cli.main()
"""


def test_a_process_that_is_killed_leaves_nothing_among_temporary_files(tmp_path):
    working = subprocess.Popen(
        [sys.executable, "-c", SLOW_COMMAND],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert working.stdout is not None
    assert working.stdout.readline() == "working\n"
    assert len(list(tmp_path.iterdir())) == 1
    working.terminate()
    assert working.wait(30) == -signal.SIGTERM
    working.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_the_module_runs_as_the_command_does():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cli", "evalute"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == cli.EXIT_USAGE
    assert "did you mean evaluate?" in done.stderr


def test_every_extra_that_a_sentence_names_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(cli.EXTRA_OF.values()) <= set(project["optional-dependencies"])
