"""What a partner's plugin is set to: admins alone are told, and never a secret."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel, Field, SecretStr

from core.posting import Engine
from core.programme import Programme
from core.store.reference import Declared, install
from laurels import Partner
from laurels.settings import described
from tests.schema.client import Client
from tests.support import NOW

ASKED = """{ partners(code: "kiosk") { code settings {
  name value secret variable description } } }"""


class Settings(BaseModel):
    key: SecretStr = Field(description="What opens it.")
    price: int = 100
    spare: SecretStr | None = None


async def test_admins_are_told_and_nobody_else(api: Client) -> None:
    settings = described("my-kiosk", Settings(key=SecretStr("hunter2")))
    kiosk = Declared("my-kiosk", "1", Partner("kiosk", "The Kiosk"), settings=settings)
    build = partial(install, Programme(), [kiosk])
    api.engine.rulebook = Engine(await build(NOW), build).rulebook
    [told] = await api.ask("admin:root", ASKED)
    assert told == {
        "code": "kiosk",
        "settings": [
            {"name": "key", "value": "**********", "secret": True,
             "variable": "LAURELS_PLUGIN_MY_KIOSK_KEY", "description": "What opens it."},
            {"name": "price", "value": "100", "secret": False,
             "variable": "LAURELS_PLUGIN_MY_KIOSK_PRICE", "description": ""},
            {"name": "spare", "value": None, "secret": True,
             "variable": "LAURELS_PLUGIN_MY_KIOSK_SPARE", "description": ""},
        ],
    }  # fmt: skip
    member = api.member(await api.enrol("1"))
    assert await api.ask(member, ASKED) == [{"code": "kiosk", "settings": None}]


async def test_the_partner_itself_is_not_told(api: Client) -> None:
    asked = ASKED.replace("kiosk", "grocer")
    assert await api.ask("admin:root", asked) == [{"code": "grocer", "settings": []}]
    assert await api.ask("partner:grocer", asked) == [{"code": "grocer", "settings": None}]
