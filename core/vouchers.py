"""The codes that members show at a till: made when wanted, or taken from a pool imported ahead."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.db import Connection, transaction
from core.errors import BadInput, Refusal, UnknownReference
from core.posting import Engine
from core.purchases import check_text, find_partner
from core.redeemed import Redemption, Status
from core.rulebook import PartnerTerms, RewardTerms
from core.store import vouchers as store
from laurels.rewards import CodeSource

#: As many codes as one import takes at once.
MOST_CODES = 10_000
_LONGEST = 200
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that a person reads as another
_LENGTH = 10


@dataclass(frozen=True, slots=True)
class BadCode:
    """A line that is no code, or another reward's; lines count from 1."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to: codes that are new, that were known, and the bad lines."""

    added: int
    known: int
    refused: tuple[BadCode, ...] = ()


async def issue(connection: Connection, redemption: Redemption) -> tuple[str, ...] | None:
    """Give a new redemption its codes, one for each piece; returns those that may be shown now.

    None where its pool has too few: out of codes is out of stock. Of a pool a hold shows none,
    so that a cancelled one leaves them as good as new.
    """
    of, wanted = (redemption.holder, redemption.id), redemption.quantity
    now = redemption.requested_at
    if redemption.pooled and redemption.reward is not None:
        shown = redemption.status is Status.COMPLETED
        taken = await store.take(connection, redemption.reward, wanted, of, now, shown=shown)
        if len(taken) < wanted:
            return None
        return tuple(taken) if shown else ()
    codes: list[str] = []
    while len(codes) < wanted:  # again for those that the partner gave out before
        made = {_make() for _ in range(wanted - len(codes))}
        codes += await store.issue(
            connection, redemption.partner, sorted(made), redemption.reward, of, now
        )
    return tuple(sorted(codes))


def _make() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def find_pool(engine: Engine, partner: str, reward: str) -> tuple[PartnerTerms, RewardTerms]:
    """A partner and its reward with a pool of codes. Raises UnknownReference or BadInput."""
    terms = find_partner(engine.rulebook, partner)
    found = terms.rewards.get(reward)
    if found is None:
        raise UnknownReference(f"{terms.name} offers no reward '{reward[:64]}'", "reward")
    if found.reward.codes is not CodeSource.POOL:
        raise BadInput(
            f"the codes of '{found.reward.title}' are generated: declare it with codes=\"pool\"",
            "reward",
        )
    return terms, found


async def import_codes(
    engine: Engine,
    partner: str,
    reward: str,
    codes: Sequence[str],
    now: datetime,
    first_line: int = 1,
) -> Imported:
    """Put codes into a reward's pool; spaces around one don't count. Safe to send again.

    Bad ones are told by their line, counted from `first_line`, and the others go in. Raises
    UnknownReference or BadInput, also where there are more than MOST_CODES.
    """
    terms, found = find_pool(engine, partner, reward)
    if len(codes) > MOST_CODES:
        raise BadInput(f"at most {MOST_CODES} codes at once, not {len(codes)}", "codes")
    good, bad = _read(codes, first_line)
    async with transaction() as connection:
        added = await store.add(connection, terms.id, found.id, list(good), now)
        before = [code for code in good if code not in added]
        others = await store.strangers(connection, terms.id, found.id, before) if before else set()
    bad += [
        BadCode(line, f"'{code}' is a code of another reward already")
        for code in others
        for line in good[code]
    ]
    known = sum(len(lines) for code, lines in good.items() if code not in others) - len(added)
    return Imported(len(added), known, tuple(sorted(bad, key=lambda b: b.line)))


def _read(codes: Iterable[str], first_line: int) -> tuple[dict[str, list[int]], list[BadCode]]:
    """The lines of each code, and what is none."""
    good: dict[str, list[int]] = {}
    bad: list[BadCode] = []
    for line, text in enumerate(codes, first_line):
        code = text.strip()
        try:
            check_text(code, "a code", _LONGEST, least=1)
            if not code.isprintable():
                raise BadInput("a code holds a character that can't be read")
        except Refusal as refusal:
            bad.append(BadCode(line, refusal.message))
            continue
        good.setdefault(code, []).append(line)
    return good, bad
