"""What stories are told with: the client of the schema's tests, on the brands that ship."""

from tests.schema.conftest import api

__all__ = ["api"]
