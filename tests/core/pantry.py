"""A coalition whose rules may change while it runs. Holds no test."""

from __future__ import annotations

from functools import partial

from core.posting import Engine
from core.programme import ContractSettings, CurrencySettings, Programme
from core.store.reference import Declared, install
from laurels import Partner, PointsPerVisit
from tests.support import NOW

PROGRAMME = Programme(
    currencies=tuple(CurrencySettings(code=c, name=c) for c in ("STAR", "GOLD")),
    contracts={"grocer": ContractSettings(issues=("STAR",)), "cafe": ContractSettings(issues=())},
)
DECLARED = (
    Declared(
        "grocer", "1", Partner("grocer", "The Grocer"), earn_rules=[PointsPerVisit("STAR", 1)]
    ),
    Declared("cafe", "1", Partner("cafe", "The Café")),
)


async def open_pantry() -> Engine:
    """A grocer that gives a star a visit, and a café that may give nothing."""
    build = partial(install, PROGRAMME, DECLARED)
    return Engine(await build(NOW), build)
