"""How English words sound, roughly: words that are spelled by ear have the same key."""

from __future__ import annotations

import functools
import re

_Rules = list[tuple[re.Pattern[str], str]]


def _rules(*pairs: tuple[str, str]) -> _Rules:
    """Expressions and what takes the place of their finds, in the order of their turns."""
    return [(re.compile(pattern), sound) for pattern, sound in pairs]


def _rewritten(word: str, rules: _Rules) -> str:
    for pattern, sound in rules:
        word = pattern.sub(sound, word)
    return word


_FIRST = _rules(
    (r"8", "ate"),
    (r"4", "for"),
    (r"2", "to"),
    (r"1(?=[a-z])|(?<=[a-z])1", "won"),
    (r"c(?=[eiy])", "s"),
    (r"eigh(?=t)", "A"),
    (r"igh(?=t|$)", "I"),
)
_SOUNDS = _rules(
    (r"[’']", ""),
    (r"ph", "f"),
    (r"^one(?=$|s$)", "won"),
    (r"^won$|^wun$", "won"),
    (r"al(?=[fkm](?:$|[^aeiou]))", "a"),
    (r"^(?:kn|gn)", "n"),
    (r"^wr", "r"),
    (r"^wh(?=o)", "h"),
    (r"wh", "w"),
    (r"ght", "t"),
    (r"gh(?=$)", ""),
    (r"tch", "ch"),
    (r"dge", "j"),
    (r"(?:tion|sion|shun|cian|shon)", "Sn"),
    (r"sh", "S"),
    (r"sch", "sk"),
    (r"ch", "C"),
    (r"th", "t"),
    (r"ck", "k"),
    (r"c(?=[eiy])", "s"),
    (r"[cq]", "k"),
    (r"x", "ks"),
    (r"z", "s"),
    (r"mb$", "m"),
    (r"(?:in|ing|een)$", "N"),
    (r"(?:er|or|ar|ah|a|ur|re)$", "R"),
    (r"(?:er|or|ar|ah|a|ur)s$", "Rs"),
    (r"([bdfgjklmnprstvwCS])[aeiouy]?e$", r"\1"),
    (r"([a-zCS])\1+", r"\1"),
)
_LONG = re.compile(r"([aeiou])([bcdfgjklmnprstvzSC]|ks|st)e(?=$|s$|d$|r$|ly$)")
_VOWELS = _rules(
    (r"(?:ee|ea|ie|ei|ey|y$)", "I"),
    (r"(?:ai|ay|eigh)", "A"),
    (r"(?:oa|ow|oe)", "O"),
    (r"(?:oo|ou|ew|ue|ui)", "U"),
    (r"(?:au|aw)", "o"),
    (r"(?:igh|y)", "Y"),
    (r"[ae](?=r)|[iu](?=r)", "e"),
)


@functools.lru_cache(1 << 16)
def ear(word: str) -> str:
    """The key of a word's sound."""
    word = _rewritten(word, _FIRST)
    marked = _LONG.sub(lambda found: f"{found[1].upper()}{found[2]}", word)
    return _rewritten(_rewritten(marked, _SOUNDS), _VOWELS)


@functools.lru_cache(1 << 16)
def skeleton(word: str) -> str:
    """Its consonants, repeated ones once; a first vowel stays."""
    bare = word[:1] + re.sub("[aeiouy]", "", word[1:])
    return re.sub(r"([a-z])\1+", r"\1", bare)


DIALECT = {
    "wun": "one", "da": "the", "dat": "that", "dis": "this", "luv": "love", "u": "you", "ur":
    "your", "r": "are", "yr": "your", "thru": "through", "nite": "night", "tonite": "tonight",
    "cuz": "because", "wid": "with", "ppl": "people", "evah": "ever", "evry": "every", "wat":
    "what", "wot": "what", "skool": "school", "kewl": "cool", "gud": "good", "bezt": "best",
    "bes": "best", "frm": "from", "frum": "from", "onli": "only", "onlee": "only", "gtd":
    "guaranteed", "amzn": "amazing", "yo": "your", "dem": "them", "dey": "they", "azz": "ass",
    "gr8": "great", "w8": "weight", "str8": "straight", "phat": "fat", "fk": "fuck", "fkn":
    "fucking", "sht": "shit", "btch": "bitch",
}  # fmt: skip
"""Spellings by ear and clippings too short for a key."""

REAL = frozenset(
    re.findall(
        r"\w+",
        """
        abnormally activities activity addressee alleging anomalies arch areas arrays assess
        author authors backend baking bark barn batching beach beaches bending berry bert bertie
        beta blitting blocs blond boom booze bounding boxes building button buttons cache
        calibrate capacities carry carton cartons causes cell center central centrally cerise
        chip chips chocolat choosing circuiting circuits clique cloth coded coherence coloring
        colouring comfortably comparer compress compresses compression comprise comprises
        computation computer computers computes computing con conform conforms cons containing
        content continuing continuity contours controlled controlling cook cooks cote count
        counter counters countries course crashed crashes crashing creations creators cultural
        cumin curl curtain curtains customary cute death decided deflated delight deriving
        descent descents die difficulty disk disparity displayed displaying displays done donor
        duck ducks dye element elements employs era exclude exercises explaining exports express
        expresses expresso faith false feathers filed finding fitted fitting floating flowers
        folding foregoing forking fragrance framing freed friction gardening graded guided hare
        heard heat heel heels heirs herm historical historically hole holly honoring hoping
        hopping howl impurity individual insisted international iron lace laces lamp lamps laws
        leaf leak linen listening listing lit lock locking locks lone maid mail mails male
        managing mangled mat math mathematical mats measurable merry met methods mice mine mitt
        mods monster monsters monte multiples needless neighborhoods nie nile nit normals noting
        orang pace packing pail pairs palette pane panes parking pat patents peace peach pearl
        pears peel pending pep permutation persists phases pic picky piece pieces pitches poll
        polyester practical praise predicate predicates presets prof prominent prominently pull
        pulse radicals redaction registry remainder remapping renderers replaying replicas
        resetting responded restacked roll rolls rounders sail sails saturated saturates scalars
        scent scissors scorer scoring seal secrets seeks separated shaping sharpness shear sheet
        sheets shell shopping shows sided sine sing sites smoothing sought south split stacked
        steal steel stepping sticker stickers stocking stockings storer storing strange strides
        successors surprises surviving swapping tail tale taught tea teams teas technically
        theses thorough threat threw thrust tic tick ticker tie tik tissue toe toll tot
        traditionally tree universal unlucky unsellable unstable vary weights wheel whit whole
        wholly wrapped wrapping wraps wreath wright
        """,
    )
)
"""Words that sound like one of the packs and are not meant for it."""
