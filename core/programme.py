"""The programme's own terms: what partners share, and what each may do. Read from a settings file.

A file seeds an empty database; from then on the database is the truth. Knows no table.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.containment import OnFaults
from core.errors import BadInput
from laurels.declarations import Currency, Ladder, Measure, Tier
from laurels.durations import zone
from laurels.errors import LaurelsError, check_code, check_title


class _Terms(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CurrencySettings(_Terms):
    """A currency that the programme owns."""

    code: str
    name: str
    symbol: str = ""
    expires: str | None = None
    time_zone: str | None = None
    pending: str | None = None
    returns: str = "arrears"
    grace: str | None = None
    notices: tuple[str, ...] = ()
    redeemable: bool = True
    badge: bool = False

    def declared(self) -> Currency:
        """As a declaration, checked like a partner's. Raises DeclarationError."""
        return Currency(**self.model_dump())


class TierSettings(_Terms):
    """A tier of a shared ladder."""

    code: str
    at: int
    name: str = ""
    benefits: tuple[str, ...] = ()
    never_down: bool = False


class LadderSettings(_Terms):
    """A ladder across brands; `measure` reads `earned:CODE`, `spend:EUR` or `visits`."""

    code: str
    measure: str
    tiers: tuple[TierSettings, ...]
    window: str | None = "12M"
    name: str = ""
    time_zone: str | None = None
    hold: str | None = None
    grace: str | None = None
    soft_landing: bool = False
    notices: tuple[str, ...] = ()

    def declared(self) -> Ladder:
        """As a declaration, checked like a partner's. Raises DeclarationError."""
        tiers = [Tier(**tier.model_dump()) for tier in self.tiers]
        rest = self.model_dump(exclude={"tiers", "measure"})
        return Ladder(measure=Measure.parse(self.measure), tiers=tiers, **rest)


class ContractSettings(_Terms):
    """What one partner may issue, accept and trade in; None leaves it as the plugin asks.

    `on_faults`: while its rules are suspended for faults, its purchases are denied, or the rules of
    the kit's box alone give `base` points.
    """

    issues: tuple[str, ...] | None = None
    accepts: tuple[str, ...] | None = None
    trades_in: tuple[str, ...] | None = None
    late_days: int = Field(default=90, ge=0, le=3650)
    on_faults: OnFaults = OnFaults.DENY

    @property
    def late(self) -> timedelta:
        """How old an event from this partner may be."""
        return timedelta(days=self.late_days)


class AdjustmentLimits(_Terms):
    """How many points of one currency one role may give or take by hand; None: no limit.

    `per_day` is for one caller and one local day of the programme; what is given and what is taken
    both count, so that the one doesn't hide the other.
    """

    each: int | None = Field(default=None, ge=1)
    per_day: int | None = Field(default=None, ge=1)


class AdjustmentSettings(_Terms):
    """What adjustments by hand may be for, and how large. `partner` None: partners make none."""

    reasons: dict[str, str] = {
        "goodwill": "Goodwill",
        "missing-points": "Points that should have been earned",
        "correction": "Correction of a mistake",
        "fraud": "Fraud",
    }
    admin: AdjustmentLimits = AdjustmentLimits()
    partner: AdjustmentLimits | None = None

    def check(self) -> None:
        """Raise DeclarationError where a reason can't be stored or shown."""
        for code, title in self.reasons.items():
            check_code("adjustments.reasons", code)
            check_title(f"adjustments.reasons.{code}", title, 200)


class Programme(_Terms):
    """The coalition's terms. A partner without a contract gets what its plugin asks for."""

    name: str = "Laurels"
    time_zone: str = "UTC"
    currencies: tuple[CurrencySettings, ...] = ()
    ladders: tuple[LadderSettings, ...] = ()
    contracts: dict[str, ContractSettings] = {}
    adjustments: AdjustmentSettings = AdjustmentSettings()

    def contract(self, partner: str) -> ContractSettings:
        """The contract of a partner."""
        return self.contracts.get(partner, ContractSettings())


def read(path: Path) -> Programme:
    """Read a TOML settings file. Raises BadInput naming the file and the field."""
    try:
        return check(Programme.model_validate(tomllib.loads(path.read_text("utf-8"))))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BadInput(f"{path.name}: {error}", "programme") from error


def check(programme: Programme) -> Programme:
    """Return the programme if each of its declarations holds. Raises BadInput."""
    try:
        zone(programme.time_zone)
        for currency in programme.currencies:
            currency.declared()
        for ladder in programme.ladders:
            ladder.declared()
        programme.adjustments.check()
    except LaurelsError as error:
        raise BadInput(str(error), "programme") from error
    return programme
