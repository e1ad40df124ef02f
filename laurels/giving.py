"""What members may give each other: an allowance to give away, and what arrives of it.

Frozen, checked when made. Knows nothing of how a gift is booked, nor of who knows whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from laurels.caps import Cap
from laurels.declarations import Currency, check_mapping, check_points, currency_code
from laurels.errors import DeclarationError, check_code, check_title, shown, within
from laurels.windows import WindowKind

#: As many values as one list has.
MOST_VALUES = 50


@dataclass(frozen=True, slots=True)
class Giving:
    """Members of a partner give each other points of `gives`, which arrive as those of `as_`.

    Where `as_` is None, or the same, the very points arrive, and last no longer than they did: of a
    currency of the partner's own. Else those given are spent, and as many of `as_` are issued by
    the partner. `values` (code to title) is the list of which each gift names one; empty: it names
    none. `each` is the most points of one gift, `per_day` the most that one member gives in a day
    of the partner's. Against back-scratching, `to_one` (`Cap(points=60, per="calendar 1M")`) is the
    most for one and the same colleague, and `back` (`Cap(points=10, per="30D")`) the most for one
    who gave to the giver in that time. `wordless` gifts may go without a message. Colleagues are
    the members of whom the partner has noted the attribute `team`.
    """

    gives: Currency | str
    as_: Currency | str | None = None
    values: Mapping[str, str] = field(default_factory=dict, hash=False)
    each: int | None = None
    per_day: int | None = None
    to_one: Cap | None = None
    back: Cap | None = None
    wordless: bool = False
    team: str = "team"
    #: The codes of what is given and of what arrives.
    out: str = field(init=False, repr=False)
    into: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        out = within("giving: gives", currency_code, self.gives)
        into = out if self.as_ is None else within("giving: as_", currency_code, self.as_)
        if isinstance(self.gives, Currency) and not self.gives.redeemable:
            raise DeclarationError(f"giving: gives: {out} isn't to be spent")
        values = check_mapping("giving: values", self.values, "code to title")
        if len(values) > MOST_VALUES:
            raise DeclarationError(f"giving: values: at most {MOST_VALUES}, not {len(values)}")
        for code, title in values.items():
            check_code("giving: values", code)
            check_title(f"giving: values: {code}", title, 100)
        for name in ("each", "per_day"):
            if getattr(self, name) is not None:
                check_points(f"giving: {name}", getattr(self, name), 1)
        _check_cap("giving: to_one", self.to_one)
        _check_cap("giving: back", self.back, rolling=True)
        if not isinstance(self.wordless, bool):
            raise DeclarationError(f"giving: wordless: yes or no, not {shown(self.wordless)}")
        check_code("giving: team", self.team)
        frozen = {"out": out, "into": into, "values": MappingProxyType(dict(values))}
        for name, value in frozen.items():
            object.__setattr__(self, name, value)


def _check_cap(what: str, cap: object, *, rolling: bool = False) -> None:
    if cap is None:
        return
    if not isinstance(cap, Cap) or cap.points is None or cap.reach is None:
        raise DeclarationError(f"{what}: a Cap of points in a period, not {shown(cap)}")
    if cap.shared or cap.rejects:
        raise DeclarationError(f"{what}: it is shared with no rule, and always all or nothing")
    if rolling and cap.reach.kind is not WindowKind.ROLLING:
        raise DeclarationError(f"{what}: per: a length such as 30D")
