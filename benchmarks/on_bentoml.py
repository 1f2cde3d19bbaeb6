"""The endpoint that does nothing as a BentoML service; bentoml lives in an environment of its own
(see `benchmarks.serving_peers`)."""

import bentoml

from benchmarks.serving_bare import answered
from serving.answers import DecisionOut
from serving.schemas import Ask


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Decisions:
    """One worker."""

    @bentoml.api(route="/v1/decisions")
    async def decide(self, ask: Ask, /) -> DecisionOut:
        """The same models in and out."""
        return answered(ask)
