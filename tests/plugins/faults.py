"""Plugins with one fault each, written to disk as an installer leaves them. Holds no test."""

from __future__ import annotations

import textwrap
from importlib.metadata import distributions
from pathlib import Path

from plugins.host import Collected, Installed, Refused, collect

HEAD = "from laurels import *\n"
WHO = """
@hookimpl
def laurels_partner():
    return Partner("NAME", "NAME and Sons", currencies=[Currency("NAME-POINT", "Points")])
"""
RULE = """
class Rule:
    code, title, terms, currency = "own", "A rule of our own", {}, "NAME-POINT"
    def evaluate(self, purchase, facts):
        return None
    def discount(self, checkout):
        return None
"""


def hook(name: str, body: str, before: str = "") -> str:
    """The source of a plugin that says who it is and implements one more hook."""
    return f"{HEAD}{WHO}{before}\n@hookimpl\ndef laurels_{name}():\n    {body}\n"


def rule(change: str) -> str:
    """The source of a plugin whose one earn rule has a fault."""
    return hook("earn_rules", "return [Rule()]", RULE + textwrap.dedent(change))


class Shelf:
    """A folder of installed plugins."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def put(self, name: str, source: str, version: str = "1.0", dist: str = "") -> str:
        """Install a plugin; returns the name of its module."""
        dist = dist or f"shelf-{name}"
        module = dist.replace("-", "_")
        (self.place / f"{module}.py").write_text(source.replace("NAME", name))
        info = self.place / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[laurels.partners]\n{name} = {module}\n")
        return module

    def collect(self, *blocked: str) -> Collected:
        """Collect from this folder alone."""
        found = distributions(path=[str(self.place)])
        return collect(blocked=blocked, entry_points=[e for d in found for e in d.entry_points])


def names(found: tuple[Installed | Refused, ...]) -> list[str]:
    return [plugin.name for plugin in found]


def refused_between_two_good_ones(shelf: Shelf, source: str) -> Refused:
    """Collect the faulty plugin with a neighbour on either side; both must be there after."""
    shelf.put("alpha", HEAD + WHO)
    shelf.put("middle", source, version="4.5")
    shelf.put("omega", HEAD + WHO)
    collected = shelf.collect()
    assert names(collected.installed) == ["alpha", "omega"]
    assert names(collected.refused) == ["middle"]
    assert collected.refused[0].version == "4.5"
    return collected.refused[0]


TWICE = '@hookimpl(specname="laurels_partner")\ndef other():\n    return None\n'
LONG_TERMS = 'Rule.terms = {"text": "x" * 17_000}'
ONE_REWARD = 'Reward("tote", "A tote", {"middle-POINT": 1}'
LADDER = 'Ladder("ranks", visits(), [Tier("low", 0)])'
LADDERS = f"\n@hookimpl\ndef laurels_ladders():\n    return [{LADDER}]\n"
PAY = 'PayWithPoints("middle-POINT", 1, "1 USD")'
EARN, REDEEM = "laurels_earn_rules", "laurels_redeem_rules"
REWARDS, LADDERS_HOOK, PARTNER = "laurels_rewards", "laurels_ladders", "laurels_partner"
TWO_CURRENCIES = HEAD + WHO.replace(
    '[Currency("NAME-POINT", "Points")]', '[Currency("C", "C"), Currency("C", "Again")]'
)

IMPORTS = {
    "missing module": ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at"),
    "raises": ('raise RuntimeError("no disk")', "RuntimeError: no disk"),
    "exits": ('raise SystemExit("goodbye")', "SystemExit: goodbye"),
    "base exception": ("raise GeneratorExit", "GeneratorExit"),
    "syntax": ("def", "SyntaxError"),
    "bad declaration": (HEAD + 'Currency("no code!", "X")', "DeclarationError: currency "),
    "unreadable error": (
        "class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E",
        "E: (its text can't be read)",
    ),
}

HOOKS = {
    "typo": (hook("reward", "return []"), "laurels_reward", "did you mean laurels_rewards?"),
    "unknown": (hook("zzz", "return []"), "laurels_zzz", "there are laurels_partner, "),
    "argument": (
        hook("rewards", "return []").replace("rewards()", "rewards(member)"),
        REWARDS,
        "unknown argument 'member'",
    ),
    "async": (
        hook("rewards", "return []").replace("def laurels_rew", "async def laurels_rew"),
        REWARDS,
        "is async",
    ),
    "awaitable": (
        hook("rewards", "return later()", "async def later(): return []"),
        REWARDS,
        "awaitable",
    ),
    "unmarked": (
        HEAD + WHO + "\ndef laurels_rewards():\n    return []\n",
        REWARDS,
        "isn't marked with @hookimpl",
    ),
    "wrapper": (
        hook("rewards", "return (yield)").replace(
            "@hookimpl\ndef laurels_rew", "@hookimpl(wrapper=True)\ndef laurels_rew"
        ),
        REWARDS,
        "wrapper",
    ),
    "raises": (hook("ladders", "return 1 // 0"), LADDERS_HOOK, "raised ZeroDivisionError: integer"),
    "exits": (hook("ladders", "raise SystemExit(3)"), LADDERS_HOOK, "raised SystemExit: 3"),
    "bad reward": (
        hook("rewards", 'return [Reward("r", "R", {})]'),
        REWARDS,
        "raised DeclarationError: reward r: price",
    ),
    "no partner": (HEAD, PARTNER, "isn't there"),
    "partner of none": (HEAD + "@hookimpl\ndef laurels_partner(): pass\n", PARTNER, "nothing"),
    "partner of text": (
        HEAD + '@hookimpl\ndef laurels_partner(): return "me"\n',
        PARTNER,
        "returned str, where a Partner is wanted",
    ),
    "partner twice": (HEAD + WHO + TWICE, PARTNER, "implemented twice"),
    "two currencies": (TWO_CURRENCIES, PARTNER, "twice"),
    "rules of none": (hook("earn_rules", "return None"), EARN, "returned nothing, where a list"),
    "rules of text": (hook("redeem_rules", 'return "x"'), REDEEM, "returned str, where a list"),
    "rules yielded": (hook("earn_rules", "yield 1"), EARN, "returned generator"),
    "rewards of dict": (hook("rewards", "return [{}]"), REWARDS, "reward 1 is dict, no Reward"),
    "ladders of none": (hook("ladders", "return [None]"), LADDERS_HOOK, "ladder 1 is nothing"),
}

RULES = {
    "no code": (rule("del Rule.code"), EARN, "earn rule 1 (Rule) has no code"),
    "bad code": (rule('Rule.code = "a b"'), EARN, "earn rule 1: code"),
    "no title": (rule('Rule.title = " "'), EARN, "earn rule 'own': title"),
    "terms of list": (rule("Rule.terms = []"), EARN, "terms is a mapping of plain data, not list"),
    "terms of object": (rule("Rule.terms = {'a': {'b': {1}}}"), EARN, "set is no plain data"),
    "terms of float": (rule("Rule.terms = {'rate': 1.5}"), EARN, "write a decimal text"),
    "terms of int keys": (rule("Rule.terms = {1: 2}"), EARN, "a key is a text, not int"),
    "terms with NUL": (rule("Rule.terms = {'a': '\\0'}"), EARN, "without NUL"),
    "terms of big int": (rule("Rule.terms = {'a': 2**63}"), EARN, "64 bits"),
    "terms in a circle": (rule("Rule.terms['a'] = Rule.terms"), EARN, "nested more than 8"),
    "terms too long": (rule(LONG_TERMS), EARN, "more than 16384"),
    "terms raise": (rule("Rule.terms = property(lambda s: 1 // 0)"), EARN, "ZeroDivisionError"),
    "not callable": (rule("Rule.evaluate = 3"), EARN, "evaluate can't be called, it is int"),
    "no evaluate": (rule("del Rule.evaluate"), EARN, "has no evaluate"),
    "async": (rule("async def f(s, p, q): pass\nRule.evaluate = f"), EARN, "evaluate is async"),
    "yields": (rule("def f(s, p, q): yield\nRule.evaluate = f"), EARN, "evaluate yields"),
    "signature": (rule("Rule.evaluate = lambda s: 1"), EARN, "called with (purchase, facts)"),
    "async function": (
        hook("earn_rules", "return [f]", '@earn_rule("f", "F")\nasync def f(p, q): pass'),
        EARN,
        "earn rule 'f': its function is async",
    ),
    "a class": (hook("earn_rules", "return [Rule]", RULE), EARN, "is the class Rule"),
    "a function": (hook("earn_rules", "return [len]"), EARN, "plain function len: make it a rule"),
    # A rule that says more on what becomes of its points is looked at no less.
    "held back, async function": (
        hook(
            "earn_rules", 'return [pending("14D", f)]', '@earn_rule("f", "F")\nasync def f(p, q): 1'
        ),
        EARN,
        "earn rule 'f': its function is async",
    ),
    "held back, signature": (
        hook("earn_rules", 'return [pending("14D", Rule())]', f"{RULE}Rule.evaluate = lambda s: 1"),
        EARN,
        "earn rule 'own': evaluate is called with (purchase, facts)",
    ),
    "held back, async": (
        hook(
            "earn_rules",
            "return [reevaluated(Rule())]",
            f"{RULE}async def g(s, p, q): 1\nRule.evaluate = g",
        ),
        EARN,
        "earn rule 'own': evaluate is async",
    ),
    "held back, a class": (
        hook("earn_rules", 'return [pending("14D", Rule)]', RULE),
        EARN,
        "raised DeclarationError: pending: an earn rule is wanted, not <class 'shelf_middle.Rule'>",
    ),
    "held back, for nonsense": (
        hook("earn_rules", 'return [pending("soon", Rule())]', RULE),
        EARN,
        "raised DeclarationError: earn rule own: pending: 'soon' is no duration",
    ),
    "held back, earns unknown": (
        hook("earn_rules", 'return [pending("14D", PointsPerVisit("MINE"))]'),
        EARN,
        "'MINE', which the partner neither declares nor issues (middle-POINT)",
    ),
    "held back, multiplier's tier": (
        hook(
            "earn_rules",
            'return [reevaluated(TierMultiplier("middle-POINT", "ranks", {"high": 2}))]',
            LADDERS,
        ),
        EARN,
        "names tier 'high'",
    ),
    "same code": (hook("earn_rules", "return [Rule()] * 2", RULE), EARN, "'own' is declared twice"),
    "redeem async": (
        hook("redeem_rules", "return [Rule()]", RULE.replace("def disc", "async def disc")),
        REDEEM,
        "redeem rule 'own': discount is async",
    ),
    "redeem currency": (
        hook("redeem_rules", "return [Rule()]", RULE.replace('"NAME-POINT"', "None")),
        REDEEM,
        "redeem rule 'own': currency",
    ),
    "redeem terms": (
        hook("redeem_rules", "return [Rule()]", RULE + "Rule.terms = 1"),
        REDEEM,
        "redeem rule 'own': terms",
    ),
    "same redeem": (hook("redeem_rules", f"return [{PAY}] * 2"), REDEEM, "is declared twice"),
    "same reward": (hook("rewards", f"return [{ONE_REWARD})] * 2"), REWARDS, "'tote' is declared"),
    "same ladder": (hook("ladders", f"return [{LADDER}] * 2"), LADDERS_HOOK, "'ranks' is declared"),
    "earns unknown": (
        hook("earn_rules", 'return [PointsPerVisit("MINE")]'),
        EARN,
        "'MINE', which the partner neither declares nor issues (middle-POINT)",
    ),
    "takes unknown": (
        hook("rewards", 'return [Reward("tote", "A tote", {"MINE": 1})]'),
        REWARDS,
        "'MINE', which the partner neither declares nor accepts",
    ),
    "pays unknown": (
        hook("redeem_rules", 'return [PayWithPoints("MINE", 1, "1 USD")]'),
        REDEEM,
        "neither declares nor accepts",
    ),
    "reward's tier": (
        hook("rewards", f'return [{ONE_REWARD}, tier=("ranks", "high"))]', LADDERS),
        REWARDS,
        "reward 'tote' names tier 'high', which ladder 'ranks' doesn't have (low)",
    ),
    "multiplier's tier": (
        hook(
            "earn_rules",
            'return [TierMultiplier("middle-POINT", "ranks", {"high": 2})]',
            LADDERS,
        ),
        EARN,
        "names tier 'high'",
    ),
}
