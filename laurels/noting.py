"""What an evaluation gathers beside points: vetoes, what is noted of the member, thanks, runs.

Few rules answer so. Part of the evaluator, which knows the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from laurels.effects import Deny, SetAttribute, ThankReferrer, checked_attribute
from laurels.errors import DeclarationError, RuleError, storable
from laurels.evaluation import Noted
from laurels.rules import EarnRule

#: As many things as rules note of a member at one event.
MOST_NOTED = 50


@dataclass(slots=True)
class Notes:
    """What was gathered; `denials` are the rules that deny, with their words."""

    noted: list[Noted] = field(default_factory=list)
    thanks: list[int] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    denials: list[tuple[int, str]] = field(default_factory=list)

    def take(self, rule: EarnRule, place: int, effect: object) -> None:
        """One more. Raises RuleError, naming the rule, where it is no effect at all."""
        if isinstance(effect, SetAttribute):
            try:
                known = checked_attribute(effect)
            except DeclarationError as error:
                raise RuleError(rule.code, f"noted what it may not: {error}") from None
            if len(self.noted) == MOST_NOTED:
                raise RuleError(rule.code, f"noted more than {MOST_NOTED} things at once")
            self.noted.append(Noted(place, known.name, known.value, known.lasts))
        elif isinstance(effect, Deny):
            because: object = effect.because
            if not isinstance(because, str) or not because or not storable(because):
                raise RuleError(rule.code, "denied without a reason that is text")
            self.denials.append((place, because[:500]))
        elif isinstance(effect, ThankReferrer):
            self.thanks.append(place)
        else:
            raise RuleError(rule.code, f"returned {type(effect).__name__}, which is no effect")

    @property
    def told(self) -> tuple[tuple[Noted, ...], tuple[int, ...], tuple[int, ...]]:
        """As an evaluation tells it: noted, thanks, counted."""
        return tuple(self.noted), tuple(self.thanks), tuple(self.counted)

    def stand(self, lost: set[int]) -> None:
        """Of rules whose award didn't stand nothing is noted, and nobody thanked."""
        if lost:
            self.noted = [x for x in self.noted if x.rule not in lost]
            self.thanks = [place for place in self.thanks if place not in lost]

    @property
    def asking(self) -> set[int]:
        """The rules that wanted something."""
        return {*(x.rule for x in self.noted), *self.thanks, *self.counted}

    def denied(self) -> None:
        """Of what the others wanted nothing stands; who denies may note something."""
        deniers = {place for place, _ in self.denials}
        self.noted = [x for x in self.noted if x.rule in deniers]
        self.thanks.clear()
        self.counted.clear()
