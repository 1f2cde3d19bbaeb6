"""How English words sound, roughly: words that are spelled by ear have the same key."""

from __future__ import annotations

import functools
import re

_FIRST = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"8", "ate"),
        (r"4", "for"),
        (r"2", "to"),
        (r"1(?=[a-z])|(?<=[a-z])1", "won"),
        (r"c(?=[eiy])", "s"),
        (r"eigh(?=t)", "A"),
        (r"igh(?=t|$)", "I"),
    )
]
_SOUNDS = [
    (re.compile(pattern), sound)
    for pattern, sound in (
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
]
_LONG = re.compile(r"([aeiou])([bcdfgjklmnprstvzSC]|ks|st)e(?=$|s$|d$|r$|ly$)")
_VOWELS = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"(?:ee|ea|ie|ei|ey|y$)", "I"),
        (r"(?:ai|ay|eigh)", "A"),
        (r"(?:oa|ow|oe)", "O"),
        (r"(?:oo|ou|ew|ue|ui)", "U"),
        (r"(?:au|aw)", "o"),
        (r"(?:igh|y)", "Y"),
        (r"[ae](?=r)|[iu](?=r)", "e"),
    )
]


@functools.lru_cache(1 << 16)
def ear(word: str) -> str:
    """The key of a word's sound."""
    for pattern, sound in _FIRST:
        word = pattern.sub(sound, word)
    marked = _LONG.sub(lambda found: f"{found[1].upper()}{found[2]}", word)
    for pattern, sound in _SOUNDS:
        marked = pattern.sub(sound, marked)
    for pattern, sound in _VOWELS:
        marked = pattern.sub(sound, marked)
    return marked


@functools.lru_cache(1 << 16)
def skeleton(word: str) -> str:
    """Its consonants, repeated ones once; a first vowel stays."""
    bare = word[:1] + re.sub("[aeiouy]", "", word[1:])
    return re.sub(r"([a-z])\1+", r"\1", bare)


DIALECT = {
    "wun": "one", "da": "the", "dat": "that", "dis": "this", "luv": "love", "u": "you", "ur": "your",
    "r": "are", "yr": "your", "thru": "through", "nite": "night", "tonite": "tonight", "cuz": "because",
    "wid": "with", "ppl": "people", "evah": "ever", "evry": "every", "wat": "what", "wot": "what",
    "skool": "school", "kewl": "cool", "gud": "good", "bezt": "best", "bes": "best", "da bomb": "best",
    "frm": "from", "frum": "from", "onli": "only", "onlee": "only", 
    "gtd": "guaranteed", "amzn": "amazing", "yo": "your", "dem": "them", "dey": "they",
    "azz": "ass", "gr8": "great", "w8": "weight", "str8": "straight", "phat": "fat", "fk": "fuck", "fkn": "fucking", "sht": "shit", "btch": "bitch",
}  # fmt: skip
"""Spellings by ear and clippings too short for a key."""

REAL = frozenset(
    """
    abnormally activities activity addressee adres aggr alize allargs alleging anomalies arch
    areas arrays arrs assess author authors backend backnode baking bark barn batching bbax
    bboxes beach beaches bending berry bert bertie beta blitting blocs blond boc bom boom
    booze bos bounding boxes braclet building button buttons cache cal calibrate callee candl
    capacities carrs carry carton cartons causes ccache cchecks cclass ccode celf cell cens
    center central centrally cerise cext chans charset checkin cheight chengsu chip chips
    chocolat choosing cin circuiting circuits cis clim cline clines clique cloth coded
    coherence col coll coloring colouring comfortably comparer compress compresses compression
    comprise comprises computation computer computers computes computing con conform conforms
    conn conns cons containing content continuing continuity contours controlled controlling
    cook cooks cote count counter counters countries course cout crashed crashes crashing
    crawlie creations creators cultural cumin curl curtain curtains customary cute datas death
    decided deflated delight dens dep deriving descent descents dic die difficulty direc
    discont disk disparity displayed displaying displays distros done dones donor dstruct duck
    ducks dum dyc dye element elements elie ell els employs era errest errs exclude exercises
    exes explaining exports express expresses expresso extremal faith false feathers feq ffilt
    fflush ffoot filed filt finding fitted fitting floating flowe flowers folding foregoing
    forking fragrance framing freed friction gardening gname goldie graded guided handl hare
    heard heat heel heels heirs herm historical historically hoc hole holly honoring hoping
    hopping howl impurity individual insisted international iron irs kurt lace laces lait lamp
    lamps lary laux laws leaf leak legendre leonerd les linen listening listing lit loc lock
    locking locks locs lone loo lora mach maid mail mails male managing mangled mat math
    mathematical mats mawk measurable membar menthos merry met methods mice mieq mik mine mitt
    mods monster monsters monte mout mscales multiples needless neighborhoods neq ness nic nie
    nile nit noet nonn normals notin noting ons orang outlist pac pace packing pady pail
    pairs palette pane panes parfume parking pat patents patt pax peace peach pearl pears peel
    pending pep permutation persists pfeatures pharmacie phases phil pic picky piece pieces
    pil pitches pol poll polyester ppolicy pprint pprof practical praise predicate predicates
    pres presets prevdir prof prominent prominently pull pulse qat qcost radicals redaction
    registry reilly remainder remapping renderers replaying replicas resetting responded
    restacked restride restrided rin roll rolls rounders rrule rstride rstring russel sac sail
    sails sak saturated saturates scalars scent scissors scol scorer scoring scottie scotts
    seal secrets sed seeks sel sens separated seqs serv shaping sharpness shear sheet sheets
    shell shopping shows sic sided sine sing sites siz smoothing sought south ssign ssize
    sstrrepr stacked steal steel stephane stepping sticker stickers stocking stockings stor
    storer storing strange strides succ successors succs surprises surviving swapping symlist
    tail tale taught tcheck tea teams teas technically tel testsuite theses thorough threat
    threw thrust tic tick ticker tie tik tissue toe tol toll tols tot trac traditionally tree
    trie ttips tty ttype tys unic uniq universal unlucky unsellable unstable val vary vog weights wheel
    whiley whit whole wholly wrapped wrapping wraps wreath wright yout zcin zed zext zope
    zstandard
    """.split()
)
"""Words that sound like one of the packs and are not meant for it."""
