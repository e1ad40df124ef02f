"""Surveys: what is taken, and by which word each fault is named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from laurels import DeclarationError, Partner, Survey, SurveyKind, hookimpl
from laurels.durations import Duration
from laurels.plugin.loading import load
from laurels.plugin.refusal import RefusalError


def survey(**more: Any) -> Survey:
    """One that is right, but for what is given."""
    return Survey(**{"code": "stay", "title": "Your stay", "question": "How was it?", **more})


def test_what_is_said_by_nobody() -> None:
    plain = survey()
    assert (plain.kind, plain.after, plain.comment, plain.page) == (
        SurveyKind.NPS,
        "purchase",
        True,
        "",
    )
    assert (plain.waits, plain.between, plain.length) == (
        Duration(1, "h"), Duration(90, "D"), Duration(14, "D"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"code": "a b"}, "survey"),
        ({"title": " "}, "title"),
        ({"question": ""}, "question"),
        ({"kind": 1}, "kind"),
        ({"after": "a b"}, "after"),
        ({"after": "segment:vip"}, "after"),
        ({"after": "survey-answered"}, "after"),
        ({"wait": 1}, "wait"),
        ({"wait": "soon"}, "wait"),
        ({"at_most": "0D"}, "at_most"),
        ({"lasts": "14"}, "lasts"),
        ({"lasts": "1M_D"}, "lasts"),
        ({"page": "http://x.example"}, "page"),
        ({"page": "https://x.example#a"}, "page"),
        ({"kind": SurveyKind.TEXT, "comment": False}, "comment"),
    ],
)
def test_each_fault_is_named(more: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        survey(**more)


@pytest.mark.parametrize(
    ("kind", "takes", "unhappy", "glad"),
    [
        (SurveyKind.NPS, range(11), range(7), (9, 10)),
        (SurveyKind.CSAT, range(1, 6), (1, 2), (5,)),
    ],
)
def test_what_a_score_says(kind: SurveyKind, takes: Any, unhappy: Any, glad: Any) -> None:
    tried = range(-1, 13)
    assert [n for n in tried if kind.takes(n)] == list(takes)
    assert not kind.takes(None)
    assert [n for n in takes if kind.is_detractor(n)] == list(unhappy)
    assert [n for n in takes if kind.is_promoter(n)] == list(glad)


def test_words_have_no_score() -> None:
    kind = SurveyKind.TEXT
    assert kind.takes(None)
    assert not kind.takes(1)
    assert not kind.is_detractor(None)
    assert not kind.is_promoter(None)


def test_a_plugin_declares_each_once() -> None:
    def plugin(*surveys: object) -> SimpleNamespace:
        return SimpleNamespace(
            laurels_partner=hookimpl(lambda: Partner("inn", "The Inn")),
            laurels_surveys=hookimpl(specname="laurels_surveys")(lambda: list(surveys)),
        )

    found = load("inn", plugin(survey(), survey(code="desk")))
    assert [s.code for s in found.surveys] == ["stay", "desk"]
    with pytest.raises(RefusalError, match="declared twice"):
        load("inn", plugin(survey(), survey()))
    with pytest.raises(RefusalError, match="no Survey"):
        load("inn", plugin("stay"))
