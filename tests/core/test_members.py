"""Members: normalisation, enrolment that may be sent again, and by many at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.errors import BadInput, IdempotencyConflict, NotAllowed
from core.members import Enrolment, IdentifierKind, MemberRef, Telling, enrol
from core.models import IdentifierRow, MemberRow
from core.posting import Engine
from core.store.ids import Ids
from tests.support import NOW, scalar

EMAIL, PHONE = IdentifierKind.EMAIL, IdentifierKind.PHONE
CARD, REFERENCE = IdentifierKind.CARD, IdentifierKind.REFERENCE


def email(value: str) -> MemberRef:
    return MemberRef.make(EMAIL, value)


def person(*refs: MemberRef, name: str | None = None) -> Enrolment:
    return Enrolment(refs, name, telling=Telling.SURE)


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        (EMAIL, "  Ada@Example.COM ", "ada@example.com"),
        (EMAIL, "a.b+c@sub.example.org", "a.b+c@sub.example.org"),
        (PHONE, "+90 (532) 123-45.67", "+905321234567"),
        (PHONE, "05321234567", "05321234567"),
        (CARD, " 9012 ", "9012"),
        (CARD, "aB-1", "aB-1"),
        (REFERENCE, "Kunde #7", "Kunde #7"),
    ],
)
def test_an_identifier_is_kept_in_one_form(kind: IdentifierKind, given: str, kept: str) -> None:
    assert MemberRef.make(kind, given).value == kept


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (EMAIL, "ada"), (EMAIL, "@example.com"), (EMAIL, "a@b"), (EMAIL, "a b@example.com"),
        (EMAIL, "a@b@example.com"), (EMAIL, "a" * 65 + "@x.com"), (EMAIL, "a@x.com\n.x"),
        (PHONE, "12345"), (PHONE, "+1234567890123456"), (PHONE, "++123456"), (PHONE, "555-CALL"),
        (PHONE, "٠٥٣٢١٢٣٤٥"), (CARD, ""), (CARD, "   "), (CARD, "x" * 321), (CARD, "9\x0012"),
        (CARD, "9\ud80012"), (REFERENCE, "a\nb"),
    ],
)  # fmt: skip
def test_what_is_no_identifier_is_refused_by_its_field(kind: IdentifierKind, given: str) -> None:
    with pytest.raises(BadInput) as refused:
        MemberRef.make(kind, given)
    assert refused.value.path == ("member", kind.name.lower())


def test_only_a_reference_has_a_scope() -> None:
    assert MemberRef.make(REFERENCE, "7", scope=3).key == (4, 3, "7")
    assert MemberRef.make(CARD, "7", scope=3).key == (3, 0, "7")


async def test_enrolling_again_is_the_same_member_and_adds_what_is_new(database: str) -> None:
    ids = Ids()
    first = person(email("ada@example.com"), name="Ada")
    ((ada, fresh),) = await enrol(ids, [first], NOW)
    assert fresh
    assert await enrol(ids, [first], NOW) == [(ada, False)]
    more = person(email("ADA@example.com"), MemberRef.make(CARD, "9012"), name="Somebody")
    assert await enrol(ids, [more], NOW) == [(ada, False)]
    by_card = person(MemberRef.make(CARD, "9012"), MemberRef.make(CARD, "9012"))
    assert await enrol(ids, [by_card], NOW) == [(ada, False)]
    assert await scalar("SELECT count(*) FROM holder") == 1
    assert [m.name for m in await MemberRow.all()] == ["Ada"]
    assert await IdentifierRow.filter(holder_id=ada).count() == 2


async def test_one_batch_may_name_one_person_twice(database: str) -> None:
    both = MemberRef.make(CARD, "1"), MemberRef.make(PHONE, "+905321234567")
    people = [person(both[0]), person(*both), person(both[1]), person(email("b@example.com"))]
    outcome = await enrol(Ids(), people, NOW)
    assert [fresh for _, fresh in outcome] == [True, False, False, True]
    assert len({holder for holder, _ in outcome}) == 2


async def identifiers() -> list[tuple[int, str, int]]:
    """All that are kept: kind, value, holder."""
    rows = await IdentifierRow.all().order_by("kind", "value")
    return [(row.kind, row.value, row.holder_id) for row in rows]


@pytest.mark.parametrize(
    "ref", [email("mallory@example.com"), MemberRef.make(PHONE, "+15550199")], ids=["mail", "phone"]
)
async def test_a_partner_adds_no_address_to_a_member(database: str, ref: MemberRef) -> None:
    """A call is refused whole, by the field; an adapter's is passed over; a card is added."""
    ids, card = Ids(), MemberRef.make(CARD, "9")
    ((ada, _),) = await enrol(ids, [Enrolment([email("ada@example.com")], partner=7)], NOW)
    before = await identifiers()
    till = Enrolment([email("ada@example.com"), card, ref], partner=7)
    with pytest.raises(NotAllowed) as refused:
        await enrol(ids, [Enrolment([MemberRef.make(CARD, "8")], partner=7), till], NOW)
    assert refused.value.path == (1, ref.kind.name.lower())
    assert await identifiers() == before == [(EMAIL, "ada@example.com", ada)]
    adapter = replace(till, telling=Telling.ADAPTER)
    assert await enrol(ids, [adapter], NOW) == [(ada, False)]
    assert await identifiers() == [*before, (CARD, "9", ada)]
    # Nobody is found by what was passed over: it is free for its owner.
    ((owner, new),) = await enrol(ids, [Enrolment([ref], partner=7)], NOW)
    assert (new, owner != ada) == (True, True)
    # The controls: what is the member's already is no addition, and who is sure adds.
    assert await enrol(ids, [Enrolment([card, email("ada@example.com")])], NOW) == [(ada, False)]
    own = email("ada@home.example")
    assert await enrol(ids, [person(card, own)], NOW) == [(ada, False)]
    assert (EMAIL, "ada@home.example", ada) in await identifiers()


@pytest.mark.parametrize("telling", list(Telling))
async def test_a_new_member_keeps_all_that_is_told(database: str, telling: Telling) -> None:
    refs = [email("ada@example.com"), MemberRef.make(PHONE, "+15550100"), MemberRef.make(CARD, "9")]
    ((ada, new),) = await enrol(Ids(), [Enrolment(refs, partner=7, telling=telling)], NOW)
    assert new
    assert await identifiers() == [(int(ref.kind), ref.value, ada) for ref in refs]


async def test_a_reference_counts_within_its_partner(database: str) -> None:
    people = [person(MemberRef.make(REFERENCE, "7", scope)) for scope in (1, 2, 1)]
    holders = [holder for holder, _ in await enrol(Ids(), people, NOW)]
    assert holders[0] == holders[2] != holders[1]


async def test_identifiers_of_two_members_do_not_make_one(database: str) -> None:
    ids = Ids()
    await enrol(ids, [person(email("a@example.com")), person(email("b@example.com"))], NOW)
    both = person(email("a@example.com"), email("b@example.com"))
    with pytest.raises(IdempotencyConflict) as refused:
        await enrol(ids, [person(email("c@example.com")), both], NOW)
    assert refused.value.path == (1, "member")
    assert await scalar("SELECT count(*) FROM holder") == 2, "the whole call is refused"


@pytest.mark.parametrize(
    ("enrolment", "path"),
    [
        (person(), (0, "member")),
        (person(email("a@example.com"), name="x" * 201), (0, "name")),
        (person(email("a@example.com"), name="A\0"), (0, "name")),
        (person(email("a@example.com"), name="\ud800"), (0, "name")),
    ],
)
async def test_bad_people_are_refused(
    database: str, enrolment: Enrolment, path: tuple[int, str]
) -> None:
    with pytest.raises(BadInput) as refused:
        await enrol(Ids(), [enrolment], NOW)
    assert refused.value.path == path


async def test_enrolling_one_email_at_once_makes_one_member(database: str) -> None:
    outcomes = await asyncio.gather(
        *(enrol(Ids(), [person(email("ada@example.com"))], NOW) for _ in range(16))
    )
    answers = [outcome for (outcome,) in outcomes]
    assert len({holder for holder, _ in answers}) == 1
    assert sum(fresh for _, fresh in answers) == 1
    assert await scalar("SELECT count(*) FROM holder") == 1


async def test_enrolling_overlapping_batches_at_once_does_not_deadlock(database: str) -> None:
    people = [person(MemberRef.make(CARD, str(n))) for n in range(40)]
    orders = [people, people[::-1], people[20:] + people[:20]] * 4
    outcomes = await asyncio.gather(*(enrol(Ids(), order, NOW) for order in orders))
    assert sum(fresh for outcome in outcomes for _, fresh in outcome) == 40
    assert await scalar("SELECT count(*) FROM holder") == 40


async def test_two_people_who_meet_in_one_call_at_once_are_one_or_a_conflict(database: str) -> None:
    card, mail = MemberRef.make(CARD, "1"), email("ada@example.com")
    calls = [[person(card)], [person(mail)], [person(card, mail)]] * 3
    outcomes = await asyncio.gather(
        *(enrol(Ids(), people, NOW) for people in calls), return_exceptions=True
    )
    refused = [o for o in outcomes if isinstance(o, BaseException)]
    assert all(isinstance(o, IdempotencyConflict) for o in refused), refused
    known = await IdentifierRow.all()
    assert len(known) == 2
    assert len({row.holder_id for row in known}) == await scalar("SELECT count(*) FROM holder")


async def test_ids_grow_and_are_never_given_twice(database: str) -> None:
    shared = Ids()
    taken = await asyncio.gather(
        *(shared.take(n) for n in (1, 700, 2500, 700, 3)), *(Ids().take(1500) for _ in range(3))
    )
    assert [len(t) for t in taken] == [1, 700, 2500, 700, 3, 1500, 1500, 1500]
    everything = [n for t in taken for n in t]
    assert len(set(everything)) == len(everything)
    assert all(t == sorted(t) for t in taken)


async def test_a_partner_that_enrols_somebody_knows_them(engine: Engine) -> None:
    """Before the first purchase there, and once, however often it enrols."""
    partner = next(iter(engine.rulebook.partners.values())).id
    person = Enrolment([MemberRef.make(IdentifierKind.CARD, "77")], partner=partner)
    [(holder, _)] = await enrol(engine.ids, [person], NOW)
    await enrol(engine.ids, [person], NOW)
    found = await scalar(
        "SELECT array_agg(partner_id || ' ' || purchases) FROM relation WHERE holder_id = $1",
        holder,
    )
    assert found == [f"{partner} 0"]


@pytest.mark.parametrize("telling", [Telling.TILL, Telling.ADAPTER])
async def test_a_partner_gives_a_birthday_to_whom_it_knows_alone(
    engine: Engine, telling: Telling
) -> None:
    """Not to whoever it can name by an address; and nobody gives a second one."""
    ada = [email("ada@example.com")]

    async def give(birthday: int, telling: Telling, partner: int | None) -> int | None:
        given = Enrolment(ada, birthday=birthday, telling=telling, partner=partner)
        await enrol(engine.ids, [given], NOW)
        kept: int | None = await scalar("SELECT birthday FROM member")
        return kept

    [(holder, _)] = await enrol(engine.ids, [Enrolment(ada, partner=7)], NOW)
    assert await give(101, telling, 8) is None
    assert await give(101, telling, None) is None
    assert await scalar("SELECT count(*) FROM relation WHERE holder_id = $1", holder) == 1
    assert await give(423, telling, 7) == 423
    assert await give(424, telling, 7) == 423
    assert await give(424, Telling.SURE, None) == 423
    # The controls: who is sure gives one, and a new member keeps what it is enrolled with.
    new = Enrolment([email("b@example.com")], birthday=102, partner=8, telling=telling)
    [(bob, _)] = await enrol(engine.ids, [new], NOW)
    assert await scalar("SELECT birthday FROM member WHERE holder_id = $1", bob) == 102
    [(cem, _)] = await enrol(engine.ids, [Enrolment([email("c@example.com")])], NOW)
    await enrol(engine.ids, [replace(person(email("c@example.com")), birthday=103)], NOW)
    assert await scalar("SELECT birthday FROM member WHERE holder_id = $1", cem) == 103
