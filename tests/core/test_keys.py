"""Partners' API keys: kept as digests, looked up, rotated, revoked; and secrets that rotate."""

from __future__ import annotations

import hmac
from datetime import timedelta

import pytest

from core.db import reading, transaction
from core.errors import BadInput, NotAllowed, UnknownReference, WrongState
from core.keys import (
    LONGEST_OVERLAP,
    MOST_KEYS,
    MOST_MISSED,
    MOST_REMEMBERED,
    MOST_SECRETS,
    REMEMBERED,
    USE_EVERY,
    ApiKeys,
    listed,
    maker,
)
from core.posting import Engine
from core.signing import DerivedKey, Secrets
from tests.schema.client import statements
from tests.support import NOW, scalar

SECRET = "a secret of the tests, which is long enough"
OTHER = "another secret of the tests, long enough too"
SECRETS = Secrets(SECRET)
CAFE, GROCER = 1, 2
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


@pytest.fixture
async def keys(coalition: object) -> ApiKeys:
    """The keys of a process, on a database with the brands."""
    del coalition
    return ApiKeys(SECRETS)


async def _used_at(key_id: str) -> object:
    return await scalar("SELECT used_at FROM api_key WHERE id = $1", key_id)


async def test_a_key_is_kept_as_a_digest(keys: ApiKeys) -> None:
    """Its secret is nowhere in the database; the digest is keyed."""
    made = await keys.create(GROCER, " Till 1 ", ["b:x", "a:x", "b:x"], "admin:root", NOW)
    prefix, key_id, secret = made.text.split("_")
    assert (prefix, key_id, len(secret)) == ("laurels", made.row.id, 64)
    assert (made.row.title, made.row.scopes) == ("Till 1", ["a:x", "b:x"])
    async with reading() as connection:
        rows = await connection.fetch("SELECT * FROM api_key_secret")
        everything = [*rows, *await connection.fetch("SELECT * FROM api_key")]
    [row] = rows
    derived = DerivedKey.derived(SECRET, b"laurels api keys")
    assert row["digest"] == hmac.digest(derived.secret, secret.encode(), "sha256")
    assert row["digest_key"] == derived.id
    assert secret not in repr(everything)
    assert bytes.fromhex(secret) not in [x for r in everything for x in r.values()]
    # Two keys share nothing.
    other = await keys.create(GROCER, "Till 1", ["a:x"], "admin:root", NOW)
    assert other.row.id != key_id
    assert other.text.split("_")[2] != secret


async def test_a_key_opens_until_it_ends(keys: ApiKeys) -> None:
    """Exclusive; and it tells whose it is."""
    made = await keys.create(CAFE, "Shop", ["a:x"], "admin:root", NOW, expires_at=NOW + DAY)
    found = await keys.find(made.text, NOW + DAY - TICK)
    assert found is not None
    assert (found.row.id, found.row.partner, found.until) == (made.row.id, "cafe", NOW + DAY)
    assert await keys.find(made.text, NOW + DAY) is None
    for wrong in (
        made.text[:-1] + ("0" if made.text[-1] != "0" else "1"),
        made.text.replace(made.row.id, "0" * 16),
        made.text + " ",
        made.text.upper(),
        "laurels",
        "",
    ):
        assert await keys.find(wrong, NOW) is None
    endless = await keys.create(CAFE, "Shop", ["a:x"], "admin:root", NOW)
    found = await keys.find(endless.text, NOW + 1000 * DAY)
    assert found is not None
    assert found.until is None
    await keys.settled()


async def test_one_keys_secret_is_not_anothers(keys: ApiKeys) -> None:
    """Of the same partner, too."""
    one = await keys.create(GROCER, "One", ["a:x"], "admin:root", NOW)
    two = await keys.create(GROCER, "Two", ["b:x"], "admin:root", NOW)
    crossed = f"laurels_{one.row.id}_{two.text.split('_')[2]}"
    assert await keys.find(crossed, NOW) is None
    assert await keys.find(two.text, NOW) is not None
    await keys.settled()


async def test_an_unknown_key_goes_the_way_of_a_wrong_secret(keys: ApiKeys) -> None:
    """The same statements, the same digests worked out: only the database knows."""
    made = await keys.create(GROCER, "Till", ["a:x"], "admin:root", NOW)
    wrong = f"laurels_{made.row.id}_{'0' * 64}"
    unknown = f"laurels_{'0' * 16}_{'0' * 64}"
    counts = []
    for text in (wrong, unknown):
        fresh = ApiKeys(SECRETS)
        with statements() as sent:
            assert await fresh.find(text, NOW) is None
            first = len(sent)
            assert await fresh.find(text, NOW) is None
            counts.append((first, len(sent)))
    assert counts == [(1, 1), (1, 1)]


async def test_rotation_overlaps(keys: ApiKeys) -> None:
    """The old secret goes on until then; again and again, up to a number."""
    first = await keys.create(GROCER, "Till", ["a:x"], "admin:root", NOW)
    second = await keys.rotate(GROCER, first.row.id, NOW + DAY, NOW)
    assert second.row.id == first.row.id
    found = await keys.find(first.text, NOW + DAY - TICK)
    assert found is not None
    assert found.until == NOW + DAY
    assert await keys.find(first.text, NOW + DAY) is None
    found = await keys.find(second.text, NOW + DAY)
    assert found is not None
    assert found.until is None
    # The answer was lost: once more, and what is in use still goes on, no longer than before.
    third = await keys.rotate(GROCER, first.row.id, NOW + 2 * DAY, NOW)
    for text, end in ((first.text, NOW + DAY), (second.text, NOW + 2 * DAY), (third.text, None)):
        found = await ApiKeys(SECRETS).find(text, NOW)
        assert found is not None
        assert found.until == end
    for n in range(2):
        if n < MOST_SECRETS - 3:
            await keys.rotate(GROCER, first.row.id, NOW + 2 * DAY, NOW)
    with pytest.raises(WrongState, match="several"):
        await keys.rotate(GROCER, first.row.id, NOW + 2 * DAY, NOW)
    # At once: nothing before it is left, not even its digest.
    last = await keys.rotate(GROCER, first.row.id, NOW, NOW)
    assert await scalar("SELECT count(*) FROM api_key_secret") == 1
    assert await keys.find(third.text, NOW) is None
    assert await keys.find(last.text, NOW) is not None
    await keys.settled()


async def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_soon(keys: ApiKeys) -> None:
    """Within the time for which a process remembers; the control: it does remember."""
    elsewhere = ApiKeys(SECRETS)
    made = await keys.create(GROCER, "Till", ["a:x"], "admin:root", NOW)
    for process in (keys, elsewhere):
        assert await process.find(made.text, NOW) is not None
        await process.settled()
    row, replayed = await keys.revoke(GROCER, made.row.id, NOW)
    assert (row.revoked_at, replayed) == (NOW, False)
    assert await keys.find(made.text, NOW) is None
    assert await elsewhere.find(made.text, NOW + REMEMBERED - TICK) is not None
    assert await elsewhere.find(made.text, NOW + REMEMBERED) is None
    row, replayed = await keys.revoke(GROCER, made.row.id, NOW + DAY)
    assert (row.revoked_at, replayed) == (NOW, True)
    assert await scalar("SELECT count(*) FROM api_key_secret") == 0
    with pytest.raises(WrongState, match="revoked"):
        await keys.rotate(GROCER, made.row.id, NOW, NOW)
    await elsewhere.settled()


async def test_what_a_revoked_key_made_is_revoked_with_it(keys: ApiKeys) -> None:
    """Also by what it made, also where that one was revoked before; not another partner's."""
    first = await keys.create(GROCER, "First", ["a:x"], "admin:root", NOW)
    child = await keys.create(GROCER, "Child", ["a:x"], maker(first.row.id), NOW)
    grand = await keys.create(GROCER, "Grandchild", ["a:x"], maker(child.row.id), NOW)
    other = await keys.create(GROCER, "Other", ["a:x"], first.row.id, NOW)
    odd = await keys.create(CAFE, "Odd", ["a:x"], maker(first.row.id), NOW)
    for made in (first, child, grand, other, odd):
        assert await keys.find(made.text, NOW) is not None
    await keys.settled()
    row, replayed = await keys.revoke(GROCER, child.row.id, NOW)
    assert (row.id, row.revoked_at, replayed) == (child.row.id, NOW, False)
    assert await keys.find(grand.text, NOW) is None
    assert await keys.find(first.text, NOW) is not None
    row, replayed = await keys.revoke(GROCER, first.row.id, NOW + DAY)
    assert (row.revoked_at, replayed) == (NOW + DAY, False)
    ended = {row.id: row.revoked_at for row in await listed(GROCER) if row.revoked_at}
    assert ended == {first.row.id: NOW + DAY, child.row.id: NOW, grand.row.id: NOW}
    assert await scalar("SELECT count(*) FROM api_key_secret") == 2
    for made in (other, odd):
        assert await keys.find(made.text, NOW) is not None
    await keys.settled()


async def test_a_revoked_key_makes_no_more(keys: ApiKeys) -> None:
    """Whoever still remembers it is told so: what it makes would stay."""
    made = await keys.create(GROCER, "Till", ["a:x"], "admin:root", NOW)
    elsewhere = ApiKeys(SECRETS)
    assert await elsewhere.find(made.text, NOW) is not None
    await elsewhere.settled()
    await keys.revoke(GROCER, made.row.id, NOW)
    assert await elsewhere.find(made.text, NOW) is not None  # the control: it is remembered
    with pytest.raises(NotAllowed, match="revoked"):
        await elsewhere.create(GROCER, "Child", ["a:x"], maker(made.row.id), NOW)
    assert await scalar("SELECT count(*) FROM api_key") == 1
    await elsewhere.settled()


async def test_what_is_remembered_is_read_once(keys: ApiKeys) -> None:
    """In time; and a clock set back forgets."""
    made = await keys.create(GROCER, "Till", ["a:x"], "admin:root", NOW)
    with statements() as sent:
        for _ in range(3):
            assert await keys.find(made.text, NOW) is not None
        await keys.settled()
        read = [s for s in sent if "FROM api_key k" in s]
        assert len(read) == 1
        assert await keys.find(made.text, NOW - TICK) is not None
        assert len([s for s in sent if "FROM api_key k" in s]) == 2
    await keys.settled()


async def test_made_up_keys_drive_no_key_out(keys: ApiKeys) -> None:
    """What strangers make up is remembered apart; and keys are bounded, too."""
    made = await keys.create(GROCER, "Till", ["a:x"], "admin:root", NOW)
    assert await keys.find(made.text, NOW) is not None
    await keys.settled()
    unknown = [f"laurels_{n:016x}_{'0' * 64}" for n in range(MOST_REMEMBERED + 10)]
    for text in unknown:
        assert await keys.find(text, NOW) is None
    with statements() as sent:
        assert await keys.find(made.text, NOW) is not None
        assert await keys.find(unknown[-1], NOW) is None
        assert sent == []
        assert await keys.find(unknown[0], NOW) is None
        assert len(sent) == 1  # the control: of those the first is forgotten
    assert (len(keys._known), len(keys._missed)) == (1, MOST_MISSED)
    async with transaction() as connection:
        await connection.execute(
            "INSERT INTO api_key (id, partner_id, title, scopes, created_by, created_at) "
            "SELECT lpad(to_hex(n), 16, '0'), $1, 'x', '{a:x}', 'x', $2 "
            "FROM generate_series(1, $3) AS n",
            GROCER,
            NOW,
            MOST_REMEMBERED,
        )
    for text in unknown:
        assert await keys.find(text, NOW + REMEMBERED) is None
    assert len(keys._known) == MOST_REMEMBERED
    assert len(keys._missed) <= MOST_MISSED
    await keys.settled()


async def test_the_last_use_is_written_once_a_minute(keys: ApiKeys) -> None:
    """Beside the request, and by one process of several."""
    made = await keys.create(GROCER, "Till", ["a:x"], "admin:root", NOW)
    assert await _used_at(made.row.id) is None
    with statements() as sent:
        for n in range(12):  # every ten seconds
            assert await keys.find(made.text, NOW + n * USE_EVERY / 6) is not None
            await keys.settled()
    assert len([s for s in sent if "SET used_at" in s]) == 2
    assert await _used_at(made.row.id) == NOW + USE_EVERY
    elsewhere = ApiKeys(SECRETS)
    assert await elsewhere.find(made.text, NOW + USE_EVERY + timedelta(seconds=50)) is not None
    await elsewhere.settled()
    assert await _used_at(made.row.id) == NOW + USE_EVERY
    await keys.find(f"laurels_{made.row.id}_{'0' * 64}", NOW + DAY)
    await keys.settled()
    assert await _used_at(made.row.id) == NOW + USE_EVERY


async def test_the_deployments_secret_rotates(keys: ApiKeys) -> None:
    """A key goes on with the secret before, and by its first use needs it no more."""
    used = await keys.create(GROCER, "Used", ["a:x"], "admin:root", NOW)
    unused = await keys.create(GROCER, "Unused", ["a:x"], "admin:root", NOW)
    rotated = ApiKeys(Secrets(OTHER, (SECRET,)))
    for n in range(3):
        assert await rotated.find(used.text, NOW + n * USE_EVERY) is not None
        await rotated.settled()
    fresh = await rotated.create(GROCER, "Fresh", ["a:x"], "admin:root", NOW)
    afterwards = ApiKeys(Secrets(OTHER))
    assert await afterwards.find(used.text, NOW) is not None
    assert await afterwards.find(fresh.text, NOW) is not None
    assert await afterwards.find(unused.text, NOW) is None
    before = ApiKeys(SECRETS)
    assert await before.find(used.text, NOW) is None  # the control: another key made the digest
    assert await before.find(unused.text, NOW) is not None
    for process in (afterwards, before):
        await process.settled()


async def test_another_partners_key(keys: ApiKeys) -> None:
    """Isn't there."""
    made = await keys.create(GROCER, "Till", ["a:x"], "admin:root", NOW)
    with pytest.raises(UnknownReference):
        await keys.rotate(CAFE, made.row.id, NOW, NOW)
    with pytest.raises(UnknownReference):
        await keys.revoke(CAFE, made.row.id, NOW)
    with pytest.raises(UnknownReference):
        await keys.read(CAFE, made.row.id)
    for nonsense in ("", "x", "\0", "0" * 16, "é"):
        with pytest.raises(UnknownReference):
            await keys.revoke(GROCER, nonsense, NOW)
    assert await keys.find(made.text, NOW) is not None
    assert [row.id for row in await listed(GROCER)] == [made.row.id]
    assert await listed(CAFE) == []
    await keys.settled()


async def test_what_makes_no_key(keys: ApiKeys) -> None:
    """Nothing is written."""
    for title, scopes, ends, field in (
        ("", ["a:x"], None, "title"),
        ("  ", ["a:x"], None, "title"),
        ("x" * 101, ["a:x"], None, "title"),
        ("a\0b", ["a:x"], None, "title"),
        ("x", [], None, "scopes"),
        ("x", ["a:x"], NOW, "expiresAt"),
    ):
        with pytest.raises(BadInput) as refused:
            await keys.create(GROCER, title, scopes, "admin:root", NOW, expires_at=ends)
        assert refused.value.path == (field,)
    made = await keys.create(GROCER, "x" * 100, ["a:x"], "admin:root", NOW, expires_at=NOW + TICK)
    for until in (NOW - TICK, NOW + LONGEST_OVERLAP + TICK):
        with pytest.raises(BadInput):
            await keys.rotate(GROCER, made.row.id, until, NOW)
    assert await scalar("SELECT count(*) FROM api_key_secret") == 1


async def test_a_partner_has_a_bounded_number_of_keys(keys: ApiKeys) -> None:
    """Revoked ones don't count."""
    async with transaction() as connection:
        await connection.execute(
            "INSERT INTO api_key (id, partner_id, title, scopes, created_by, created_at) "
            "SELECT lpad(to_hex(n), 16, '0'), $1, 'x', '{a:x}', 'x', $2 "
            "FROM generate_series(1, $3) AS n",
            GROCER,
            NOW,
            MOST_KEYS,
        )
    with pytest.raises(WrongState, match="revoke one"):
        await keys.create(GROCER, "One more", ["a:x"], "admin:root", NOW)
    assert (await keys.create(CAFE, "Another's", ["a:x"], "admin:root", NOW)).text
    await keys.revoke(GROCER, f"{1:016x}", NOW)
    made = await keys.create(GROCER, "One more", ["a:x"], "admin:root", NOW + TICK)
    rows = await listed(GROCER)
    assert (rows[0].id, rows[-1].id, len(rows)) == (made.row.id, f"{1:016x}", MOST_KEYS + 1)


async def test_nobody_may_delete_a_key(engine: Engine) -> None:
    """Who opened what stays known: the application may only revoke."""
    assert await scalar("SELECT has_table_privilege('api_key', 'DELETE')") is False
    assert await scalar("SELECT has_table_privilege('api_key', 'UPDATE')") is True
