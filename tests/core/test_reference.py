"""Installing declarations: two owners of one code are refused before a row is written."""

from __future__ import annotations

import pytest

from core.errors import BadInput
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.models import CurrencyRow, MemberRow, PartnerRow
from core.posting import Engine
from core.programme import CurrencySettings, Programme
from core.store.reference import Declared, install
from laurels import Currency, Partner
from tests.support import NOW

SHARED = Programme(currencies=(CurrencySettings(code="STAR", name="Stars"),))


def brand(plugin: str, code: str) -> Declared:
    """A plugin with one currency."""
    return Declared(plugin, "1", Partner(plugin, plugin, currencies=[Currency(code, "Points")]))


@pytest.mark.parametrize(
    ("brands", "culprit"),
    [
        ([brand("good", "BEAN"), brand("bad", "STAR")], "plugin 'bad' declares STAR"),
        ([brand("good", "BEAN"), brand("bad", "BEAN")], "plugin 'bad' declares BEAN"),
    ],
)
async def test_a_code_has_one_owner(database: str, brands: list[Declared], culprit: str) -> None:
    with pytest.raises(BadInput, match=culprit):
        await install(SHARED, brands, NOW)
    assert await PartnerRow.all().count() == 0
    assert await CurrencyRow.all().count() == 0


async def test_an_install_that_fits_is_booked(database: str) -> None:
    """The negative of the above: what is refused there isn't refused for being a brand."""
    rulebook = await install(SHARED, [brand("good", "BEAN")], NOW)
    assert {c.code for c in rulebook.currencies.values()} == {"STAR", "BEAN"}


async def test_who_an_import_opened_is_claimed_by_enrolling(engine: Engine) -> None:
    """The missing name is filled; a second enrolment changes nothing more."""
    card = MemberRef.make(IdentifierKind.CARD, "5")
    [(holder, _)] = await enrol(engine.ids, [Enrolment([card], claimed=False)], NOW)
    for name in ("山田　太郎", "Somebody Else"):
        assert await enrol(engine.ids, [Enrolment([card], name)], NOW) == [(holder, False)]
    row = await MemberRow.get(holder_id=holder)
    assert (row.claimed, row.name) == (True, "山田　太郎")
