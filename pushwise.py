"""What a notebook needs, under one name: `import pushwise`.

Importing it registers the environments with Gymnasium, where Gymnasium is installed, so that
`gymnasium.make("pushwise:pushwise/Push-v0", simulator="sim")` works by itself. The names below are
imported when they are first used.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = (
    "scripts",
    "serving",
    "evaluation",
    "agents",
    "envs",
    "simulator",
    "generation",
    "policies",
    "ingestion",
    "mdp",
)
"""The packages that pushwise consists of, from the top layer down."""

HOME = {
    "HISTORY": "mdp.state",
    "TRAITS": "mdp.state",
    "Reward": "mdp.reward",
    "PushwiseError": "mdp.errors",
    "evaluate": "evaluation.arrays",
}
"""Public name → the module that defines it."""


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module 'pushwise' has no attribute {name!r}")
    return getattr(import_module(HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *HOME])


def _refuse_shadowed() -> None:
    """Raises ImportError where another package has taken the name of one of ours."""
    here = Path(__file__).resolve().parent
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is None:
            raise ImportError(f"pushwise's package {package!r} is missing: install pushwise again")
        # A directory without __init__.py has no origin.
        found = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), "nowhere"))
        if spec.origin is None or found.resolve().parent != here / package:
            raise ImportError(
                f"{found} shadows pushwise's package {package!r}: run pushwise in an environment "
                "and a directory where nothing else has that name"
            )


def _register_environments() -> None:
    if find_spec("gymnasium"):
        import_module("envs").register()


_refuse_shadowed()
_register_environments()
