"""The report says first what a log is fit for; its scores fall with what is wrong."""

import json
import re

import pandas as pd
import pytest

from ingestion.check import findings, problems_of
from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.pictures import pictures
from ingestion.quality import Quality, quality
from ingestion.rules import RULES
from ingestion.scores import RULES_OF, overall, scores, verdict
from ingestion.write import write_log
from scripts.cli import main


def test_every_rule_belongs_to_one_dimension():
    named = [rule for rules in RULES_OF.values() for rule in rules]
    assert sorted(named) == sorted(RULES)


def test_a_right_log_scores_full_but_for_days_without_rows(tables):
    log = log_of(tables)
    assert overall(scores(log, problems_of(log))) == dict.fromkeys(
        ["completeness", "consistency", "accuracy", "uniqueness", "timeliness"], 1.0
    )


@pytest.mark.parametrize(
    ("table", "column", "value", "dimension"),
    [
        ("items", "title", "", "completeness"),
        ("events", "item_id", "chair", "consistency"),
        ("events", "at", "soon", "accuracy"),
        ("items", "item_id", "sofa", "uniqueness"),
    ],
)
def test_a_breach_lowers_the_score_of_its_dimension_and_column(
    tables, table, column, value, dimension
):
    tables[table].loc[0, column] = value
    log = log_of(tables)
    by = {(s.dimension, s.table, s.column): s for s in scores(log, problems_of(log))}
    rows = len(tables[table])
    assert by[dimension, table, None].score == pytest.approx(1 - 1 / rows)
    assert by[dimension, table, column].rows == 1


def test_days_without_rows_lower_timeliness(tables):
    tables["events"].loc[2, "at"] = "2026-03-10T10:00:00Z"
    log = log_of(tables)
    of = {s.table: s for s in scores(log, problems_of(log)) if s.dimension == "timeliness"}
    assert (of["events"].rows, of["events"].score) == (7, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("fit", "evaluate", "says"),
    [
        ("yes", "yes", "fit for both fitting and evaluating."),
        ("yes", "no users", "fit for fitting, not for evaluating: no users."),
        ("no sends", "yes", "fit for evaluating, not for fitting: no sends."),
        ("errors", "errors", "fit for neither fitting nor evaluating: errors."),
        ("no sends", "no users", "neither fitting nor evaluating: no sends; and no users."),
    ],
)
def test_the_first_sentence_says_what_the_log_is_fit_for(fit, evaluate, says):
    figures = Quality({}, None, None, 0, 0, None, {}, fit, evaluate)
    assert says in verdict(figures)


def test_the_report_is_a_page_with_pictures_and_the_trend(tables, tmp_path, capsys):
    write_log(tmp_path / "before", log_of(tables).tables, LogMeta())
    tables["items"].loc[0, "title"] = "<script>"
    tables["items"].loc[1, "title"] = ""
    write_log(tmp_path / "now", log_of(tables).tables, LogMeta())
    words = ["check", str(tmp_path / "now"), "--report", str(tmp_path / "report")]
    assert main([*words, "--against", str(tmp_path / "before")]) == 0
    assert capsys.readouterr().out.startswith("This log is fit for neither")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<h1>This log is fit for neither" in page
    assert "<script>" not in page
    assert page.count("<img") == 6
    assert (tmp_path / "report" / "propensities.png").read_bytes().startswith(b"\x89PNG")
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    assert values["scores_before"]["completeness"] == 1
    assert values["scores"]["completeness"] < 1
    assert values["verdict"].startswith("This log")


def test_a_report_made_in_parts_says_whose_pictures_it_shows(tables, tmp_path, monkeypatch):
    users = [tables["users"].assign(user_id=[f"u{n}", f"v{n}"]) for n in range(20)]
    tables["users"] = pd.concat([tables["users"], *users], ignore_index=True)
    tables["events"].loc[0, "at"] = "0001-01-01T00:00:00Z"  # leaves the weeks as they are
    write_log(tmp_path / "log", log_of(tables).tables, LogMeta())
    monkeypatch.setattr("scripts.parts.ROWS", 20)
    assert main(["check", str(tmp_path / "log"), "--report", str(tmp_path / "report")]) == 1
    page = (tmp_path / "report" / "report.html").read_text()
    (users_shown,) = re.findall(r"Of (\d+) of the 42 users", page)
    assert 0 < int(users_shown) < 42


def test_a_log_without_rows_has_no_pictures_and_no_scores():
    empty = {name: pd.DataFrame() for name in ("users", "items", "events")}
    log = log_of(empty)
    assert pictures(log) == {}
    assert scores(log, problems_of(log)) == []
    said = verdict(quality(log, findings(log)))
    assert said.startswith("This log is fit for neither")
    assert said.endswith("kinds of error; what is not there has to be exported, or given its name.")


def test_days_of_the_calendar_are_counted_as_what_they_are():
    rows = {"users": 1200, "reviews": 0, "calendar": 3}
    figures = Quality(rows, None, None, 0, 0, None, {}, "yes", "yes")
    assert figures.sizes == "1,200 users, 3 special days"
