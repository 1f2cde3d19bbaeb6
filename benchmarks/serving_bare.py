"""What the servers that pushwise is set beside do: the same models in and out, and nothing
between. `python -m benchmarks.serving_bare PORT` serves it by FastAPI alone."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

from serving.answers import DecisionOut
from serving.schemas import Ask

ANSWER = {
    "decision_id": "4550009bc2df4a86aa9798a7bbd74f03", "user_id": "u", "action": "send",
    "item_id": "item-043", "variant_id": "copy-1", "title": "Candle set",
    "body": "Now 71.99 in lighting.", "decided_at": "2026-11-25T03:20:03.828267Z",
    "send_at": "2026-11-25T10:00:00Z", "propensity": 0.98, "policy": "ppo", "arm": "policy",
    "reason": "policy", "cold_start": False, "repeated": False,
}  # fmt: skip


def answered(ask: Ask) -> DecisionOut:
    """A decision that nobody made."""
    return DecisionOut.model_validate(ANSWER)


def app() -> FastAPI:
    """FastAPI around it."""
    built = FastAPI()

    @built.post("/v1/decisions", response_model=DecisionOut)
    async def decide(ask: Ask) -> DecisionOut:
        return answered(ask)

    return built


if __name__ == "__main__":
    uvicorn.run(app(), port=int(sys.argv[1]), access_log=False, log_level="error")
