"""Figures as PNG, with a shop's own names in them as they are."""

from __future__ import annotations

import io
import warnings
from functools import cache

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

_CHINESE = ("Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "SimHei", "PingFang SC")
"""Fonts for names that DejaVu has no glyphs for; the first that is installed is taken."""


def png(figure: Figure, dpi: int) -> bytes:
    """A figure as PNG. Its texts are no formulas: a $ is a $. Names that no installed font can
    write are drawn as boxes."""
    FigureCanvasAgg(figure)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_fontfamily(_families())
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(out, format="png", dpi=dpi)
    return out.getvalue()


@cache
def _families() -> list[str]:
    installed = set(fontManager.get_font_names())
    return ["DejaVu Sans", *[name for name in _CHINESE if name in installed][:1]]
