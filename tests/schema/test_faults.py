"""What went wrong with a partner's rules: who is told, and of what."""

from __future__ import annotations

from datetime import timedelta

from core.containment import FAILURES, FIRST_PAUSE, Breakers, Fault
from core.store import faults
from tests.schema.client import Client, statements

ASKED = """query($code: String) { partners(code: $code) {
  code suspendedUntil faults { rule what count firstAt lastAt } } }"""


async def test_faults_are_told_to_admins_and_to_the_partner_itself(api: Client) -> None:
    engine = api.engine
    engine.containment.breakers = Breakers(lambda: 0.0)
    grocer = engine.rulebook.partners["grocer"]
    early, late = api.clock() - timedelta(days=1), api.clock()
    await faults.add([(Fault(grocer.id, "laurels", "raised ValueError"), 2)], early)
    await faults.add([(Fault(grocer.id, "", "took longer than a rule may"), 1)], early)
    await faults.add([(Fault(grocer.id, "laurels", "raised ValueError"), 3)], late)
    for _ in range(FAILURES):
        engine.containment.breakers.failed(grocer.id)
    first, last = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (early, late))
    until = f"{late + timedelta(seconds=FIRST_PAUSE):%Y-%m-%dT%H:%M:%SZ}"
    told = {
        "code": "grocer",
        "suspendedUntil": until,
        "faults": [
            {"rule": "laurels", "what": "raised ValueError", "count": 5,
             "firstAt": first, "lastAt": last},
            {"rule": None, "what": "took longer than a rule may", "count": 1,
             "firstAt": first, "lastAt": first},
        ],
    }  # fmt: skip
    member = api.member(await api.enrol("1"))
    for viewer in ("admin:root", "partner:grocer"):
        assert await api.ask(viewer, ASKED, code="grocer") == [told]
    for viewer in ("partner:cafe", member):
        withheld = {"code": "grocer", "suspendedUntil": None, "faults": None}
        assert await api.ask(viewer, ASKED, code="grocer") == [withheld]
    [other] = await api.ask("admin:root", ASKED, code="cafe")
    assert other == {"code": "cafe", "suspendedUntil": None, "faults": []}


async def test_the_faults_of_all_partners_cost_one_statement(api: Client) -> None:
    with statements() as sent:
        assert len(await api.ask("admin:root", ASKED)) == len(api.engine.rulebook.partners)
    assert len(sent) == 1
