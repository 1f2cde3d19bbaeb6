"""Gymnasium environments over the simulator, and their registration."""

ENTRY_POINTS: dict[str, str] = {}
"""Environment id → `module:class`."""


def register() -> None:
    """Registers every environment with Gymnasium; what is registered already is left alone."""
    import gymnasium

    for name, entry_point in ENTRY_POINTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=entry_point)
