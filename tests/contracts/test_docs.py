"""What a user can type or set stands in the docs, and what the docs link to is there."""

import re
from pathlib import Path

import pytest

from scripts.cli import COMMANDS
from serving.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TEXT = "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_is_documented(name):
    assert re.search(rf"pushwise {name}\b", TEXT)


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_documented(name):
    assert f"`PUSHWISE_{name.upper()}`" in (ROOT / "docs" / "production.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_is_one_short_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
