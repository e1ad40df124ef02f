"""Inbound adapters: how a brand turns its own shop's or till's webhooks into commands.

`read` is a pure function of the brand's: a message in, a delivery of plain commands out. The engine
verifies, orders, deduplicates, keeps what comes too early, and books. Knows no database, no HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from laurels.activities import Value, check_attributes
from laurels.declarations import check_distinct
from laurels.durations import Duration
from laurels.errors import DeclarationError, LaurelsError, check_code, shown, storable
from laurels.purchase import LineKind, PurchaseError
from laurels.verifying import Verifier, check_header

LONGEST_NAME = 200
LONGEST_REASON = 500
MOST_COMMANDS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_LARGEST = 2**63 - 1


class DeliveryError(LaurelsError):
    """A message can't be understood: it is refused with these words, and kept to be replayed."""


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook as it came: `headers` that the adapter asks for, in lower case; the raw body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        """The body read as JSON. Raises DeliveryError."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise DeliveryError("the body is no JSON") from None


def instant(text: object) -> datetime:
    """The instant of an ISO 8601 text with its zone. Raises DeliveryError."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise DeliveryError(f"{shown(text)} is no instant such as 2026-11-22T09:30:00+03:00")
    return at


@dataclass(frozen=True, slots=True)
class MemberBy:
    """Who bought, by one identifier. A `reference` is the brand's own and counts within it."""

    email: str = ""
    phone: str = ""
    card: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, "email", "phone", "card", "reference")
        if sum(map(bool, (self.email, self.phone, self.card, self.reference))) != 1:
            raise DeliveryError("member: one of email, phone, card and reference is wanted")


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line as a till sends it: amount in decimal major units, quantity up to three places.

    `discount` is what was taken off before; of the amount `tax` is tax, and `points_paid` was paid
    with points (empty: nothing). `kind` is goods, delivery, gift-card or fee.
    """

    product_type: str
    amount: str
    quantity: str = "1"
    sku: str = ""
    discount: str = ""
    tax: str = ""
    points_paid: str = ""
    kind: str = LineKind.GOODS

    def __post_init__(self) -> None:
        _check_texts(self, "product_type", "amount", "quantity", "sku")
        _check_texts(self, "discount", "tax", "points_paid", "kind")


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """Part of a receipt's line that comes back: a quantity or an amount.

    `line` counts from 1; or it is 0 and the line the only one of this `sku`. While there is none of
    it yet, the return waits: an edit may bring it.
    """

    line: int = 0
    quantity: str = ""
    amount: str = ""
    sku: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, "quantity", "amount", "sku")
        if isinstance(self.line, bool) or not isinstance(self.line, int):
            raise DeliveryError(f"line: a number from 1 on is wanted, not {shown(self.line)}")
        if bool(self.line) == bool(self.sku):
            raise DeliveryError("line: its number from 1 on is wanted, or its sku")


@dataclass(frozen=True, slots=True)
class RecordPurchase:
    """A purchase. One that is recorded already with other content is refused: see EditPurchase."""

    external_id: str
    member: MemberBy
    occurred_at: datetime
    currency: str
    lines: Sequence[SoldLine]
    store: str = ""
    tender: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, "external_id", "currency", "store", "tender")
        _check_instant(self.occurred_at)
        _check_kind("member", self.member, MemberBy)
        _tuple_of(self, "lines", SoldLine)


@dataclass(frozen=True, slots=True)
class EditPurchase:
    """All lines of a purchase as they are now; what differs is booked."""

    purchase: str
    occurred_at: datetime
    currency: str
    lines: Sequence[SoldLine]

    def __post_init__(self) -> None:
        _check_texts(self, "purchase", "currency")
        _check_instant(self.occurred_at)
        _tuple_of(self, "lines", SoldLine)


@dataclass(frozen=True, slots=True)
class RecordReturn:
    """What comes back of a purchase: lines, or an amount of the whole receipt in major units."""

    external_id: str
    purchase: str
    occurred_at: datetime
    lines: Sequence[ReturnedLine] = ()
    amount: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, "external_id", "purchase", "amount")
        _check_instant(self.occurred_at)
        _tuple_of(self, "lines", ReturnedLine)


@dataclass(frozen=True, slots=True)
class CancelPurchase:
    """A whole purchase is undone."""

    purchase: str
    occurred_at: datetime

    def __post_init__(self) -> None:
        _check_texts(self, "purchase")
        _check_instant(self.occurred_at)


@dataclass(frozen=True, slots=True)
class FulfilPurchase:
    """What pending points wait for came to pass: `event` is its name, such as shipped."""

    purchase: str
    event: str
    occurred_at: datetime

    def __post_init__(self) -> None:
        _check_texts(self, "purchase", "event")
        _check_instant(self.occurred_at)


@dataclass(frozen=True, slots=True)
class RecordActivity:
    """What a member did beside buying, in the brand's own word: `type` is review, say."""

    external_id: str
    member: MemberBy
    occurred_at: datetime
    type: str
    attributes: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_texts(self, "external_id", "type")
        _check_instant(self.occurred_at)
        _check_kind("member", self.member, MemberBy)
        if not isinstance(self.attributes, Mapping):
            raise DeliveryError(f"attributes: a mapping is wanted, not {shown(self.attributes)}")
        try:
            check_attributes(self.attributes)
        except PurchaseError as error:
            raise DeliveryError(str(error)) from None


@dataclass(frozen=True, slots=True)
class WithdrawActivity:
    """An activity counts no more: all that it earned is taken back."""

    activity: str
    occurred_at: datetime

    def __post_init__(self) -> None:
        _check_texts(self, "activity")
        _check_instant(self.occurred_at)


@dataclass(frozen=True, slots=True)
class Enrol:
    """A member, by at least one identifier; who is known by one of them gains card and reference.

    An e-mail address or telephone number is kept of who is new alone, and else passed over: who
    adds one to a member could let a stranger into the account.
    """

    name: str = ""
    email: str = ""
    phone: str = ""
    card: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        _check_texts(self, "name", "email", "phone", "card", "reference")
        if not any((self.email, self.phone, self.card, self.reference)):
            raise DeliveryError("enrol: one of email, phone, card and reference is wanted")


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing is to be done, and why, in at most 500 characters: a topic that doesn't matter."""

    because: str

    def __post_init__(self) -> None:
        _check_texts(self, "because")
        if len(self.because) > LONGEST_REASON:
            raise DeliveryError(f"because: a text of at most {LONGEST_REASON} characters is wanted")


Command: TypeAlias = (
    RecordPurchase
    | EditPurchase
    | RecordReturn
    | CancelPurchase
    | FulfilPurchase
    | RecordActivity
    | WithdrawActivity
    | Enrol
    | Ignore
)
_COMMANDS = (
    RecordPurchase,
    EditPurchase,
    RecordReturn,
    CancelPurchase,
    FulfilPurchase,
    RecordActivity,
    WithdrawActivity,
    Enrol,
    Ignore,
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a message says.

    `id` names the delivery: a second one of its name is the same one again. `subject` is the thing
    that it is about, such as an order. `version` orders the deliveries of a subject, a whole number
    or a time; without one they count in the order in which they came. `after` is the version of the
    subject that must have been booked before this one, where the shop tells it: until then it
    waits. Commands are done in their order. `patience` is how long it waits for its member, for its
    purchase and the like: `90D` where guests may enrol so long after they bought.
    """

    id: str
    subject: str
    version: int | datetime | None
    commands: Sequence[Command]
    after: int | datetime | None = None
    patience: str = "7D"

    def __post_init__(self) -> None:
        _check_texts(self, "id", "subject", "patience")
        try:
            Duration.parse(self.patience)
        except LaurelsError as error:
            raise DeliveryError(f"patience: {error}") from None
        for name in ("id", "subject"):
            if not 1 <= len(getattr(self, name)) <= LONGEST_NAME:
                raise DeliveryError(f"{name}: a text of 1 to {LONGEST_NAME} characters is wanted")
        place("version", self.version)
        place("after", self.after)
        _tuple_of(self, "commands", _COMMANDS)
        if not 1 <= len(self.commands) <= MOST_COMMANDS:
            raise DeliveryError(f"commands: 1 to {MOST_COMMANDS} are wanted")


Received: TypeAlias = Delivery | Ignore


def place(what: str, version: object) -> int | None:
    """A version as one number: itself, or microseconds since 1970. Raises DeliveryError."""
    if version is None:
        return None
    if isinstance(version, datetime) and version.tzinfo is not None:
        return (version - _EPOCH) // _TICK
    if isinstance(version, int) and not isinstance(version, bool) and abs(version) <= _LARGEST:
        return version
    raise DeliveryError(f"{what}: a whole number or a time with its zone is wanted")


@dataclass(frozen=True, slots=True)
class Adapter:
    """An end point of the brand's own: `POST /in/<partner>/<code>`.

    `verify` says whether a message is genuine (Hmac, StandardWebhooks). `read` makes a Delivery of
    it, or Ignore: a pure function, asked again whenever the message is replayed. `headers` are
    those that it is handed; no others are kept.
    """

    code: str
    verify: Verifier
    read: Callable[[Message], Received]
    headers: Sequence[str] = ()

    def __post_init__(self) -> None:
        what = f"adapter {check_code('adapter', self.code)}"
        if isinstance(self.verify, type) or not isinstance(self.verify, Verifier):
            raise DeclarationError(f"{what}: verify: it is Hmac(…) or StandardWebhooks(…)")
        if not callable(self.read):
            raise DeclarationError(f"{what}: read: a function is wanted")
        if isinstance(self.headers, str) or not isinstance(self.headers, Sequence):
            raise DeclarationError(f"{what}: headers: a list of names is wanted")
        names = tuple(check_header(what, name) for name in self.headers)
        check_distinct(f"{what}: headers", names)
        object.__setattr__(self, "headers", names)

    def message(self, headers: Mapping[str, str], body: bytes) -> Message:
        """What `read` is handed of a message; header names are in lower case."""
        return Message({name: headers[name] for name in self.headers if name in headers}, body)


def check_received(answer: object) -> Received:
    """What `read` answered. Raises DeclarationError where it is nothing that it may answer."""
    if not isinstance(answer, Delivery | Ignore):
        raise DeclarationError(f"a Delivery or Ignore is wanted, not {type(answer).__name__}")
    return answer


def _check_texts(command: object, *names: str) -> None:
    for name in names:
        text = getattr(command, name)
        if not isinstance(text, str) or not storable(text):
            raise DeliveryError(f"{name}: a text is wanted, not {shown(text)}")


def _check_instant(at: object) -> None:
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise DeliveryError(f"occurred_at: a time with its zone is wanted, not {shown(at)}")


def _check_kind(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise DeliveryError(f"{name}: {kind.__name__} is wanted, not {type(value).__name__}")


def _tuple_of(command: object, name: str, kind: type | tuple[type, ...]) -> None:
    """Make a tuple of what may be any sequence: it is what it was when it was looked at."""
    values: object = getattr(command, name)
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise DeliveryError(f"{name}: a list is wanted, not {type(values).__name__}")
    held = tuple(values)
    for n, value in enumerate(held, 1):
        if not isinstance(value, kind):
            raise DeliveryError(f"{name}: {type(value).__name__} at place {n} is none")
    object.__setattr__(command, name, held)
