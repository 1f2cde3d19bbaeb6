"""Search the hyper-parameters of an agent: Ray Tune, Optuna's search, early stopping.

The best settings are written to a file, under the environment's id, that `pushwise train
--settings FILE` reads. Each trial trains on one core, of this machine or of the Ray cluster that
RAY_ADDRESS names, whose machines need pushwise too. Differences of a few per cent between trials
are noise: the defaults are among the trials, so that what tuning brought is seen.

The file holds the best settings so far as trials end, so a search that is stopped (Ctrl-C, kill)
leaves them. With --run the search is kept too, and the same command with --resume goes on with it:
trials that had ended count, those that had not begin again.

Example:
    pushwise tune runs/sim --algo ppo --trials 32 --out settings.toml
    pushwise tune runs/sim --algo ppo --trials 32 --out settings.toml --run runs/tune --resume
    pushwise train runs/sim --algo ppo --settings settings.toml --out runs/ppo
    RAY_ADDRESS=ray://head:10001 pushwise tune runs/sim --algo dqn --out settings.toml
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise tune`."""

    simulator: Positional[Path]
    """a fitted simulator, or the truth of a demo (DIR/truth)"""
    out: Path
    """TOML file to write the settings to; what it says of others stays. While the search goes on it
    holds the best so far"""
    algo: str = "ppo"
    """algorithm: ppo or dqn"""
    trials: int = 16
    """trainings to begin; most are stopped early"""
    steps: int | None = None
    """user-days of a training that is not stopped; default: the algorithm's"""
    at_once: int | None = None
    """most trainings at a time; default: one a core"""
    run: Path | None = None
    """folder for the search, from which --resume goes on; on a cluster, one that all machines see.
    Ray keeps pickles there: go on with searches of your own alone"""
    resume: bool = False
    """go on with the search in --run, where there is one"""
    seed: int = 0
    """seed of the search and of all that is drawn"""
    json: bool = False
    """print JSON"""


def run(args: Args) -> int:
    """Searches, writes the best settings and prints the trials."""
    import json
    from dataclasses import asdict

    from agents.settings_file import ENVIRONMENTS, read_tables, write_settings
    from agents.tuning import SPACES, Trial, judgements_of, tune
    from mdp.errors import BadInput, BadSetting
    from simulator.saved import load_simulator

    if args.algo not in SPACES:
        raise BadSetting(f"{args.algo} has nothing to tune; choose among {', '.join(SPACES)}")
    for name in ("trials", "steps", "at_once"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise BadSetting(f"--{name.replace('_', '-')} is {value}; it must be at least 1")
    if args.out.is_dir():
        raise BadInput(f"{args.out} is a directory: choose a file as --out")
    if args.out.exists():
        read_tables(args.out)
    if args.resume and args.run is None:
        raise BadSetting("--resume needs the folder of the search to go on: give it with --run DIR")
    simulator = load_simulator(args.simulator)
    args.out.parent.mkdir(parents=True, exist_ok=True)

    world = simulator.world  # Ray pickles what `keep` holds

    def keep(best: Trial) -> None:
        write_settings(args.out, world, args.algo, best.settings)

    found = tune(
        simulator,
        args.algo,
        args.trials,
        args.seed,
        args.steps,
        args.at_once,
        args.run,
        args.resume,
        keep,
    )
    keep(found[0])
    if args.json:
        print(json.dumps([asdict(each) for each in found], indent=1))
        return 0
    most = judgements_of(args.algo, args.steps)
    for each in found:
        said = ", ".join(f"{name} {value:.3g}" for name, value in each.settings.items())
        print(f"{each.value:8.3f} after {each.judgements} of {most} judgements: {said}")
    if len(found) < args.trials:
        more = "" if args.run is None else "; --resume goes on with the others"
        print(f"{len(found)} of {args.trials} trials came to a judgement{more}")
    where = f'["{ENVIRONMENTS.get(world, world)}".{args.algo}]'
    print(f"written: {args.out}, {where}")
    return 0
