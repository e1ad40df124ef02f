"""What an operator sets: checked by the plugin's model, told by field, and never a secret shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PostgresDsn,
    SecretBytes,
    SecretStr,
    field_serializer,
    field_validator,
)
from pydantic_settings import BaseSettings

from laurels import DeclarationError, Partner, Reward, hookimpl, testing
from laurels.plugin.refusal import RefusalError
from laurels.settings import (
    MASK,
    Setting,
    check_model,
    described,
    masked,
    prefix,
    secrets_of,
    variable,
)

HIDDEN = "hunter2-is-very-secret"


class Oven(BaseModel):
    key: SecretBytes = SecretBytes(b"crumbs")
    heat: int = 200


class Settings(BaseModel):
    api_key: SecretStr = Field(description="What opens the shop.")
    price: int = Field(100, ge=1)
    old_keys: list[SecretStr] = []
    spare: SecretStr | None = None
    oven: Oven = Oven()
    place: PostgresDsn | None = None

    @field_validator("price")
    @classmethod
    def even(cls, price: int) -> int:
        if price % 2:
            raise ValueError(f"{price} is odd")
        return price

    @field_serializer("api_key")
    def _shown(self, key: SecretStr) -> str:
        return key.get_secret_value()  # as many do for their own dumps


def plugin(model: object = Settings, **more: Any) -> SimpleNamespace:
    """A plugin with settings; hooks of its own replace ours."""

    @hookimpl
    def laurels_settings() -> object:
        return model

    @hookimpl
    def laurels_partner(settings: Settings) -> Partner:
        return Partner("shop", "The Shop")

    hooks = {"laurels_settings": laurels_settings, "laurels_partner": laurels_partner, **more}
    return SimpleNamespace(__name__="corner-shop", **hooks)


def refused(settings: Mapping[str, object], tried: object = None) -> RefusalError:
    """The refusal, which has neither cause nor context that would hold a value."""
    with pytest.raises(RefusalError) as caught:
        testing.brand(tried or plugin(), settings)
    return caught.value


def test_the_variables_are_named_after_the_plugin_and_the_field() -> None:
    assert prefix("corner-bakery.2") == "LAURELS_PLUGIN_CORNER_BAKERY_2_"
    assert variable("shop", ("oven", "key")) == "LAURELS_PLUGIN_SHOP_OVEN__KEY"


def test_they_are_shown_in_order_and_masked_however_deep() -> None:
    given = {
        "api_key": HIDDEN, "old_keys": [HIDDEN, "b"], "oven": {"heat": "90"},
        "place": "postgres://me:hunter2@host/shop",
    }  # fmt: skip
    found = testing.brand(plugin(), given)
    mine = "LAURELS_PLUGIN_CORNER_SHOP_"
    assert found.settings == (
        Setting("api_key", MASK, True, f"{mine}API_KEY", "What opens the shop."),
        Setting("price", "100", False, f"{mine}PRICE", ""),
        Setting("old_keys", f"[{MASK}, {MASK}]", True, f"{mine}OLD_KEYS", ""),
        Setting("spare", None, True, f"{mine}SPARE", ""),
        Setting("oven.key", MASK, True, f"{mine}OVEN__KEY", ""),
        Setting("oven.heat", "90", False, f"{mine}OVEN__HEAT", ""),
        Setting("place", f"postgres://{MASK}@host/shop", True, f"{mine}PLACE", ""),
    )
    assert "hunter2" not in repr(found)
    # Negative control: the model's own dump would have told.
    assert HIDDEN in Settings.model_validate(given).model_dump_json()


def test_a_missing_setting_is_named_with_the_variable_that_sets_it() -> None:
    told = refused({})
    assert told.hook == "laurels_settings"
    assert told.reason == "api_key is missing: set LAURELS_PLUGIN_CORNER_SHOP_API_KEY"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"price": "4x2"}, "PRICE): input should be a valid integer, unable to parse string"),
        ({"price": 4243}, "PRICE): the plugin's check refused"),
        ({"oven": {"heat": "hot4x2"}}, "OVEN__HEAT): input should be a valid integer"),
        ({"old_keys": "4x2"}, "OLD_KEYS): input should be a valid list"),
        ({"old_keys": ["fine", 4243]}, "OLD_KEYS): input should be a valid string"),
        ({"api_key": [HIDDEN]}, "API_KEY): input should be a valid string"),
    ],
)
def test_a_wrong_one_is_told_without_its_value(given: dict[str, object], told: str) -> None:
    refusal = refused({"api_key": HIDDEN, **given})
    assert refusal.hook == "laurels_settings"
    assert f"(LAURELS_PLUGIN_CORNER_SHOP_{told}" in refusal.reason
    chain: list[BaseException] = []
    error: BaseException | None = refusal
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    for link in chain:
        assert not any(value in f"{link!r} {link}" for value in ("4x2", "4243", HIDDEN)), link


def test_what_is_unknown_is_named_where_the_model_forbids_it() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        price: int = 1

    told = refused({"prize": 4243}, plugin(Strict)).reason
    assert told == "prize (LAURELS_PLUGIN_CORNER_SHOP_PRIZE): extra inputs are not permitted"


class Aliased(BaseModel):
    key: str = Field("", alias="LAURELS_SECRET")


class Own(BaseSettings):
    key: str = ""


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (None, "a pydantic model class is wanted"),
        (Oven(), "a pydantic model class is wanted"),
        (int, "a pydantic model class is wanted"),
        (Aliased, "key has an alias"),
        (Own, "reads the environment itself"),
    ],
)
def test_what_is_no_model_is_refused(model: object, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        check_model(model)
    refusal = refused({}, plugin(model))
    assert refusal.hook == "laurels_settings"


def test_a_hook_may_take_settings_or_leave_them() -> None:
    @hookimpl
    def laurels_rewards(settings: Settings) -> list[Reward]:
        return [Reward("mug", "A mug", price={"POINT": settings.price})]

    @hookimpl
    def laurels_partner() -> Partner:
        return Partner("shop", "The Shop", accepts=["POINT"])

    both = plugin(laurels_rewards=laurels_rewards, laurels_partner=laurels_partner)
    (mug,) = testing.brand(both, {"api_key": "a", "price": 80}).rewards
    assert dict(mug.prices) == {"POINT": 80}
    none = SimpleNamespace(laurels_rewards=laurels_rewards, laurels_partner=laurels_partner)
    told = refused({}, none)
    assert (told.hook, told.reason) == (
        "laurels_rewards", "takes settings, and the plugin has no laurels_settings"
    )  # fmt: skip


@pytest.mark.parametrize("padding", [0, 380, 390, 396])
def test_a_hook_that_raises_its_secrets_does_not_tell_them(padding: int) -> None:
    @hookimpl
    def laurels_rewards(settings: Settings) -> list[Reward]:
        raise KeyError("x" * padding + settings.api_key.get_secret_value())

    @hookimpl
    def laurels_partner(settings: Settings) -> Partner:
        return Partner(f"shop {settings.api_key.get_secret_value()}", "The Shop")

    told = refused({"api_key": HIDDEN}, plugin(laurels_rewards=laurels_rewards))
    assert told.hook == "laurels_rewards"
    assert HIDDEN[:8] not in told.reason
    assert told.__cause__ is None
    assert told.__context__ is None
    told = refused({"api_key": HIDDEN}, plugin(laurels_partner=laurels_partner))
    assert told.hook == "laurels_partner"
    assert HIDDEN[:8] not in told.reason


def test_a_secret_of_several_lines_is_masked_as_it_is_told() -> None:
    settings = Settings.model_validate({"api_key": "-----BEGIN KEY\nabc def\n"})
    for text in ("-----BEGIN KEY\nabc def\n", "-----BEGIN KEY abc def", r"-----BEGIN KEY\nabc def"):
        assert "abc" not in masked(f"bad {text}!", settings)
    assert masked("nothing of it", settings) == "nothing of it"
    assert described("shop", None) == ()


def test_conformance_is_handed_settings() -> None:
    brand = plugin()

    class Suite(testing.Conformance):
        plugin = brand
        settings = MappingProxyType({"api_key": "a"})

    Suite().test_its_declarations_are_accepted()
    Suite().test_its_rules_keep_their_word_on_every_receipt()
    assert testing.problems(brand) == [
        "hook laurels_settings: api_key is missing: set LAURELS_PLUGIN_CORNER_SHOP_API_KEY"
    ]


class Strict(BaseModel):
    key: str

    @field_validator("key")
    @classmethod
    def known(cls, key: str) -> str:
        raise {"k": KeyError, "s": SystemExit}[key[0]](key)


@pytest.mark.parametrize(("key", "kind"), [("k-hunter2", "KeyError"), ("s-hunter2", "SystemExit")])
def test_a_check_that_raises_something_else_is_told_by_its_kind_alone(key: str, kind: str) -> None:
    refusal = refused({"key": key}, plugin(Strict))
    assert refusal.told == f"hook laurels_settings: the plugin's own check raised {kind}"
    error: BaseException | None = refusal
    while error is not None:
        assert "hunter2" not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__


@dataclass
class Held:
    key: SecretStr


class Holding(BaseModel):
    held: list[Held]


def test_a_secret_in_a_dataclass_is_one() -> None:
    given = Holding.model_validate({"held": [{"key": HIDDEN}]})
    assert list(secrets_of(given)) == [HIDDEN]
    assert masked(f"raised {HIDDEN}", given) == f"raised {MASK}"
    (shown,) = described("shop", given)
    assert (shown.secret, HIDDEN in str(shown)) == (True, False)


class Place(BaseModel):
    place: str


@pytest.mark.parametrize(
    ("place", "told"),
    [("redis://me:hun@t/er2@host/1", f"redis://{MASK}@host/1"),
     ("amqp://:hunter 2@host", f"amqp://{MASK}@host"), ("https://host/x", "https://host/x")],
)  # fmt: skip
def test_of_an_address_all_is_masked_up_to_the_last_at_sign(place: str, told: str) -> None:
    (shown,) = described("shop", Place(place=place))
    assert (shown.value, shown.secret) == (told, MASK in told)


class Mute:
    """It can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("hunter2")


class Showing(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    key: SecretStr = SecretStr("hunter2")
    mute: Mute = Mute()


def test_a_setting_that_can_not_be_shown_costs_its_own_plugin_alone() -> None:
    told = refused({}, plugin(Showing)).told
    assert told.startswith("hook laurels_settings: returned what can't be examined: RuntimeError")
    assert "hunter2" not in told
