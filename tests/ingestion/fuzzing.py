"""A byte fuzzer over all that reads files: seeds of each format, and mutations of them.

`python -m tests.ingestion.fuzzing COUNT [SEED]` runs COUNT mutations of every format.
"""

import gzip
import io
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import fastavro
import numpy as np
import pandas as pd

from ingestion.by_parts import check_log
from ingestion.check import findings
from ingestion.importing import adapt
from ingestion.mapping import mapping_text, read_mapping
from ingestion.online_retail import import_online_retail, read_online_retail
from ingestion.open_bandit import import_open_bandit
from ingestion.parts import log_batches
from ingestion.read import read_log
from ingestion.records import read_records
from mdp.errors import PushwiseError

SEGMENT = read_mapping(mapping_text("segment"), "segment")
TOKENS = [
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"'", b",", b"\n", b"\r", b"{", b"}", b"["),
    *(b"null", b"true", b"NaN", b"-1", b"1e400", b"9" * 400, b"\\u0000", b"\\ud800", b"#", b"="),
    *(b"2026-02-31T25:61:00Z", b"+99:99", b"0001-01-01", b"9999-12-31T23:59:59+14:00", b"\xf0\x9f"),
    *(b"[[rows]]", b"table = 'events'", b"product_id", b"Infinity", b"[" * 2000, b'{"a":' * 500),
]


REFINED = """
[[rows]]
table = "events"
where = { type = "track" }
user_id = { join = ["type", "userId"], prefix = "x-" }
item_id = { value = "a" }
event = { from = "type", words = { track = "view" } }
at = { from = "timestamp", timezone = "Europe/Berlin" }
value = { from = "properties.price", currency = "userId", rates = { u1 = 0.9 } }
"""


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one to six mutations."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 7))):
        at, size = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
        match int(rng.integers(7)):
            case 0 if data:
                data[at % len(data)] = int(rng.integers(256))
            case 1 if data:
                data[at % len(data)] ^= 1 << int(rng.integers(8))
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = TOKENS[int(rng.integers(len(TOKENS)))]
            case 4:
                data[at:at] = data[: size * 4]
            case 5:
                data[at : at + size] = TOKENS[int(rng.integers(len(TOKENS)))]
            case 6 if rng.random() < 0.3:
                del data[at:]
    return bytes(data)


def _table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": ["u1", "u2", "u3"],
            "item_id": ["a", "b", "a"],
            "event": ["view", "cart", "purchase"],
            "at": ["2026-03-01T10:00:00Z", "2026-03-02T10:00:00+01:00", "2026-03-03"],
            "value": [None, "2.5", "1e3"],
            "event_id": ["1", "2", "3"],
            "tags": [["x"], None, ["y", "z"]],
        }
    )


def _parquet() -> bytes:
    frame = _table().assign(at=pd.to_datetime(_table()["at"], utc=True, format="ISO8601"))
    return frame.to_parquet(index=False)


def _lines() -> bytes:
    thing = {"product_id": "p1", "name": "Lamp", "price": 2.5, "quantity": 2}
    track = {"type": "track", "userId": "u1", "timestamp": "2026-03-01T10:00:00.000Z"}
    records = [
        {"type": "identify", "userId": "u1", "context": {"timezone": "Asia/Shanghai"}},
        track | {"event": "Product Viewed", "messageId": "m1", "properties": thing},
        track
        | {"event": "Order Completed", "messageId": "m2", "properties": {"products": [thing]}},
    ]
    return b"\n".join(json.dumps(record).encode() for record in records)


def _avro() -> bytes:
    fields = [{"name": n, "type": ["null", "string"]} for n in ("type", "event", "userId")]
    out = io.BytesIO()
    record = {"type": "track", "event": "Product Viewed", "userId": "u1"}
    fastavro.writer(out, {"type": "record", "name": "t", "fields": fields}, [record] * 3)
    return out.getvalue()


def _retail() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Invoice": ["489434", "C489449"],
            "StockCode": ["85048", "85048"],
            "Description": ["LAMP", "LAMP"],
            "Quantity": [12, -2],
            "InvoiceDate": ["2009-12-01 07:45:00", "2009-12-02 09:00:00"],
            "Price": [6.95, 6.95],
            "Customer ID": [13085, 13085],
            "Country": ["United Kingdom", "EIRE"],
        }
    )


def _sheet() -> bytes:
    out = io.BytesIO()
    _retail().to_excel(out, index=False)
    return out.getvalue()


def _bandit(directory: Path, content: bytes) -> None:
    campaign = directory / "random" / "men"
    campaign.mkdir(parents=True, exist_ok=True)
    (campaign / "men.csv").write_bytes(content)
    (campaign / "item_context.csv").write_text(",item_id,item_feature_0\n0,1,0.5\n1,2,0.7\n")
    import_open_bandit([campaign])


def _log(name: str) -> Callable[[Path, bytes], None]:
    def read(directory: Path, content: bytes) -> None:
        users = "user_id,timezone,signed_up_at\nu1,Europe/Berlin,2026-01-01T00:00:00Z\n"
        (directory / "users.csv").write_text(users)
        (directory / name).write_bytes(content)
        log = read_log(directory)
        in_parts = check_log(log_batches(directory), log.meta, 3)
        assert in_parts.findings == findings(log)

    return read


def _records(ending: str) -> Callable[[Path, bytes], None]:
    def read(directory: Path, content: bytes) -> None:
        file = directory / f"export.{ending}"
        file.write_bytes(content)
        adapt([read_records(file)], SEGMENT)

    return read


def _bought(ending: str) -> Callable[[Path, bytes], None]:
    def read(directory: Path, content: bytes) -> None:
        file = directory / f"retail.{ending}"
        file.write_bytes(content)
        import_online_retail(read_online_retail(file))

    return read


def _mapping(directory: Path, content: bytes) -> None:
    file = directory / "shop.toml"
    file.write_bytes(content)
    mapping = read_mapping(mapping_text(str(file)), "shop.toml")
    frame = pd.DataFrame([json.loads(line) for line in _lines().split(b"\n")], dtype=object)
    adapt([frame], mapping)


READERS: dict[str, tuple[Callable[[], bytes], Callable[[Path, bytes], None]]] = {
    "log's CSV": (lambda: _table().to_csv(index=False).encode(), _log("events.csv")),
    "log's Parquet": (_parquet, _log("events.parquet")),
    "log.json": (
        lambda: (
            b'{"format_version": 1, "currency": "EUR", "default_timezone": "Europe/Berlin",'
            b' "complete_until": "2026-03-01T00:00:00Z", "propensities": "none", "mine": [1]}'
        ),
        _log("log.json"),
    ),
    "CSV": (lambda: _table().to_csv(index=False).encode(), _records("csv")),
    "JSON lines": (_lines, _records("jsonl")),
    "JSON": (lambda: b"[" + _lines().replace(b"\n", b",") + b"]", _records("json")),
    "gzip": (lambda: gzip.compress(_lines(), mtime=0), _records("jsonl.gz")),
    "Parquet": (_parquet, _records("parquet")),
    "Avro": (_avro, _records("avro")),
    "xlsx": (_sheet, _bought("xlsx")),
    "retail CSV": (lambda: _retail().to_csv(index=False).encode(), _bought("csv")),
    "mapping": (lambda: (mapping_text("segment") + REFINED).encode(), _mapping),
    "Open Bandit": (
        lambda: (
            b",timestamp,item_id,position,click,propensity_score,user_feature_0\n"
            b"0,2019-11-24 00:00:00+00:00,1,1,0,0.5,x\n1,2019-11-24 00:01:00+00:00,2,3,1,0.5,y\n"
        ),
        _bandit,
    ),
}
"""Reader → a good file of its format, and what reads such a file in a directory."""


def fuzz(name: str, count: int, seed: int) -> Iterator[tuple[bytes, BaseException]]:
    """Mutated files of a format that a reader neither reads nor refuses by a documented error."""
    make, read = READERS[name]
    good, rng = make(), np.random.default_rng([seed, *name.encode()])
    for _ in range(count):
        content = mutated(good, rng)
        with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                read(Path(directory), content)
            except PushwiseError:
                pass
            except Exception as error:
                yield content, error


def main(count: int, seed: int) -> int:
    """Says for each format what was found; returns how much."""
    found = 0
    for name in READERS:
        begun = time.monotonic()
        bad = list(fuzz(name, count, seed))
        found += len(bad)
        print(f"{name}: {count} files, {len(bad)} crashes, {time.monotonic() - begun:.0f} s")
        for content, error in bad:
            print(f"  {error!r} of {content[:300]!r}")
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0) > 0)
