"""What the batches on purchases refuse: each with its type and path, and nothing is booked."""

from __future__ import annotations

from typing import Any

import pytest

from schema import purchase_events
from tests.core.shop import dump
from tests.schema.client import Client
from tests.schema.returning import (
    AT,
    CANCELS,
    EDITS,
    FULFILS,
    LATER,
    RETURN,
    TILL,
    bring,
    cancel,
    edit,
    item,
    part,
    results,
    sold,
)

# Each refusal: the operation, the list, the item, the type and the path within the item.
_REFUSALS: list[tuple[str, str, dict[str, Any], str, list[str]]] = [
    (RETURN, "returns", item("", "R-1", LATER, part(1, "1")), "BadInputError", ["externalId"]),
    (RETURN, "returns", item("B", "", LATER, part(1, "1")), "BadInputError", ["purchase"]),
    (RETURN, "returns", item("B", "R-1", LATER), "BadInputError", ["lines"]),
    (
        RETURN, "returns", item("B", "R-1", LATER, part(1, "1"), amount="1.00"),
        "BadInputError", ["lines"],
    ),
    (RETURN, "returns", item("B", "R-1", LATER, part(0, "1")), "BadInputError",
     ["lines", "0", "line"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(3, "1")), "BadInputError",
     ["lines", "0", "line"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1)), "BadInputError",
     ["lines", "0", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, "1", "1.00")), "BadInputError",
     ["lines", "0", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, "x")), "BadInputError",
     ["lines", "0", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, "0")), "BadInputError",
     ["lines", "0", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, amount="1.001")), "BadInputError",
     ["lines", "0", "amount"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(1, amount="-1")), "BadInputError",
     ["lines", "0", "amount"]),
    (RETURN, "returns", item("B", "R-1", LATER, amount="0.00"), "BadInputError", ["amount"]),
    (RETURN, "returns", item("B", "R-1", "2026-11-20T09:00:00Z", part(1, "1")), "BadInputError",
     ["occurredAt"]),
    (RETURN, "returns", item("B", "R-1", "2026-11-23T09:00:00Z", part(1, "1")), "NotAllowedError",
     ["occurredAt"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(2, "1"), part(1, "3.001")), "NotAllowedError",
     ["lines", "1", "quantity"]),
    (RETURN, "returns", item("B", "R-1", LATER, part(2, amount="60.51")), "NotAllowedError",
     ["lines", "0", "amount"]),
    (RETURN, "returns", item("B", "R-1", LATER, amount="100.51"), "NotAllowedError", ["amount"]),
    (RETURN, "returns", item("B-0", "R-0", LATER, part(1, "2")), "IdempotencyConflictError",
     ["externalId"]),
    (RETURN, "returns", item("B", "gone", LATER, part(1, "1")), "WrongStateError", ["purchase"]),
    (CANCELS, "cancels", cancel(""), "BadInputError", ["purchase"]),
    (CANCELS, "cancels", cancel(at="2026-11-20T09:00:00Z"), "BadInputError", ["occurredAt"]),
    (CANCELS, "cancels", cancel("gone", AT), "IdempotencyConflictError", ["purchase"]),
    (EDITS, "edits", edit(1, "1.00"), "BadInputError", ["revision"]),
    (EDITS, "edits", edit(3, "1.00"), "WrongStateError", ["revision"]),
    (EDITS, "edits", edit(2), "BadInputError", ["lines"]),
    (EDITS, "edits", edit(2, "1.00", "-1"), "BadInputError", ["lines", "1", "amount"]),
    (EDITS, "edits", edit(2, "1.00", currency="EUR"), "BadInputError", ["currency"]),
    (EDITS, "edits", edit(2, "1.00", purchase="R-9"), "UnknownReferenceError", ["purchase"]),
    (EDITS, "edits", edit(2, "1.00", purchase="R-0"), "WrongStateError", ["purchase"]),
    (EDITS, "edits", edit(2, "1.00", purchase="gone"), "WrongStateError", ["purchase"]),
    (FULFILS, "fulfilments", {**cancel(), "event": ""}, "BadInputError", ["event"]),
    (FULFILS, "fulfilments", {**cancel(at=""), "event": "x" * 65, "occurredAt": LATER},
     "BadInputError", ["event"]),
]  # fmt: skip


async def test_every_refusal_names_its_field_and_books_nothing(api: Client) -> None:
    """One bad item costs no other of its batch, and the whole table leaves the books as before."""
    await sold(api)
    await sold(api, "R-0", "1")
    await sold(api, "gone", "2")
    await bring(api, TILL, "grocer", item("B-0", "R-0", LATER, part(1, "1")))
    await results(api, TILL, CANCELS, partner="grocer", cancels=[cancel("gone")])
    before = await dump()
    for operation, name, given, kind, path in _REFUSALS:
        [done] = await results(api, TILL, operation, partner="grocer", **{name: [given]})
        assert (done["__typename"], done["path"]) == (kind, [name, "0", *path]), (given, done)
        assert done["message"]
        for partner, wanted in (("cafe", "NotAllowedError"), ("no", "UnknownReferenceError")):
            [done] = await results(api, TILL, operation, partner=partner, **{name: [given]})
            assert (done["__typename"], done["path"]) == (wanted, [name, "0", "partner"])
    assert await dump() == before
    good = item("B", "R-1", LATER, part(2, "1"))
    mixed = [given for operation, _, given, _, _ in _REFUSALS if operation is RETURN]
    answers = await bring(api, TILL, "grocer", mixed[3], good, mixed[4], good)
    assert [(d["__typename"], d.get("path", [None, None])[1]) for d in answers] == [
        ("BadInputError", "0"),
        ("ReturnRecorded", None),
        ("BadInputError", "2"),
        ("ReturnRecorded", None),
    ]
    assert [d["replayed"] for d in answers[1::2]] == [False, True]


async def test_a_batch_beyond_the_limit_is_refused_whole(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchase_events, "MOST_ITEMS", 1)
    for operation, name, given in (
        (RETURN, "returns", item("B", "R-1", LATER, part(1, "1"))),
        (CANCELS, "cancels", cancel()),
        (EDITS, "edits", edit(2, "1.00")),
        (FULFILS, "fulfilments", {**cancel(), "event": "x"}),
    ):
        answer = await api.send(TILL, operation, input={"partner": "grocer", name: [given] * 2})
        assert [*answer["data"].values()] == [None]
        assert answer["errors"][0]["extensions"]["field"] == [name]
