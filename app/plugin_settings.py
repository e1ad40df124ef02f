"""What an operator sets for plugins, from variables such as `LAURELS_PLUGIN_BAKERY_API_KEY`.

The one reader of those variables; each plugin's own model says which there are
(`laurels.settings`). It judges no value: the model does, in words that don't quote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from laurels.settings import prefix


def from_environment(plugin: str, model: type[BaseModel]) -> Mapping[str, object]:
    """What the environment sets for a plugin; empty variables count as unset."""
    source = _Variables(
        # It reads no more of it than the fields and the configuration, which all models have.
        cast("type[BaseSettings]", model),
        case_sensitive=False,
        env_prefix=prefix(plugin),
        env_nested_delimiter="__",
        env_ignore_empty=True,
    )
    return source()


class _Variables(EnvSettingsSource):
    """Lists and mappings are JSON; what isn't is left to the model to refuse, by field."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """The value read as JSON, or as it is."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:  # it would quote the value
            return value
