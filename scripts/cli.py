"""The command line: finds the command, reads its arguments, runs it.

A command is a module of this package with two names:

    @dataclass(frozen=True)
    class Args:
        logs: Positional[Path]
        \"""directory of the log's tables\"""   (each field's docstring is its line in --help)

    def run(args: Args) -> int | None:      (the exit status; None is 0)

Its docstring heads `pushwise COMMAND --help` and shows an example. To add a command, write the
module and give it a line in a table below. Only the module of the command that was asked for is
imported, and a command imports what is heavy inside `run`, so that `pushwise --help` is quick.
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Annotated, Any, Protocol, cast, get_type_hints

from mdp.errors import BadSetting, PushwiseError


@dataclass(frozen=True)
class Command:
    """One row of `pushwise --help`."""

    name: str
    """what is typed after `pushwise`: one word, or two for one of a group"""
    module: str
    """the module with `Args` and `run`"""
    summary: str
    """what the command does, in one line"""


class CommandModule(Protocol):
    """What `Command.module` holds."""

    __doc__: str | None
    Args: type
    run: Callable[[Any], int | None]


MAIN_PATH = (
    Command("demo", "scripts.demo", "write a demo shop's logs, with their truth beside them"),
    Command("fit", "scripts.fit", "fit the simulator to a shop's logs"),
    Command("train", "scripts.train", "train an agent in the simulator"),
    Command("compare", "scripts.compare", "policies and baselines side by side in a simulator"),
    Command("evaluate", "scripts.evaluate", "what a policy is worth, on logs it has not seen"),
    Command("serve", "scripts.serve", "serve a policy over HTTP"),
)
OTHER_COMMANDS = (
    Command(
        "import", "scripts.import_logs", "turn a shop's or a public export into the log format"
    ),
    Command("check", "scripts.check", "check a log and name what is wrong in it"),
    Command("clean", "scripts.clean", "repair what can be repaired in a log, and record it"),
    Command("pseudonymise", "scripts.pseudonymise", "copy a log without what names a person"),
    Command("erase", "scripts.erase", "remove people, or what is too old, from a log"),
    Command("encrypt", "scripts.encrypt", "encrypt a log directory at rest"),
    Command("decrypt", "scripts.decrypt", "write an encrypted log in plain"),
    Command("load", "scripts.load", "load a log and a policy into a server's store"),
    Command("explain", "scripts.explain", "pictures of what a policy has learned, on a log"),
    Command("tune", "scripts.tune", "search an agent's hyper-parameters"),
    Command("simulate", "scripts.simulate", "let a policy live with a simulator's users: a log"),
    Command("decide", "scripts.decide", "decide for many users at once, into a file"),
    Command(
        "candidates evaluate",
        "scripts.candidates_evaluate",
        "a leaderboard of recommenders on a month that they have not seen",
    ),
    Command(
        "candidates recommend",
        "scripts.candidates_recommend",
        "what every user would be offered, into a file",
    ),
    Command(
        "copy generate", "scripts.copy_generate", "write draft copy for a log's items, with samples"
    ),
    Command("copy train", "scripts.copy_train", "train a network that writes copy"),
    Command("copy verify", "scripts.copy_verify", "check copy against what a log holds of items"),
    Command("copy moderate", "scripts.copy_moderate", "judge copy by the rule packs"),
    Command(
        "copy review", "scripts.copy_review", "approve or reject a log's copy, with who and why"
    ),
    Command("archive", "scripts.archive", "move what is old from a server's store into a log"),
    Command("keys", "scripts.keys", "make, revoke and list a server's API keys"),
    Command("replay", "scripts.replay", "make a stored decision again: does it come out the same?"),
    Command(
        "candidates explain", "scripts.candidates_explain", "what a user likes, since when and why"
    ),
)
COMMANDS = MAIN_PATH + OTHER_COMMANDS

EXTRA_OF = {
    "torch": "train",
    "gymnasium": "train",
    "stable_baselines3": "train",
    "onnx": "train",
    "lightgbm": "train",
    "implicit": "train",
    "sklearn": "train",
    "scipy": "train",
    "threadpoolctl": "train",
    "fastapi": "serve",
    "uvicorn": "serve",
    "sqlalchemy": "serve",
    "alembic": "serve",
    "psycopg": "serve",
    "httpx2": "serve",
    "jwt": "serve",
    "cryptography": "serve",
    "pydantic_settings": "serve",
    "ray": "ray",
    "optuna": "ray",
    "fastavro": "avro",
}
"""Optional library → the extra of pushwise that installs it."""

EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 1, 2, 130, 141


class _Terminated(BaseException):
    """`kill` ends the process, as Ctrl-C would: what is temporary is removed first."""


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one doesn't wait
    raise _Terminated


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (default: the process's) and returns its exit status."""
    if argv is None:
        signal.signal(signal.SIGTERM, _end)
    try:
        status = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except PushwiseError as error:
        return _complain(" ".join(str(error).split()), EXIT_ERROR)
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _complain(
            f"this needs {error.name}, which is not installed: pip install 'pushwise[{extra}]'",
            EXIT_ERROR,
        )
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except _Terminated:
        signal.raise_signal(signal.SIGTERM)
        raise
    except BrokenPipeError:
        # The reader has gone (`pushwise … | head`); the flush at exit must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        if error.filename is None:
            raise
        return _complain(f"{error.filename}: {error.strerror}", EXIT_ERROR)


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        return 0
    if argv[0] == "--version":
        from importlib.metadata import version

        print(f"pushwise {version('pushwise')}")
        return 0
    if argv[0] == "--log-key":
        return _with_key(argv[1:])
    for command in COMMANDS:
        words = command.name.split()
        if argv[: len(words)] == words:
            return _run(command, argv[len(words) :])
    return _complain(_unknown(argv), EXIT_USAGE)


def _with_key(argv: list[str]) -> int:
    """Runs a command that may read logs under the key in the file named first."""
    from pathlib import Path

    from ingestion.encryption import reading_with
    from ingestion.privacy import read_key

    if len(argv) < 2:
        return _complain("--log-key is followed by the key's file and a command", EXIT_USAGE)
    with reading_with(read_key(Path(argv[0]))):
        return _dispatch(argv[1:])


def _run(command: Command, argv: list[str]) -> int:
    from importlib import import_module

    # Arrow's own pool gives memory back at once and asks the kernel for it again, cleared.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    module = cast(CommandModule, import_module(command.module))
    args = arguments(command, module, argv)
    if (seed := getattr(args, "seed", None)) is not None and seed < 0:
        raise BadSetting(f"--seed is {seed}; it can't be negative")
    return module.run(args) or 0


def arguments(command: Command, module: CommandModule, argv: list[str]) -> Any:
    """What `run` of the command's module is given; ends the process where `argv` does not fit."""
    import tyro

    shown: Any = tyro.cli(
        _as_shown(module.Args),
        prog=f"pushwise {command.name}",
        description=_description(module.__doc__ or ""),
        args=argv,
        config=(
            tyro.conf.FlagCreatePairsOff,
            tyro.conf.DisallowNone,
            tyro.conf.PositionalMetavarFromFieldName,
        ),
    )
    return module.Args(**vars(shown))


def _as_shown(args: type) -> type:
    """The same fields as `--help` shows them: docstrings in one paragraph, defaults where they
    say something.

    By itself tyro keeps the line breaks of a docstring and says `(default: None)`.
    """
    import tyro
    from docstring_parser import parse_from_object

    hints = get_type_hints(args, include_extras=True)
    said = {each.arg_name: each.description or "" for each in parse_from_object(args).params}

    def default(label: str) -> str:
        return "" if label in ("None", "False", "", "''") else f"(default: {label})"

    def shown(name: str) -> Any:
        text = " ".join(said.get(name, "").split())
        return Annotated[hints[name], tyro.conf.arg(help=text, help_behavior_hint=default)]

    return make_dataclass(
        args.__name__,
        [
            (
                each.name,
                shown(each.name),
                field(default=each.default, default_factory=each.default_factory),
            )
            for each in fields(args)
        ],
    )


def _description(text: str) -> str:
    """A module's docstring with a line for each paragraph and a paragraph for its examples."""
    text = re.sub(r"\s+(Examples?:)\n+(?= {4})", r"\n\n\1\n", text.strip())
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text)


def _help() -> str:
    def rows(commands: tuple[Command, ...]) -> list[str]:
        return [f"  {command.name:<{width}}  {command.summary}" for command in commands]

    width = max(len(command.name) for command in COMMANDS)

    return "\n".join(
        [
            "usage: pushwise COMMAND …",
            "",
            "Learns from a shop's own logs which item to push, with which copy, at which hour, or"
            " to hold.",
            "",
            "the main path:",
            *rows(MAIN_PATH),
            "",
            "also:",
            *rows(OTHER_COMMANDS),
            "",
            "`pushwise --log-key FILE COMMAND …` reads logs that are encrypted.",
            "`pushwise COMMAND --help` shows a command's arguments and an example.",
        ]
    )


def _unknown(argv: list[str]) -> str:
    from difflib import get_close_matches

    name = argv[0]
    group = [command.name for command in COMMANDS if command.name.startswith(f"{name} ")]
    if group:
        return f"`pushwise {name}` is followed by one of: {', '.join(g.split()[1] for g in group)}"
    near = get_close_matches(name, [command.name for command in COMMANDS], n=1)
    hint = f"did you mean {near[0]}?" if near else "`pushwise --help` lists the commands"
    return f"there is no command {name!r}: {hint}"


def _complain(sentence: str, status: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
