"""Documents by their hash: those that the programme trusts, and those that clients registered.

A client asks by Apollo's `extensions.persistedQuery.sha256Hash`; `documentId` of the GraphQL over
HTTP draft arrives here in the same shape. Knows nothing of what a document says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import BadInput
from schema.refusals import refusal

#: Registered documents that are kept: of more, the one asked for longest ago is forgotten.
MOST_REGISTERED = 500
_HASH = re.compile(r"[0-9a-f]{64}")


class ManifestError(BadInput):
    """The manifest can't be used; says why, to the operator."""


def hash_of(document: str) -> str:
    """By what a document is asked for."""
    return hashlib.sha256(document.encode()).hexdigest()


def read_manifest(path: Path) -> dict[str, str]:
    """The trusted documents by hash, from a JSON file of `{sha256: document}`.

    Raises ManifestError where it is missing, malformed, or a hash isn't its document's.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise ManifestError(f"{path}: it isn't an object of hashes and documents")
    for name, document in found.items():
        if not isinstance(document, str) or hash_of(document) != name:
            raise ManifestError(f"{path}: {name!r} isn't the SHA-256 of its document")
    return found


class Documents:
    """What may be asked for by hash; with `trusted_only` other texts are refused."""

    def __init__(
        self, trusted: Mapping[str, str] | None = None, *, trusted_only: bool = False
    ) -> None:
        self.trusted = dict(trusted or {})
        self.trusted_only = trusted_only
        self._registered: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        """How many were registered and are still known."""
        return len(self._registered)

    def text(
        self, query: str | None, extensions: Mapping[str, Any] | None, *, free: bool
    ) -> str | None:
        """The document that is meant, if any. `free`: this caller may send any text.

        Raises GraphQLError for a hash nobody knows or one of another text, and for a text that
        isn't trusted where only those are.
        """
        wanted = _wanted(extensions)
        if not query:
            return None if wanted is None else self._found(wanted)
        if wanted is not None and hash_of(query) != wanted:
            raise refusal("BAD_REQUEST", "the hash isn't the SHA-256 of this document")
        if self.trusted_only and not free and hash_of(query) not in self.trusted:
            raise refusal("FORBIDDEN", "only trusted documents are answered here")
        return query

    def _found(self, wanted: str) -> str:
        found = self.trusted.get(wanted)
        if found is None and (found := self._registered.get(wanted)) is not None:
            self._registered.move_to_end(wanted)
        if found is None:
            # In the very words that Apollo's clients look for, which then send the text.
            raise refusal("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        return found

    def register(self, query: str | None, extensions: Mapping[str, Any] | None) -> None:
        """Keep a text that came with its hash, and was found to be good."""
        wanted = _wanted(extensions)
        if not query or wanted is None or self.trusted_only:
            return
        self._registered[wanted] = query
        self._registered.move_to_end(wanted)
        if len(self._registered) > MOST_REGISTERED:
            self._registered.popitem(last=False)


def _wanted(extensions: Mapping[str, Any] | None) -> str | None:
    if not extensions or "persistedQuery" not in extensions:
        return None
    asked = extensions["persistedQuery"]
    wanted = asked.get("sha256Hash") if isinstance(asked, dict) else None
    version = asked.get("version", 1) if isinstance(asked, dict) else None
    if not isinstance(wanted, str) or not _HASH.fullmatch(wanted) or version != 1:
        raise refusal("BAD_REQUEST", "persistedQuery has a version of 1 and a sha256Hash")
    return wanted
