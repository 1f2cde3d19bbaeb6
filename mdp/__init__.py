"""The decision problem: what log replay, simulator, environments, agents and server agree on."""
