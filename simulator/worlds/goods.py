"""The demo shop's shelf: 12 categories of believable products, and six ways to announce them."""

from __future__ import annotations

import numpy as np

from mdp.catalog import Catalog, Items, Variants
from mdp.clock import NEVER

_SHELF: dict[str, tuple[float, str, str]] = {
    # category: (typical price, brands, products)
    "coffee & tea": (
        14,
        "Alder & Finch|Monsoon Leaf|Kestrel",
        "Single-origin beans 500 g|Espresso blend 1 kg|Decaf beans 500 g|Sencha loose leaf|"
        "Earl Grey tin|Moka pot|Pour-over set|Burr grinder|Milk frother|Cold-brew jug|"
        "Travel mug|Chai sampler",
    ),
    "kitchen": (
        32,
        "Larch|Northware|Casa Piedra",
        "Chef's knife 20 cm|Cast-iron skillet|Chopping board, beech|Mixing bowl set|"
        "Digital scale|Stoneware plates, 4|Storage jars, 6|Silicone spatulas|Baking tray|"
        "Salad spinner|Peppermill|Linen tea towels|Dutch oven",
    ),
    "home textiles": (
        38,
        "Larch|Fjordlin|Casa Piedra",
        "Cotton duvet cover|Wool throw|Linen cushion|Bath towels, 2|Blackout curtain|"
        "Jute rug|Waffle robe|Flannel sheets|Table runner|Mohair blanket|Bath mat|Quilt",
    ),
    "lighting": (
        42,
        "Lumen Works|Fjordlin",
        "Desk lamp|Floor lamp|String lights, 10 m|LED bulbs, 4|Bedside lamp|Candle set|"
        "Lantern|Night light|Pendant shade|Clip-on spotlight|Salt lamp|Solar path lights",
    ),
    "books": (
        16,
        "Harbour Press|Penfold",
        "Crime novel of the month|Vegetarian cookbook|Birds of the coast|City walks guide|"
        "Poetry anthology|Short stories, boxed|Garden design|World atlas|History of maps|"
        "Bread baking|Science essays|Memoir, hardback|Crossword collection",
    ),
    "toys & games": (
        24,
        "Tinker Tree|Penfold",
        "Wooden train set|1000-piece puzzle|Strategy board game|Card game|Building blocks|"
        "Plush fox|Chess set|Marble run|Colouring set|Kite|Science kit|Dolls' house|Juggling balls",
    ),
    "outdoor": (
        55,
        "Ridgeline|Kestrel",
        "Day pack 22 l|Trekking poles|Rain jacket|Insulated bottle|Head torch|Camp stove|"
        "Hammock|Merino socks, 2|Dry bag|Picnic blanket|Pocket binoculars|Two-person tent",
    ),
    "sports": (
        34,
        "Ridgeline|Stride",
        "Yoga mat|Resistance bands|Running belt|Foam roller|Skipping rope|Swim goggles|"
        "Cycling gloves|Kettlebell 12 kg|Running shirt|Table-tennis bats|Gym bag|Jump box",
    ),
    "beauty": (
        19,
        "Sage & Salt|Ondine",
        "Hand cream|Face serum|Bath salts|Lip balm trio|Sun lotion 50|Shampoo bar|"
        "Clay mask|Body oil|Beard oil|Soap, olive|Hair brush|Eau de toilette|Night cream",
    ),
    "garden": (
        22,
        "Green Acre|Larch",
        "Herb seeds, 8|Pruning shears|Watering can|Raised bed|Terracotta pots, 3|"
        "Bird feeder|Compost bin|Garden gloves|Tulip bulbs, 50|Hose reel|Trowel set|Bee hotel",
    ),
    "stationery": (
        11,
        "Penfold|Inkwell",
        "Fountain pen|Dot-grid notebook|Washi tape, 12|Wall calendar|Greeting cards, 10|"
        "Letter set|Brush pens|Desk organiser|Sketchbook|Wrapping paper|Pencil case|Wax seal kit",
    ),
    "electronics": (
        65,
        "Lumen Works|Kestrel",
        "Wireless earbuds|Bluetooth speaker|Power bank|E-reader case|Smart plug, 2|"
        "Fitness band|Webcam|Mechanical keyboard|USB-C hub|Phone stand|Alarm clock radio|"
        "Noise-cancelling headphones|Photo printer",
    ),
}

STYLES = ("plain", "urgent", "warm", "discount", "social proof", "personal")
"""Copy styles, each in a style bucket of its own."""
_COPY = (
    ("{item}", "Now {price} in {category}."),
    ("Go for it: {item}", "It is here, it is {price}. What are you waiting for?"),
    ("A little something for you", "{item}, because good days deserve it."),
    ("Worth a look at the price", "{item} is yours for {price}."),
    ("Worth showing around", "{item}: ask a friend what they think of it."),
    ("We thought of you", "You may like {item}."),
)


def demo_variants() -> Variants:
    """Six approved variants, one of each of `STYLES`."""
    size = len(STYLES)
    return Variants(
        ids=tuple(f"copy-{number + 1}" for number in range(size)),
        styles=STYLES,
        locales=("",) * size,
        titles=tuple(title for title, _ in _COPY),
        bodies=tuple(body for _, body in _COPY),
        items=("",) * size,
        segments=("",) * size,
        statuses=("approved",) * size,
    )


def demo_catalog(rng: np.random.Generator) -> Catalog:
    """The demo shop's catalogue: prices, discounts and margins are drawn."""
    rows = [
        (category, product, typical, brands.split("|"))
        for category, (typical, brands, products) in _SHELF.items()
        for product in products.split("|")
    ]
    size = len(rows)
    typical = np.array([row[2] for row in rows])
    price = np.floor(typical * np.exp(rng.normal(0.0, 0.5, size))).clip(3) + 0.99
    discounted = rng.random(size) < 0.3
    factor = np.where(discounted, rng.choice([1.15, 1.25, 1.4], size), 1.0)
    listed = np.where(discounted, np.floor(price * factor) + 0.99, price)
    margin = np.round(rng.uniform(0.18, 0.5, size), 2)
    items = Items(
        ids=tuple(f"item-{number + 1:03d}" for number in range(size)),
        titles=tuple(row[1] for row in rows),
        categories=tuple(row[0] for row in rows),
        brands=tuple(str(rng.choice(row[3])) for row in rows),
        price=price.astype(np.float32),
        list_price=listed.astype(np.float32),
        margin=margin.astype(np.float32),
        stock=np.full(size, np.inf, np.float32),
        available_until=np.full(size, NEVER),
    )
    return Catalog(items, demo_variants())
