"""Gymnasium environments over the simulator, and their registration."""

ENTRY_POINTS: dict[str, tuple[str, str]] = {
    "pushwise/Push-v0": ("envs.push:PushEnv", "envs.vector:PushVectorEnv"),
    **{
        f"pushwise/{shop}-v0": (f"envs.worlds:{shop}Env", f"envs.worlds:{shop}VectorEnv")
        for shop in ("LogitShop", "HazardShop", "SeasonalShop", "BuyAnywayShop")
    },
}
"""Environment id → `module:class` of the single and of the vector environment."""


def register() -> None:
    """Registers every environment with Gymnasium; what is registered already is left alone."""
    import gymnasium

    for name, (single, vector) in ENTRY_POINTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=single, vector_entry_point=vector)
