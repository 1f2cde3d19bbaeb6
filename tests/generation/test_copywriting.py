"""The network that writes copy: trained in torch, served in NumPy."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from generation.copy.conditions import ANY, PUSH, values_of
from generation.copy.copywriter import STYLES, Brief, Reader
from generation.copy.facts import Facts
from generation.copy.gather import verifier_for
from generation.copy.measured import measured
from generation.copy.network_writer import NetworkWriter, claims_in
from generation.copy.saved import SavedWriter, load_writer, save_writer
from generation.copy.seq2seq import LONGEST
from generation.copy.source import Batch, Source, draft_of
from generation.copy.writing import Checked
from generation.learning.adversarial import Phase, adversarial, drawn
from generation.learning.copy_pairs import Pairs, augmented, example_of
from generation.learning.copy_training import loses, requests_on, split, train_writer
from generation.learning.copywriting import Settings, loss_of, tokens_of, train
from mdp.errors import BadArtifact, BadInput, NotEnoughData

TINY = Settings(width=16, states=16, steps=3, batch=8)
SHOP = [
    Facts(f"i{n}", f"{colour} {thing} {n}", brand, thing, currency="GBP",
          attributes={"colour": colour.lower(), "pieces": str(n)})
    for n, (colour, thing, brand) in enumerate(
        (colour, thing, brand)
        for colour in ("Red", "Dark blue", "Ivory")
        for thing in ("lunch bag", "mug", "bird house", "candle holder")
        for brand in ("Larch", "Fern & Co")
    )
]  # fmt: skip


def example(text, style, reader=None):
    """One of the shop's own texts, title and body parted by `|`."""
    title, body = text.split("|")
    found = example_of(title, body, style, reader)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def pairs():
    own = [example("Look: {item}|It is {price} now.", "house style")]
    return Pairs(SHOP, own)


@pytest.fixture(scope="module")
def net(pairs):
    return train(pairs.vocabulary(np.random.default_rng(0), 300), pairs.draw, TINY)


def test_numpy_writes_what_torch_would(net, pairs):
    drawn_pairs = pairs.draw(np.random.default_rng(5), 6)
    batch = Batch.of([source for source, _ in drawn_pairs])
    tokens = tokens_of(net.vocabulary, [pieces for _, pieces in drawn_pairs]).clip(min=0)
    with torch.no_grad():
        expected = net(batch, torch.as_tensor(tokens)).numpy()
    network = net.arrays()
    state, read, known = network.read(batch)
    for step in range(tokens.shape[1]):
        logits, state = network.step(tokens[:, step], state, read, known, batch)
        np.testing.assert_allclose(logits, expected[:, step], rtol=1e-4, atol=1e-5)


def test_training_twice_gives_the_same_and_another_seed_another(net, pairs):
    again = train(net.vocabulary, pairs.draw, TINY)
    other = train(net.vocabulary, pairs.draw, replace(TINY, seed=1))
    for name, value in net.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(net.token.weight, other.token.weight)


def test_training_lowers_the_loss_on_items_it_has_not_seen(net, pairs):
    later = train(net.vocabulary, pairs.draw, replace(TINY, steps=30, states=32, rate=1e-2))
    unseen = replace(pairs, items=[Facts("x", "Oak tray", "Larch", "tray", currency="GBP")])
    held = unseen.draw(np.random.default_rng(9), 32)
    with torch.no_grad():
        first, last = (
            float(loss_of(each, held, np.random.default_rng(0))) for each in (net, later)
        )
    assert last < first - 1


def test_conditions_choose_the_words():
    """What is known of a reader decides, where texts that they responded to differ by it."""
    told = {
        "Look: {item}|Your move.": Reader(responds=("urgent",)),
        "A joy: {item}|Be kind to yourself.": Reader(responds=("warm",)),
        "Hello, {item}|Shop notes.": Reader(likes=("mug",)),
    }
    own = [example(text, ANY, reader) for text, reader in told.items()]
    mugs = [item for item in SHOP if item.category == "mug"]
    pairs = Pairs(mugs, own, share=1.0)
    settings = Settings(width=32, states=48, steps=80, batch=16, rate=1e-2)
    network = train(pairs.vocabulary(np.random.default_rng(0), 0), pairs.draw, settings).arrays()
    for text, reader in told.items():
        source = Source.of(values_of(mugs[0], Brief(ANY, reader=reader), PUSH))
        (draft,) = network.write([source], np.zeros((1, LONGEST)), 0.0)
        assert draft.text == text.replace("{item}", mugs[0].title).replace("|", "\n")


def test_no_digit_and_no_name_is_in_the_vocabulary(net):
    words = "".join(net.vocabulary)
    assert not any(char.isdigit() for char in words)
    assert {word.strip() for word in net.vocabulary}.isdisjoint({"Larch", "Fern", "Red", "£"})


def test_the_same_draws_give_the_same_texts_alone_and_together(net):
    network = net.arrays()
    sources = [Source.of({"item": item.title, "price": "£3.50"}) for item in SHOP[:7]]
    draws = np.random.default_rng(3).random((7, LONGEST))
    together = network.write(sources, draws)
    alone = [network.write([s], draws[n : n + 1])[0] for n, s in enumerate(sources)]
    assert together == alone
    assert network.write(sources, draws, 0.0) == network.write(sources, draws[::-1], 0.0)


def test_a_field_is_copied_whole_however_wild_the_network(net):
    sources = [Source.of({"item": item.title, "category": item.category}) for item in SHOP]
    drafts = net.arrays().write(sources, np.random.default_rng(3).random((24, LONGEST)), 9.0)
    mentions = [name for draft in drafts if draft.ended for name in draft.mentions]
    assert set(mentions) == {"{item}", "{category}"}


def test_pairs_say_what_the_verifier_finds_right(pairs):
    verifier = verifier_for(SHOP)
    rng = np.random.default_rng(1)
    for _ in range(150):
        item = augmented(SHOP[int(rng.integers(len(SHOP)))], rng)
        one = replace(pairs, items=[item], share=0.0)
        source, pieces = one.draw(rng, 1)[0]
        draft = draft_of(pieces, source)
        assert not [name for name in draft.mentions if name.endswith("?}")]
        # Numbers are drawn anew with each pair, so only names can be compared with the item.
        found = verifier.check_text(draft.text, item, Reader((item.category,), "purchase"))
        assert not [finding for finding in found if finding.rule.startswith("name")]


def test_own_texts_are_taken_with_their_style_and_only_where_they_are_true():
    assert example_of("Only 3 left", "{item}", "urgent") is None
    assert example_of("{hat} for you", "{item}", "plain") is None
    scarce = example("Hurry: {item}|Only a few left.", "urgent")
    plenty = [replace(item, stock=None) for item in SHOP]
    drawn_pairs = Pairs(plenty, [scarce], share=0.5).draw(np.random.default_rng(0), 200)
    texts = [(source, draft_of(pieces, source).text) for source, pieces in drawn_pairs]
    mine = [source for source, text in texts if text.startswith("Hurry")]
    assert 10 < len(mine) < 100
    assert all("stock" in _told(source) for source in mine)


def _told(source):
    from generation.copy.source import FIELDS

    return {FIELDS[field] for field in source.field}


def test_a_shop_without_titles_has_nothing_to_learn_from():
    with pytest.raises(NotEnoughData, match="title"):
        Pairs([Facts("1", " ")])


def test_the_writer_leaves_chinese_to_the_templates_and_is_checked_like_any(net):
    writer = NetworkWriter(net.arrays())
    item = replace(SHOP[0], price=3.5)
    chinese = writer.write(item, Brief("plain", "zh"), np.random.default_rng(0))
    assert (chinese.copywriter, chinese.locale) == ("templates", "zh")
    english = writer.write(item, Brief("plain"), np.random.default_rng(0))
    assert english.copywriter == "seq2seq"
    checked = Checked(writer, verifier_for(SHOP))
    written = checked.write(item, Brief("plain"), np.random.default_rng(0))
    assert written.message is not None
    assert written.message.copywriter == "templates"  # three steps of training are not enough
    assert len(written.refused) >= 3


def test_claims_are_read_off_the_text():
    assert claims_in("Was £3, now £2. Only 3 left.") == ("discount", "scarcity")
    assert claims_in("A mug for you.") == ()


def test_measuring_counts_slots_and_refusals(net):
    requests = requests_on(SHOP, 12, 0)
    raw = measured(NetworkWriter(net.arrays()), requests, verifier_for(SHOP), 0)
    assert raw.texts == 24
    assert raw.pushes == 12
    assert 0 <= raw.right <= raw.slots
    assert raw == measured(NetworkWriter(net.arrays()), requests, verifier_for(SHOP), 0)


def test_items_kept_aside_are_not_learned_from():
    known, aside = split(SHOP, 0)
    assert len(aside) == 2
    assert {item.item_id for item in known}.isdisjoint(item.item_id for item in aside)
    assert split(SHOP[:5], 0) == (SHOP[:5], SHOP[:5])


def test_saved_and_loaded_it_writes_the_same(net, tmp_path):
    saved = SavedWriter(net.arrays(), {"seed": 0})
    save_writer(tmp_path / "w", saved)
    save_writer(tmp_path / "w", saved)  # a network there is replaced
    loaded = load_writer(tmp_path / "w")
    assert loaded.hash
    sources = [Source.of({"item": "Oak tray"})]
    draws = np.random.default_rng(0).random((1, LONGEST))
    assert loaded.network.write(sources, draws) == saved.network.write(sources, draws)


def test_what_was_changed_is_refused(net, tmp_path):
    path = tmp_path / "w"
    save_writer(path, SavedWriter(net.arrays()))
    manifest = json.loads((path / "manifest.json").read_text())
    weights = (path / "weights.safetensors").read_bytes()
    for name, content, said in (
        ("weights.safetensors", weights[:-1], "hash differs"),
        ("weights.safetensors", weights[:-1] + b"\1", "hash differs"),
        ("manifest.json", json.dumps({**manifest, "vocabulary": ["a"]}).encode(), "hash differs"),
        ("manifest.json", json.dumps({**manifest, "schema": "0"}).encode(), "train it again"),
        ("manifest.json", b"{", "not JSON"),
        ("manifest.json", b'{"kind": "rule"}', "holds no copywriter"),
    ):
        before = (path / name).read_bytes()
        (path / name).write_bytes(content)
        with pytest.raises(BadArtifact, match=said):
            load_writer(path)
        (path / name).write_bytes(before)
    assert load_writer(path).network.vocabulary == net.vocabulary


def test_nothing_else_is_overwritten(net, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds no copywriter"):
        save_writer(tmp_path, SavedWriter(net.arrays()))
    with pytest.raises(BadInput, match="is a file"):
        save_writer(tmp_path / "notes.txt", SavedWriter(net.arrays()))


def test_serving_needs_no_torch(net, tmp_path):
    import subprocess

    save_writer(tmp_path / "w", SavedWriter(net.arrays()))
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from generation.copy.saved import load_writer\n"
        "from generation.copy.network_writer import NetworkWriter\n"
        "from generation.copy.facts import Facts\n"
        "from generation.copy.copywriter import Brief\n"
        f"writer = NetworkWriter(load_writer({str(tmp_path / 'w')!r}).network)\n"
        "print(writer.write(Facts('1', 'Mug'), Brief(), np.random.default_rng(0)).copywriter)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "seq2seq"


def test_the_adversarial_phase_moves_a_copy_and_is_the_same_again(net, pairs):
    phase = Phase(rounds=2, warm_up=1, judged=1, batch=4, cuts=1, rate=1e-2)
    before = net.token.weight.detach().clone()
    chances = []
    moved = adversarial(net, pairs.draw, phase, lambda n, of, chance: chances.append(chance))
    assert torch.equal(net.token.weight, before)
    assert not torch.equal(moved.token.weight, before)
    assert torch.equal(adversarial(net, pairs.draw, phase).token.weight, moved.token.weight)
    assert len(chances) == 2
    assert all(0 < chance < 1 for chance in chances)


def test_a_rollout_goes_on_from_what_is_begun(net, pairs):
    batch = Batch.of([source for source, _ in pairs.draw(np.random.default_rng(0), 5)])
    network = net.arrays()
    tokens = drawn(network, batch, np.random.default_rng(1))
    begun = tokens[:, :4]
    onward = drawn(network, batch, np.random.default_rng(2), begun)
    assert (onward[:, :4] == begun).all()
    assert onward.shape != tokens.shape or (onward != tokens).any()


def test_the_gate_refuses_what_is_less_right_or_less_varied(net):
    raw = measured(NetworkWriter(net.arrays()), requests_on(SHOP, 6, 0), verifier_for(SHOP), 0)
    good = replace(raw, slots=1000, right=990, pushes=1000, phrasings=980)
    assert not loses((good, good), (good, replace(good, right=991)))
    assert loses((good, good), (good, replace(good, right=980)))
    assert loses((good, good), (good, replace(good, phrasings=400)))


@pytest.mark.slow
def test_trained_on_a_small_shop_it_is_right_on_items_kept_aside():
    words = np.random.default_rng(0).permutation(
        [
            f"{a}{b}"
            for a in ("ba", "ko", "mi", "tu", "re", "so")
            for b in ("lin", "dor", "pex", "sam")
        ]
    )
    things = ("bag", "mug", "tray", "lamp", "box")
    shop = [
        Facts(f"i{n}", f"{words[n % 24].title()} {words[(7 * n) % 24]} {things[n % 5]}",
              ("Larch", "Fern & Co", "")[n % 3], things[n % 5], currency="GBP",
              attributes={"colour": ("red", "dark blue")[n % 2]})
        for n in range(200)
    ]  # fmt: skip
    trained = train_writer(
        Pairs(shop), Settings(width=64, states=128, steps=450, batch=32, rate=5e-3)
    )
    assert trained.likeliest.slots_right >= 0.98
    assert trained.free.slots_right >= 0.96
    assert trained.free.unique >= 0.9
    writer = NetworkWriter(trained.saved.network)
    checked = Checked(writer, verifier_for(shop))
    rng = np.random.default_rng(0)
    written = [
        checked.write(facts, brief, rng).message for facts, brief in requests_on(shop, 60, 1)
    ]
    assert sum(each is not None and each.copywriter == "seq2seq" for each in written) >= 45
    assert {each.style for each in written if each is not None} >= set(STYLES) - {"personal"}
