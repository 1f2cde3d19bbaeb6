"""What a user can type or set stands in the docs, and what the docs link to is there."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ingestion.schema import TABLES
from scripts.cli import COMMANDS
from serving.app import create_app
from serving.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CONCEPTS = (ROOT / "docs" / "concepts.md").read_text()
TEXT = "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_is_documented(name):
    assert re.search(rf"pushwise {name}\b", TEXT)


def test_every_route_is_documented(tmp_path):
    page = (ROOT / "docs" / "production.md").read_text()
    settings = read_settings(store=f"sqlite:///{tmp_path / 'store.sqlite'}", log_level="error")
    with TestClient(create_app(settings)) as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert len(paths) > 15
    for path, methods in paths.items():
        plain = re.sub(r"\{(decision_id|user_id)\}", "{id}", path)
        for method in methods:
            assert f"`{method.upper()} {plain}`" in page


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
