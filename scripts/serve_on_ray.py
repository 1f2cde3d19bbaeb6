"""The policy server as a Ray Serve deployment: the same app over the same store, on any number of
machines."""

from __future__ import annotations

import os
import signal
from typing import Any

from agents.cluster import first_words, running
from mdp.errors import BadSetting

QUIET = {"log_level": "ERROR", "enable_access_log": False}
ONGOING = 256
"""Requests that one replica works on at a time: enough to decide for many together."""


def serve_on_ray(host: str, port: int, replicas: int) -> None:
    """Serve with so many replicas until this process is stopped.

    The settings are those of this process's environment. A Ray cluster that RAY_ADDRESS names is
    used, else one is started here; on a cluster every machine needs pushwise, and the store and
    the saved policies must be the same for all. Raises `BadSetting` where Ray does not start.
    """
    from ray import serve
    from ray.exceptions import RayError

    names = [name for name in os.environ if name.startswith(("PUSHWISE_", "OTEL_", "PROMETHEUS_"))]
    options = {"runtime_env": {"env_vars": {name: os.environ[name] for name in names}}}
    with running():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            serve.start(
                proxy_location="EveryNode",  # which asks its own replicas first, as a scrape wants
                http_options={"host": host, "port": port},
                logging_config=QUIET,
            )
            app = serve.deployment(
                name="pushwise",
                num_replicas=replicas,
                max_ongoing_requests=ONGOING,
                ray_actor_options={"num_cpus": 0, **options},
                logging_config=QUIET,
            )(serve.ingress(build)())
            serve.run(app.bind(), name="pushwise", route_prefix="/", blocking=False)
            print(f"http://{host}:{port} on Ray Serve, {replicas} replicas", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            pass
        except (RuntimeError, TimeoutError, RayError) as error:
            raise BadSetting(f"Ray Serve does not start: {first_words(error)}") from error
        finally:
            serve.shutdown()


def build() -> Any:
    """The app, made in each replica."""
    from serving.app import create_app

    return create_app()
