"""Serve a policy over HTTP; interactive documentation at /docs.

Without an API key (`pushwise keys`, PUSHWISE_API_KEYS) the server binds to loopback only. Example:

    pushwise serve runs/quickstart/ppo
    pushwise serve runs/quickstart/ppo --store sqlite:///pushwise.sqlite --port 8080 --workers 2
    pushwise serve --store postgresql://shop:secret@db/pushwise --ray --workers 8
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

GRACE = 30
"""Seconds that requests in flight have when the server is asked to stop."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Args:
    """What to serve, and where."""

    policy: Positional[Path | None] = None
    """directory of a saved policy (default: the store's active one). It becomes active where it
    was not named at the last start, so that a policy activated since goes on after a restart"""
    store: str | None = None
    """the store (default: PUSHWISE_STORE, else sqlite:///pushwise.sqlite)"""
    host: str = "127.0.0.1"
    """address to listen on"""
    port: int = 8000
    """port to listen on"""
    workers: int = 1
    """processes"""
    ray: bool = False
    """serve on Ray: `workers` replicas on this machine, or on the cluster that RAY_ADDRESS names"""
    guardrails: Path | None = None
    """TOML file whose keys replace the policy's guardrails; what is new in it since the last start
    is applied, so that what was changed at run time goes on after a restart"""
    activate: bool = False
    """make the policy active even where it was named at the last start too"""


def open_files() -> None:
    """Allow this process and its workers as many open files, connections among them, as the system
    lets it; the usual 1,024 would stop it from accepting more."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run(args: Args) -> None:
    """Serves until it is stopped."""
    import tempfile
    from contextlib import nullcontext

    import structlog
    import uvicorn

    from mdp.errors import BadSetting
    from serving.clocks import wall_clock
    from serving.log_lines import configure_logging, uvicorn_logging
    from serving.metrics import share_metrics
    from serving.settings import hand_on, read_settings
    from serving.starting import has_keys, prepare

    if not 0 <= args.port <= 65535:
        raise BadSetting(f"--port is {args.port}; use a number from 0 to 65535")
    if args.workers < 1:
        raise BadSetting(f"--workers is {args.workers}; use at least 1")
    if args.activate and args.policy is None:
        raise BadSetting("--activate makes POLICY active: name one")
    settings = read_settings(store=args.store)
    if args.host not in LOOPBACK and not settings.keys and not has_keys(settings.store):
        raise BadSetting(
            f"host {args.host} is reachable by others and there is no API key: make one with "
            "`pushwise keys --store URL --create NAME`, or set PUSHWISE_API_KEYS"
        )
    configure_logging(settings.log_level)
    start = prepare(settings, args.policy, args.guardrails, wall_clock(), args.activate)
    log = structlog.get_logger()
    for line in start.in_force:
        log.info(line)
    for line in start.looser:
        log.warning(line)
    hand_on(settings)
    open_files()
    several = args.workers > 1 or args.ray
    place = tempfile.TemporaryDirectory(prefix="pushwise-metrics-") if several else nullcontext()
    with place as directory:
        if directory is not None:
            share_metrics(directory)
        if args.ray:
            from scripts.serve_on_ray import serve_on_ray

            serve_on_ray(args.host, args.port, args.workers)
            return
        uvicorn.run(
            "serving.app:create_app",
            factory=True,
            http="serving.protocol:Protocol",
            host=args.host,
            port=args.port,
            workers=args.workers,
            log_config=uvicorn_logging(),
            log_level=settings.log_level,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
        )
