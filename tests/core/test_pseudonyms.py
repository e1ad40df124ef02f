"""Names of members at partners: one to one, each partner its own, and none can be made up."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from core.db import reading
from core.posting import Engine
from core.pseudonyms import Pseudonyms
from core.rulebook import Rulebook
from tests.support import small_rulebook

_HOLDERS = st.integers(min_value=0, max_value=2**63 - 1)
_ONE, _OTHER = Pseudonyms(b"the grocer's key"), Pseudonyms(b"the cafe's key..")


@given(_HOLDERS)
def test_a_name_leads_back_to_its_holder_and_nowhere_else(holder: int) -> None:
    """At the partner whose name it is; to another it says nothing."""
    name = _ONE.of(holder)
    assert len(name) == 22
    assert set(name) <= set(string.ascii_letters + string.digits + "-_")
    assert _ONE.holder(name) == holder
    assert _OTHER.of(holder) != name
    assert _OTHER.holder(name) is None


@given(
    st.text() | st.binary(min_size=16, max_size=16).map(lambda b: b.hex()[:22]) | _HOLDERS.map(str)
)
def test_a_made_up_name_is_nobodys(name: str) -> None:
    """Nor is a bare number: a partner can't ask by what it should not know."""
    assert _ONE.holder(name) is None


def test_a_name_is_written_in_one_way_only() -> None:
    """The last letter has bits to spare; changing them makes no second name for the same member."""
    name = _ONE.of(7)
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    at = letters.index(name[-1])
    others = [name[:-1] + letter for letter in letters if letter != name[-1]]
    assert any(letters.index(other[-1]) // 16 == at // 16 for other in others)
    assert [_ONE.holder(other) for other in others] == [None] * 63


async def test_the_keys_stay_and_no_two_are_alike(coalition: Rulebook) -> None:
    """Whatever is installed anew, a partner's names for members are what they were."""
    async with reading() as connection:
        rows = await connection.fetch("SELECT partner_id, key FROM pseudonym_key")
    keys = {row["partner_id"]: row["key"] for row in rows}
    assert set(keys) == {p.id for p in coalition.partners.values()}
    assert len(set(keys.values())) == len(keys) > 3
    for partner in coalition.partners.values():
        assert partner.pseudonyms.of(1) == Pseudonyms(keys[partner.id]).of(1)


def test_without_a_stored_key_no_two_makings_agree() -> None:
    """A rulebook made by hand must not give names that anybody could work out."""
    first, second = (Engine(small_rulebook()).rulebook.partners["grocer"] for _ in range(2))
    assert first.pseudonyms.of(1) != second.pseudonyms.of(1)
