"""A database's rows become a log by the queries of a mapping."""

import sqlite3

import pytest

from ingestion.check import findings
from ingestion.database import read_queries
from ingestion.mapping import read_mapping
from ingestion.read import read_log
from mdp.errors import BadInput
from scripts.cli import main
from tests.serving.postgresql import binaries, running

MAPPING = '''
[log]
default_timezone = "Europe/Berlin"
currency = "EUR"

[queries]
customers = "SELECT id, since FROM customers"
orders = """
SELECT o.customer, l.sku, l.line, o.paid_at, l.amount, o.no
FROM orders o JOIN lines l ON l.no = o.no
WHERE o.state LIKE 'p%' AND '10:00' = '10:00'
"""

[[rows]]
table = "users"
where = { query = "customers" }
user_id = "id"
signed_up_at = { from = "since", timezone = "Europe/Berlin" }

[[rows]]
table = "events"
where = { query = "orders" }
user_id = "customer"
item_id = "sku"
event = { value = "purchase" }
at = { from = "paid_at", timezone = "Europe/Berlin" }
value = "amount"
event_id = { join = ["no", "line"] }
'''
TABLES = """
CREATE TABLE customers (id INTEGER, since TIMESTAMP);
CREATE TABLE orders (no INTEGER, customer INTEGER, paid_at TIMESTAMP, state VARCHAR(8));
CREATE TABLE lines (no INTEGER, line INTEGER, sku VARCHAR(8), amount NUMERIC(8, 2));
INSERT INTO customers VALUES (7, '2026-01-01 00:00:00'), (8, '2026-01-02 00:00:00');
INSERT INTO orders VALUES (1, 7, '2026-03-01 10:00:00', 'paid');
INSERT INTO orders VALUES (2, 8, '2026-03-02 10:00:00', 'open');
INSERT INTO lines VALUES (1, 1, 'a', 12.50), (1, 2, 'b', 3), (2, 1, 'a', 1);
"""


def _imported(tmp_path, url):
    (tmp_path / "shop.toml").write_text(MAPPING)
    words = ["import", str(tmp_path / "shop.toml"), url, "--out", str(tmp_path / "log")]
    assert main(words) == 0
    return read_log(tmp_path / "log")


def _is_the_shop(log):
    assert findings(log) == []
    assert log.tables["users"]["user_id"].tolist() == ["7", "8"]
    events = log.tables["events"]
    assert events[["user_id", "item_id", "value", "event_id"]].to_numpy().tolist() == [
        ["7", "a", 12.5, "1-1"],
        ["7", "b", 3.0, "1-2"],
    ]
    assert events["at"].astype(str).tolist() == ["2026-03-01 09:00:00+00:00"] * 2


def test_a_sqlite_file(tmp_path, capsys):
    with sqlite3.connect(tmp_path / "shop.sqlite") as shop:
        shop.executescript(TABLES)
    shop.close()
    _is_the_shop(_imported(tmp_path, f"sqlite:///{tmp_path / 'shop.sqlite'}"))
    assert "the database: 4 rows" in capsys.readouterr().out


def test_a_sqlite_file_is_neither_changed_nor_made(tmp_path):
    with sqlite3.connect(tmp_path / "shop #1.sqlite") as shop:
        shop.executescript(TABLES)
    shop.close()
    url = f"sqlite:///{tmp_path / 'shop #1.sqlite'}"
    for query in (
        "DROP TABLE lines",
        "DELETE FROM lines",
        "INSERT INTO orders VALUES (9, 9, 9, 9)",
    ):
        with pytest.raises(BadInput, match="readonly"):
            read_queries(url, {"x": query})
    assert len(read_queries(url, {"x": "SELECT * FROM lines"})[0]) == 3
    with pytest.raises(BadInput, match="unable to open"):
        read_queries(f"sqlite:///{tmp_path / 'none.sqlite'}", {"x": "SELECT 1"})
    assert [file.name for file in tmp_path.iterdir()] == ["shop #1.sqlite"]


@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed")
def test_a_postgresql_database(tmp_path):
    with running() as cluster:
        url = cluster.database()
        cluster.execute("CREATE ROLE reader LOGIN")
        import psycopg

        with psycopg.connect(url) as shop:
            shop.execute(TABLES)
            shop.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        reader = url.replace("user=postgres", "user=reader")
        _is_the_shop(_imported(tmp_path, reader))
        for query in ("DROP TABLE lines", "INSERT INTO lines VALUES (1, 1, 'c', 1) RETURNING no"):
            with pytest.raises(BadInput, match=r"can't answer the query 'x'.*read-only"):
                read_queries(url, {"x": query})
        with pytest.raises(BadInput, match=r"can't answer the query 'x'.*permission denied"):
            read_queries(reader, {"x": "SELECT * FROM pg_authid"})


@pytest.mark.parametrize(
    ("url", "queries", "message"),
    [
        ("sqlite:///{}/no/shop", {"x": "SELECT 1"}, r"sqlite.*can't answer|can't be opened"),
        ("sqlite://", {}, r"no \[queries\]"),
        ("sqlite://", {"x": "SELECT * FROM nowhere"}, "can't answer the query 'x': no such table"),
        ("sqlite://", {"x": "CREATE TABLE t (a)"}, "'x' gives no rows"),
        ("sqlite://", {"x": "SELECT 1 AS a, 2 AS a"}, "column 'a' too many"),
        ("sqlite://", {"x": "SELECT 1 AS query"}, "column 'query' too many"),
        ("sqlite://", {"x": "SELECT :name"}, "can't answer the query 'x'.*name"),
        (
            "nosql://me:secret@host/x",
            {"x": "SELECT 1"},
            r"nosql://me:\*\*\*@host/x can't be opened",
        ),
        ("mysql+nodriver://h/x", {"x": "SELECT 1"}, "can't be opened"),
        ("mysql+pymysql://h/x", {"x": "SELECT 1"}, "needs the driver pymysql: pip install"),
        ("postgresql+psycopg:///x?host=/nowhere", {"x": "SELECT 1"}, "can't be opened: .*/nowhere"),
    ],
)
def test_what_cannot_be_read_is_said_without_a_password(tmp_path, url, queries, message):
    with pytest.raises(BadInput, match=message) as caught:
        read_queries(url.format(tmp_path), queries)
    assert "secret" not in str(caught.value)


def test_queries_are_names_and_texts():
    with pytest.raises(BadInput, match=r"\[queries\] holds"):
        read_mapping(MAPPING.replace('"SELECT id, since FROM customers"', "3"), "shop.toml")
