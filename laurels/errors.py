"""What the kit refuses, in words that name the declaration and the field.

Knows nothing of the engine: the host catches these and adds the plugin's name.
"""


class LaurelsError(Exception):
    """Base of everything that this package raises on purpose."""


class DeclarationError(LaurelsError):
    """A declaration (partner, currency, rule, reward, ladder) is malformed; the text names the field."""


class RuleError(LaurelsError):
    """A rule raised, or returned what no rule may return, while it judged one purchase."""

    def __init__(self, rule: str, problem: str) -> None:
        super().__init__(f"rule '{rule}': {problem}")
        self.rule = rule
        self.problem = problem


def check_code(kind: str, code: object) -> str:
    """Return `code` if it may name a thing for ever: 1-64 letters, digits, `.`, `_` or `-`."""
    if not isinstance(code, str) or not 1 <= len(code) <= 64:
        raise DeclarationError(f"{kind}: a code is a text of 1 to 64 characters, not {code!r}")
    if not code.isascii() or not all(c.isalnum() or c in "._-" for c in code):
        raise DeclarationError(f"{kind} {code!r}: a code has ASCII letters, digits, '.', '_', '-' only")
    return code


def check_title(kind: str, title: object, longest: int = 500) -> str:
    """Return `title` if a person can read it: not empty, at most `longest` characters, no NUL."""
    if not isinstance(title, str) or not title.strip() or len(title) > longest or "\0" in title:
        raise DeclarationError(f"{kind}: needs a title of 1 to {longest} characters, not {title!r:.80}")
    return title
