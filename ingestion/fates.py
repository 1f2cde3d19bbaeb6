"""What may become of a push, and how pictures mark it."""

FATES = {
    "ignored": ("o", "#c9b18a"),
    "dismissed": ("x", "#d95f02"),
    "opened": ("o", "#4c9be8"),
    "clicked": ("o", "#1b7837"),
    "bought": ("*", "#1b7837"),
    "unsubscribed": ("X", "#b2182b"),
}
"""Marker and colour of what became of a push."""
