"""The endpoint that does nothing as a Ray Serve deployment of one replica."""

import signal
import sys

import ray
from fastapi import FastAPI
from ray import serve

from benchmarks.serving_bare import app
from scripts.serve_on_ray import ONGOING, QUIET


def built() -> FastAPI:
    """The app, made in the replica."""
    return app()


def main(port: int) -> None:
    """Serve until stopped."""
    ray.init(log_to_driver=False, include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config=QUIET)
    deployed = serve.deployment(
        name="bare", num_replicas=1, max_ongoing_requests=ONGOING, logging_config=QUIET
    )(serve.ingress(built)())
    serve.run(deployed.bind(), name="bare", route_prefix="/", blocking=False)
    signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
