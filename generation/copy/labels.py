"""What attributes are called in each language."""

from __future__ import annotations

LABELS = {
    "colour": ("Colour", "颜色"),
    "color": ("Color", "颜色"),
    "size": ("Size", "尺寸"),
    "material": ("Material", "材质"),
    "pattern": ("Pattern", "图案"),
    "weight": ("Weight", "重量"),
    "pieces": ("Pieces", "件数"),
    "capacity": ("Capacity", "容量"),
    "length": ("Length", "长度"),
    "width": ("Width", "宽度"),
    "height": ("Height", "高度"),
    "season": ("Season", "适用季节"),
    "age": ("Age", "适用年龄"),
    "scent": ("Scent", "香型"),
    "flavour": ("Flavour", "口味"),
    "origin": ("Origin", "产地"),
    "model": ("Model", "型号"),
    "style": ("Style", "风格"),
    "occasion": ("Occasion", "适用场合"),
    "care": ("Care", "洗护方式"),
    "gender": ("For", "适用人群"),
    "warranty": ("Warranty", "保修"),
    "power": ("Power", "功率"),
    "battery": ("Battery", "电池"),
}
"""Attribute → its English and its Chinese name."""


_OF = {**{zh: (en, zh) for en, zh in reversed(LABELS.values())}, **LABELS}


def label(name: str, locale: str) -> str:
    """How a text calls an attribute: the name of its column, where none is known."""
    known = _OF.get(name.strip().lower())
    if known is not None:
        return known[locale == "zh"]
    return name.strip().replace("_", " ").capitalize() if name.isascii() else name.strip()


def labels_of(name: str) -> tuple[str, ...]:
    """Every name that a text may call an attribute by."""
    return tuple({label(name, "en"), label(name, "zh"), name.strip()})
