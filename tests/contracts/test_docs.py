"""What a user can type or set stands in the docs, and what the docs link to is there."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ingestion.schema import TABLES
from scripts.cli import COMMANDS, arguments
from serving.access import scope_of
from serving.app import create_app
from serving.middleware import OPEN
from serving.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CONCEPTS = (ROOT / "docs" / "concepts.md").read_text()
BLOCK = re.compile(r"^ *```[a-z]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
TEXT = "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_is_documented(name):
    assert re.search(rf"pushwise {name}\b", TEXT)


def commands_in(text, before=""):
    """Lines of a page or docstring that are to be pasted, without what stands behind them."""
    for line in re.findall(rf"^{before}(?:  |\$ )?(pushwise .*)$", text, re.MULTILINE):
        yield re.split(r" {2,}| #| && | \|\| |; | > ", line)[0]


PASTED = sorted(
    {
        *(
            line
            for page in PAGES
            for block in BLOCK.findall(page.read_text())
            for line in commands_in(block)
        ),
        *(
            line
            for each in COMMANDS
            for line in commands_in(import_module(each.module).__doc__, " {4}")
        ),
    }
)


def test_every_command_that_can_be_pasted_is_one(capsys):
    """Its options exist and what it needs is given; what it names need not be there."""
    wrong = []
    for line in PASTED:
        try:
            words = shlex.split(line)[1:]
            words = words[2:] if words[0] == "--log-key" else words
            fits = [one for one in COMMANDS if f"{' '.join(words)} ".startswith(f"{one.name} ")]
            arguments(fits[0], import_module(fits[0].module), words[len(fits[0].name.split()) :])
        except (SystemExit, IndexError, ValueError):
            wrong.append(line)
    assert len(PASTED) > 100
    assert wrong == []


def tables_of(page):
    """Rows of the page's tables: their first two cells."""
    return re.findall(
        r"^\| ([^|]*) \| ([^|]*) \|", (ROOT / "docs" / page).read_text(), re.MULTILINE
    )


def test_the_table_of_routes_is_that_of_the_server(tmp_path):
    """Each route once, with the scope that it needs, and none that there is not."""
    settings = read_settings(store=f"sqlite:///{tmp_path / 'store.sqlite'}", log_level="error")
    with TestClient(create_app(settings)) as client:
        paths = client.get("/openapi.json").json()["paths"]
    there = {
        f"{method.upper()} {re.sub('decision_id|user_id', 'id', path)}": (
            "none" if path in OPEN else scope_of(method.upper(), path)
        )
        for path, methods in paths.items()
        for method in methods
    }
    assert len(there) > 25
    written: dict[str, str] = {}
    for routes, scopes in tables_of("production.md"):
        names = re.findall(r"`([A-Z]+ /[^`]*)`", routes)
        words = scopes.split(", ")
        written |= dict(zip(names, words * len(names) if len(words) == 1 else words, strict=False))
    assert written == there


def test_the_table_of_commands_has_all_that_open_a_store():
    written = "\n".join(command for command, _ in tables_of("production.md"))
    for command in COMMANDS:
        fields = import_module(command.module).Args.__dataclass_fields__
        if "store" in fields:
            (row,) = re.findall(rf"`pushwise {command.name} .*`", written)
            assert "--store URL" in row


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_documented(name):
    assert f"`PUSHWISE_{name.upper()}`" in (ROOT / "docs" / "production.md").read_text()


@pytest.mark.parametrize("name", TABLES)
def test_every_column_of_the_log_is_documented(name):
    (row,) = re.findall(rf"^\| {name}[^|]*\|(.*)\|$", CONCEPTS, re.MULTILINE)
    named = [
        column.name if column.required else f"[{column.name}]" for column in TABLES[name].columns
    ]
    assert row.strip() == ", ".join(named)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_is_one_short_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
