"""What the demo's people do besides shopping, in the books; and what can't be done, and isn't."""

from __future__ import annotations

from datetime import UTC, date, datetime

from app.doing import Doing
from app.pastimes import Seat, Walk
from app.population import population
from core.check import prove
from core.db import reading
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine
from core.rulebook import Rulebook

TOLD = datetime(2026, 5, 1, 20, tzinfo=UTC)
THERE = datetime(2026, 5, 10, 20, tzinfo=UTC)


async def test_who_got_no_place_at_a_walk_stays_at_home(coalition: Rulebook) -> None:
    """Of 27 who register for 25 places two get none; all set out, and 25 earn."""
    engine, people = Engine(coalition), population(27, 1)
    cards = [MemberRef.make(IdentifierKind.CARD, person.card) for person in people]
    enrolled = await enrol(engine.ids, [Enrolment([card]) for card in cards], TOLD)
    holders = {p.card: holder for p, (holder, _) in zip(people, enrolled, strict=True)}
    doing = Doing(engine)
    walk = Walk("walk", "ridge", date(2026, 5, 10))
    await doing.do([walk], holders, TOLD)
    await doing.do([Seat(p, walk.code, arrives=False) for p in people], holders, TOLD)
    await doing.do([Seat(p, walk.code, arrives=True) for p in people], holders, THERE)
    async with reading() as connection:
        came = await connection.fetch(
            "SELECT count(*), count(attended_at), sum(l.active)::bigint FROM registration r "
            "JOIN ledger l USING (holder_id) JOIN currency c ON c.id = l.currency_id "
            "WHERE c.code = 'CAIRN'"
        )
    assert [tuple(row) for row in came] == [(25, 25, 25 * 100)]
    assert await prove() == []
