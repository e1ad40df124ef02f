"""Collections: points once for a set of distinct things, such as all walks of a season.

What was collected is noted of the member, so it can be erased, and it is taken off again when the
activity that it came by is withdrawn.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Sequence

from laurels.activities import ATTENDED, Activity
from laurels.declarations import Currency, check_all, check_points
from laurels.earning import BoxRule, named
from laurels.effects import SET, checked_attribute, collect
from laurels.errors import DeclarationError, check_code, within
from laurels.lasting import unwrapped
from laurels.purchase import Facts, Purchase
from laurels.rules import Award, EarnRule, Effect, Nothing

#: As many things as one collection is of.
MOST_THINGS = 40
#: Under which attributes an activity says what it is of.
MEETUP, TAG = "meetup", "tag-"


def things_of(activity: Activity) -> frozenset[str]:
    """What can be collected by an activity: its meetup's code, and each of its tags."""
    meetup = activity.attributes.get(MEETUP)
    tags = {
        name.removeprefix(TAG)
        for name, value in activity.attributes.items()
        if name.startswith(TAG) and value is True
    }
    return frozenset(tags | ({meetup} if isinstance(meetup, str) else set()))


class Collection(BoxRule):
    """`points` once for all the things of a set: `Collection(BADGE, 1, of=["ridge", "coast"])`.

    A thing is the code of a meetup, or a tag of one, and is collected by attending (`on` says
    another activity that has such attributes). The points come with the one that completes the set;
    what was told late counts from the next one on. What is withdrawn is missing again; points that
    were given for it meanwhile stay. Raises DeclarationError.
    """

    __slots__ = ("of", "on", "points")

    def __init__(
        self,
        currency: Currency | str,
        points: int,
        *,
        of: Sequence[str],
        code: str = "collection",
        title: str = "Points for a collection",
    ) -> None:
        what = named(code)
        self.on = ATTENDED
        self.points = check_points(f"{what}: points", points, 1)
        self.of = tuple(
            check_code(f"{what}: of", thing) for thing in check_all(f"{what}: of", of, str)
        )
        if not 2 <= len(set(self.of)) == len(self.of) <= MOST_THINGS:
            raise DeclarationError(f"{what}: of: from 2 to {MOST_THINGS} things, each once")
        for thing in self.of:
            within(f"{what}: of", checked_attribute, collect(code, thing))
        super().__init__(
            code, title, currency, {"points": points, "of": self.of, "on": ATTENDED},
        )  # fmt: skip

    def evaluate(self, purchase: Purchase, facts: Facts) -> list[Effect]:
        """The points, where this completes the set; else what is missing."""
        things = things_of(purchase) if isinstance(purchase, Activity) else frozenset[str]()
        found = [thing for thing in self.of if thing in things]
        if not found:
            return [Nothing("it isn't one of the collection")]
        if self.complete(facts.attributes):
            return [Nothing("the collection is complete already")]
        # Noted each time: should the first be withdrawn, the second still counts.
        notes: list[Effect] = [collect(self.code, thing) for thing in found]
        missing = [x for x in self.missing(facts.attributes) if x not in found]
        if missing:
            had = len(self.of) - len(missing)
            return [Nothing(f"{had} of {len(self.of)}, missing: {', '.join(missing)}"), *notes]
        return [Award(self.currency, self.points), collect(self.code), *notes]

    def complete(self, noted: Some[str]) -> bool:
        """Whether the points were given, by the names of what is noted of a member."""
        return f"{SET}{self.code}" in noted

    def missing(self, noted: Some[str]) -> list[str]:
        """What isn't collected yet, in the order of its declaration."""
        return [thing for thing in self.of if f"{SET}{self.code}:{thing}" not in noted]


def collection_of(rule: EarnRule) -> Collection | None:
    """The collection that a rule is, where it is one."""
    inner = unwrapped(rule)
    return inner if isinstance(inner, Collection) else None
