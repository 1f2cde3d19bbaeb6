"""48 texts whose worth follows from what they say."""

from itertools import product

import numpy as np

_OPENERS = (
    *("A closer look at {item}", "{item}, picked for a good day"),
    *("From {brand}: {item}", "On the shelf: {item}"),
)
_MORE = (
    "It is made with care and lasts for years.",
    "The colours go well with what is there already, and it is easy to keep clean.",
)
_STYLES = ("plain", "urgent", "warm", "discount", "social proof", "personal")


def copies(
    rng: np.random.Generator,
) -> tuple[list[str], list[str], list[str], np.ndarray]:
    """Titles, bodies, styles and what each adds to the logit of an open (48,), in any order: more
    for a price and for a question, less for each further sentence; nothing for style and opener."""
    rows = []
    for title, price, question, more in product(_OPENERS, (0, 1), (0, 1), (0, 1, 2)):
        parts = ["Ready for {category}?"] * question + list(_MORE[:more])
        parts += ["Yours for {price}."] * price
        worth = 0.6 * price + 0.5 * question - 0.4 * more
        rows.append((title, " ".join(parts) or "See {category}.", worth))
    # Every style has good texts and bad ones, so that it tells nothing of them.
    styled = zip(sorted(rows, key=lambda row: row[2]), _STYLES * 8, strict=True)
    mixed = [(*row, style) for row, style in styled]
    titles, bodies, gains, styles = zip(*(mixed[n] for n in rng.permutation(48)), strict=True)
    return list(titles), list(bodies), list(styles), np.array(gains)
