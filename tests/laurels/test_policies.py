"""Policies: every text that makes one, every refusal, and the instants that they lead to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from laurels.durations import Duration
from laurels.errors import DeclarationError
from laurels.policies import Day, Expiry, Life, Pending, Policy, Renewal, Returns
from tests.laurels.test_durations import INSTANTS, ZONES, durations

relaxed = settings(deadline=None)
ISTANBUL = "Europe/Istanbul"
BERLIN = "Europe/Berlin"
SAO_PAULO = "America/Sao_Paulo"
TICK = timedelta(microseconds=1)
NO_DURATION = (
    "is no duration: a whole number and h, D, W, M or Y, then perhaps _D (down to the unit's "
    "start) or _U (up to the next unit's start), then perhaps the unit to round to: 12M_UQ"
)
PENDING = "it reads 14D, on 04-01 10-01, or until EVENT within 30D"
EXPIRY = "it reads 12M_U, on 12-31, or sliding 6M on earning spending"
DAYS = "1 to 20 different days are wanted"
NO_DAY = "is no day of the year, such as 12-31"
EARNING, SPENDING, RETURNING = Renewal
MANY = " ".join(f"01-{n:02}" for n in range(1, 22))


def at(text: str) -> datetime:
    """An instant from ISO text."""
    return datetime.fromisoformat(text).astimezone(UTC)


# -- the texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "made", "canonical"),
    [
        ("14D", Pending(after=Duration(14, "D")), "14D"),
        ("14D_U", Pending(after=Duration(14, "D", "U")), "14D_U"),
        ("14D_UM", Pending(after=Duration(14, "D", "U", "M")), "14D_UM"),
        (" 14D\n", Pending(after=Duration(14, "D")), "14D"),
        ("on 04-01", Pending(days=(Day(4, 1),)), "on 04-01"),
        ("on 10-01 04-01", Pending(days=(Day(4, 1), Day(10, 1))), "on 04-01 10-01"),
        ("on 02-29", Pending(days=(Day(2, 29),)), "on 02-29"),
        (
            "until shipped within 30D",
            Pending(event="shipped", within=Duration(30, "D")),
            "until shipped within 30D",
        ),
        (
            "until on  within 2W_U",
            Pending(event="on", within=Duration(2, "W", "U")),
            "until on within 2W_U",
        ),
    ],
)
def test_reads_what_holds_points_back(text: str, made: Pending, canonical: str) -> None:
    assert Pending.parse(text) == made
    assert str(made) == canonical


@pytest.mark.parametrize(
    ("text", "made", "canonical"),
    [
        ("12M", Expiry(Duration(12, "M")), "12M"),
        ("12M_U", Expiry(Duration(12, "M", "U")), "12M_U"),
        ("12M_UQ", Expiry(Duration(12, "M", "U", "Q")), "12M_UQ"),
        ("12M_UY", Expiry(Duration(12, "M", "U", "Y")), "12M_UY"),
        ("12M_UM", Expiry(Duration(12, "M", "U")), "12M_U"),
        ("on 12-31 06-30", Expiry(days=(Day(6, 30), Day(12, 31))), "on 06-30 12-31"),
        (
            "sliding 6M on earning",
            Expiry(Duration(6, "M"), (), frozenset([EARNING])),
            "sliding 6M on earning",
        ),
        (
            "sliding 6M_U on spending returning earning spending",
            Expiry(Duration(6, "M", "U"), (), frozenset(Renewal)),
            "sliding 6M_U on earning returning spending",
        ),
    ],
)
def test_reads_how_long_points_last(text: str, made: Expiry, canonical: str) -> None:
    assert Expiry.parse(text) == made
    assert str(made) == canonical


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f"'': {PENDING}"),
        (14, f"14: {PENDING}"),
        (None, f"None: {PENDING}"),
        (b"14D", f"b'14D': {PENDING}"),
        ("soon", f"'soon' {NO_DURATION}"),
        ("on", f"'on' {NO_DURATION}"),
        ("0D", "'0D' is no duration: from 1D to 9999D"),
        ("14D 15D", f"'14D 15D': {PENDING}"),
        ("on 04-31-01", f"'04-31-01' {NO_DAY}"),
        ("on 4-1", f"'4-1' {NO_DAY}"),
        ("on 00-10", f"'00-10' {NO_DAY}"),
        ("on 13-01", f"'13-01' {NO_DAY}"),
        ("on 01-32", f"'01-32' {NO_DAY}"),
        ("on 01-00", f"'01-00' {NO_DAY}"),
        ("on 0٣-03", f"'0٣-03' {NO_DAY}"),
        ("on 04-01 04-01", f"'04-01 04-01': {DAYS}"),
        (f"on {MANY}", f"{MANY!r:.60}: {DAYS}"),
        ("until shipped", f"'until shipped': {PENDING}"),
        ("until shipped in 30D", f"'until shipped in 30D': {PENDING}"),
        ("until shipped within", f"'until shipped within': {PENDING}"),
        ("until shipped within 30", f"'30' {NO_DURATION}"),
        (
            "until a/b within 30D",
            "pending 'a/b': a code has ASCII letters, digits, '.', '_', '-' only",
        ),
        (
            f"until {'x' * 65} within 30D",
            f"pending: a code is a text of 1 to 64 characters, not '{'x' * 59}",
        ),
        ("sliding 6M on earning", f"'sliding 6M on earning': {PENDING}"),
    ],
)
def test_refuses_what_holds_nothing_back(text: Any, problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Pending.parse(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f"'': {EXPIRY}"),
        (12, f"12: {EXPIRY}"),
        (None, f"None: {EXPIRY}"),
        ("never", f"'never' {NO_DURATION}"),
        ("on", f"'on' {NO_DURATION}"),
        ("12M 13M", f"'12M 13M': {EXPIRY}"),
        ("on 12/31", f"'12/31' {NO_DAY}"),
        ("on 12-31 12-31", f"'12-31 12-31': {DAYS}"),
        (f"on {MANY}", f"{MANY!r:.60}: {DAYS}"),
        ("sliding", f"'sliding' {NO_DURATION}"),
        ("sliding 6M", f"'sliding 6M': {EXPIRY}"),
        ("sliding 6M on", f"'sliding 6M on': {EXPIRY}"),
        ("sliding 6M earning", f"'sliding 6M earning': {EXPIRY}"),
        ("sliding x on earning", f"'x' {NO_DURATION}"),
        (
            "sliding 6M on earning giving",
            "'giving': what renews points is earning, spending, returning",
        ),
        ("sliding 6M on Earning", "'Earning': what renews points is earning, spending, returning"),
        ("until shipped within 30D", f"'until shipped within 30D': {EXPIRY}"),
    ],
)
def test_refuses_what_is_no_expiry(text: Any, problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Expiry.parse(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"pending": ""}, f"pending: '': {PENDING}"),
        ({"pending": "on 4-1"}, f"pending: '4-1' {NO_DAY}"),
        ({"expires": 5}, f"expires: 5: {EXPIRY}"),
        ({"expires": "x"}, f"expires: 'x' {NO_DURATION}"),
        ({"returns": "x"}, "returns: 'x': it is pending, within-balance, arrears"),
        ({"returns": None}, "returns: None: it is pending, within-balance, arrears"),
        ({"returns": []}, "returns: []: it is pending, within-balance, arrears"),
        ({"grace": "on 12-31"}, f"grace: 'on 12-31' {NO_DURATION}"),
        ({"grace": ""}, f"grace: '' {NO_DURATION}"),
        ({"time_zone": "Mars"}, "'Mars' is no IANA time zone"),
        ({"time_zone": None}, "None is no IANA time zone"),
    ],
)
def test_refuses_a_policy(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Policy.parse(**{"pending": None, "expires": None, **fields})
    assert str(caught.value) == problem


#: Durations that end after they began, whenever that is.
LASTING = durations().filter(lambda d: d.rounding != "D" or not d.to)
DAY_TEXTS = st.lists(
    st.builds("{:02}-{:02}".format, st.integers(1, 12), st.integers(1, 31)),
    min_size=1, max_size=20, unique=True,
).map(" ".join)  # fmt: skip
CODES = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
PENDING_TEXTS = st.one_of(
    LASTING.map(str),
    DAY_TEXTS.map("on {}".format),
    st.builds("until {} within {}".format, CODES, LASTING),
)
EXPIRY_TEXTS = st.one_of(
    LASTING.map(str),
    DAY_TEXTS.map("on {}".format),
    st.builds(
        "sliding {} on {}".format,
        LASTING,
        st.lists(st.sampled_from(Renewal), min_size=1, max_size=5).map(" ".join),
    ),
)


#: Each as short as it may be, and one shorter: rounded down it would end where it began.
SHORTEST = [
    ("25h_DD", "24h_DD"), ("169h_DW", "168h_DW"), ("745h_DM", "744h_DM"), ("2209h_DQ", "2208h_DQ"),
    ("7D_DW", "6D_DW"), ("31D_DM", "30D_DM"), ("92D_DQ", "91D_DQ"), ("366D_DY", "365D_DY"),
    ("5W_DM", "4W_DM"), ("14W_DQ", "13W_DQ"), ("53W_DY", "52W_DY"),
    ("3M_DQ", "2M_DQ"), ("12M_DY", "11M_DY"),
]  # fmt: skip
# Berlin's autumn has the longest day, month and quarter; 2024 the longest first quarter and year.
STARTS = [
    "2025-10-26T00:00+02:00", "2025-10-20T00:00+02:00", "2025-10-01T00:00+02:00",
    "2023-01-01T00:00+01:00", "2024-01-01T00:00+01:00", "2024-07-01T00:00+02:00",
    "2025-06-30T00:00+02:00",
]  # fmt: skip


@pytest.mark.parametrize(("shortest", "shorter"), SHORTEST)
def test_what_is_rounded_down_still_ends_after_it_began(shortest: str, shorter: str) -> None:
    starts = [at(text) for text in STARTS]
    for text, ever_ends_at_once in ((shortest, False), (shorter, True)):
        duration = Duration.parse(text)
        ends = [duration.after(start, BERLIN) for start in starts]
        assert any(e <= s for e, s in zip(ends, starts, strict=True)) is ever_ends_at_once, text
    assert Pending.parse(shortest).after == Expiry.parse(shortest).after
    for parse in (
        Pending.parse,
        Expiry.parse,
        lambda text: Pending.parse(f"until x within {text}"),
        lambda text: Expiry.parse(f"sliding {text} on earning"),
        lambda text: Policy.parse(None, None, grace=text),
    ):
        with pytest.raises(DeclarationError) as caught:
            parse(shorter)
        assert str(caught.value).removeprefix("grace: ") == (
            f"'{shorter}': rounded down to its {shorter[-1]} it may end at once"
        )


@relaxed
@given(INSTANTS, durations(), st.sampled_from(ZONES))
def test_what_is_accepted_ends_after_it_began(
    instant: datetime, duration: Duration, place: str
) -> None:
    try:
        expires = Expiry.parse(str(duration))
    except DeclarationError:
        assert duration.rounding == "D"
        return
    assume(duration.count < 200 or duration.unit in "hD")
    assert expires.expires_at(instant, place) > instant


@relaxed
@given(PENDING_TEXTS)
def test_what_holds_points_back_reads_back(text: str) -> None:
    made = Pending.parse(text)
    assert Pending.parse(str(made)) == made
    assert sorted(str(made).split()) == sorted(text.split())


@relaxed
@given(EXPIRY_TEXTS)
def test_how_long_points_last_reads_back(text: str) -> None:
    made = Expiry.parse(text)
    assert Expiry.parse(str(made)) == made
    assert set(str(made).split()) == set(text.split())


@relaxed
@given(
    st.none() | PENDING_TEXTS,
    st.none() | EXPIRY_TEXTS,
    st.sampled_from(Returns),
    st.none() | LASTING.map(str),
    st.sampled_from(ZONES),
)
def test_a_policy_reads_back(
    pending: str | None, expires: str | None, returns: Returns, grace: str | None, place: str
) -> None:
    policy = Policy.parse(pending, expires, str(returns), grace, place)
    assert Policy.parse(*policy.texts()) == policy
    assert policy.texts()[2:] == (str(returns), grace, place)
    assert [x is None for x in policy.texts()[:2]] == [pending is None, expires is None]


# -- the instants --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "start", "end", "place"),
    [
        # Earned on 6 July 2020, good for twelve months, rounded up: gone on 1 August 2021.
        ("12M_U", "2020-07-06T15:00+03:00", "2021-08-01T00:00+03:00", ISTANBUL),
        ("12M_U", "2020-07-06T15:00+02:00", "2021-08-01T00:00+02:00", BERLIN),
        ("12M_UQ", "2020-07-06T15:00+03:00", "2021-10-01T00:00+03:00", ISTANBUL),
        ("12M_UY", "2020-07-06T15:00+03:00", "2022-01-01T00:00+03:00", ISTANBUL),
        # 31 January and a month: the last day of February, at the same hour.
        ("1M", "2023-01-31T10:00+00:00", "2023-02-28T10:00+00:00", "UTC"),
        ("1M", "2024-01-31T10:00+00:00", "2024-02-29T10:00+00:00", "UTC"),
        ("sliding 1M on earning", "2023-01-31T10:00+03:00", "2023-02-28T10:00+03:00", ISTANBUL),
        # A date means the end of that day: the next midnight.
        ("on 12-31", "2025-03-01T00:00+03:00", "2026-01-01T00:00+03:00", ISTANBUL),
        ("on 12-31", "2025-12-31T23:59+03:00", "2026-01-01T00:00+03:00", ISTANBUL),
        # Strictly after: what is active from that very midnight on lasts a year.
        ("on 12-31", "2026-01-01T00:00+03:00", "2027-01-01T00:00+03:00", ISTANBUL),
        ("on 12-31", "2025-12-31T22:00+00:00", "2027-01-01T00:00+03:00", ISTANBUL),
        ("on 06-30 12-31", "2025-06-30T23:59+00:00", "2025-07-01T00:00+00:00", "UTC"),
        ("on 06-30 12-31", "2025-07-01T00:00+00:00", "2026-01-01T00:00+00:00", "UTC"),
        ("on 01-01 12-31", "2025-12-31T23:59+00:00", "2026-01-01T00:00+00:00", "UTC"),
        # A day that the month doesn't have is its last: 02-29 in a common year ends with the 28th.
        ("on 02-29", "2023-01-15T00:00+00:00", "2023-03-01T00:00+00:00", "UTC"),
        ("on 02-29", "2024-01-15T00:00+00:00", "2024-03-01T00:00+00:00", "UTC"),
        ("on 02-28", "2024-01-15T00:00+00:00", "2024-02-29T00:00+00:00", "UTC"),
        ("on 02-31", "2023-02-28T23:00+00:00", "2023-03-01T00:00+00:00", "UTC"),
        ("on 04-31", "2023-01-15T00:00+00:00", "2023-05-01T00:00+00:00", "UTC"),
        # Clocks that change: the offset is that of the day; a midnight that is skipped is 1:00.
        ("on 03-30", "2025-03-01T12:00+01:00", "2025-03-31T00:00+02:00", BERLIN),
        ("on 10-26", "2025-10-01T12:00+02:00", "2025-10-27T00:00+01:00", BERLIN),
        ("on 11-03", "2018-10-01T12:00-03:00", "2018-11-04T01:00-02:00", SAO_PAULO),
        ("1D", "2025-03-29T02:30+01:00", "2025-03-30T03:30+02:00", BERLIN),
        # Samoa had no 30 December 2011: its end is that of the 29th.
        ("on 12-30", "2011-12-01T12:00-10:00", "2011-12-31T00:00+14:00", "Pacific/Apia"),
    ],
)
def test_points_expire(text: str, start: str, end: str, place: str) -> None:
    expires = Policy.parse(None, text, time_zone=place).expiry(at(start))
    assert expires == at(end)
    assert expires is not None
    assert expires.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "start", "end", "place"),
    [
        ("14D", "2025-03-20T10:00+01:00", "2025-04-03T10:00+02:00", BERLIN),
        ("14D_U", "2025-03-20T10:00+01:00", "2025-04-04T00:00+02:00", BERLIN),
        ("48h", "2025-03-29T10:00+01:00", "2025-03-31T11:00+02:00", BERLIN),
        # A date is its start here, and the next one strictly after.
        ("on 04-01 10-01", "2025-03-31T23:59+03:00", "2025-04-01T00:00+03:00", ISTANBUL),
        ("on 04-01 10-01", "2025-04-01T00:00+03:00", "2025-10-01T00:00+03:00", ISTANBUL),
        ("on 04-01 10-01", "2025-03-31T21:00+00:00", "2025-10-01T00:00+03:00", ISTANBUL),
        ("on 04-01 10-01", "2025-10-01T00:00+03:00", "2026-04-01T00:00+03:00", ISTANBUL),
        ("on 02-29", "2023-01-15T00:00+00:00", "2023-02-28T00:00+00:00", "UTC"),
        ("on 02-29", "2024-01-15T00:00+00:00", "2024-02-29T00:00+00:00", "UTC"),
        ("on 02-29", "2023-02-28T00:00+00:00", "2024-02-29T00:00+00:00", "UTC"),
        ("on 11-04", "2018-10-01T12:00-03:00", "2018-11-04T01:00-02:00", SAO_PAULO),
        ("on 01-01", "2025-12-31T23:30+14:00", "2026-01-01T00:00+14:00", "Pacific/Kiritimati"),
    ],
)
def test_points_become_active(text: str, start: str, end: str, place: str) -> None:
    assert Policy.parse(text, None, time_zone=place).life(at(start)) == (at(end), None, None)


def test_expiry_counts_from_activation() -> None:
    policy = Policy.parse("14D", "1M_U", time_zone=ISTANBUL)
    earned = at("2025-01-20T10:00+03:00")
    assert policy.life(earned) == Life(
        at("2025-02-03T10:00+03:00"), at("2025-04-01T00:00+03:00"), None
    )
    # What is never held back, such as an adjustment, is active at once.
    assert policy.life(earned, held=False) == Life(earned, at("2025-03-01T00:00+03:00"), None)


def test_points_that_wait_for_an_event_know_only_when_they_lapse() -> None:
    policy = Policy.parse("until shipped within 30D", "on 12-31", time_zone=BERLIN)
    earned = at("2025-03-10T10:00+01:00")
    assert policy.life(earned) == Life(None, None, at("2025-04-09T10:00+02:00"))
    assert policy.expiry(at("2025-03-12T10:00+01:00")) == at("2026-01-01T00:00+01:00")
    assert policy.life(earned, held=False) == Life(earned, at("2026-01-01T00:00+01:00"), None)


def test_points_without_terms_are_active_at_once_for_ever() -> None:
    earned = at("2025-03-10T10:00+01:00")
    policy = Policy.parse(None, None)
    assert policy == Policy()
    assert policy.life(earned) == Life(earned, None, None)
    assert policy.graced(earned) is None


def test_grace_counts_from_when_the_points_come_back() -> None:
    policy = Policy.parse(None, "1M", grace="1W_U", time_zone=ISTANBUL)
    assert policy.graced(at("2025-01-01T10:00+03:00")) == at("2025-01-13T00:00+03:00")


# -- the oracle of dates -------------------------------------------------------------------------
