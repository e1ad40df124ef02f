"""Documents by hash: trusted, registered, and what is refused where only trusted ones run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.serving import schema_of
from app.settings import Settings
from laurels.cli import commands
from schema import documents
from schema.documents import Documents, ManifestError, hash_of, read_manifest
from tests.schema.client import Client
from tests.schema.gated import code, gated, open_gate, post

KNOWN = "{ partners { code } }"
OTHER = "{ partners { name } }"


def _persisted(digest: object, **more: object) -> dict[str, object]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest, **more}}}


async def test_a_client_registers_a_document_and_asks_by_hash(api: Client) -> None:
    """As Apollo's clients do: the hash, then hash and text, then the hash for ever."""
    async with gated(api) as client:
        asked = _persisted(hash_of(KNOWN))
        unknown = await post(client, "admin:root", asked)
        assert (unknown.status_code, code(unknown)) == (400, "PERSISTED_QUERY_NOT_FOUND")
        assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
        told = await post(client, "admin:root", {"query": KNOWN, **asked})
        again = await post(client, "partner:cafe", asked)
        assert told.json()["data"] == again.json()["data"] == {"partners": PARTNERS}
        by_id = await post(client, "admin:root", {"documentId": hash_of(KNOWN)})
        prefixed = await post(client, "admin:root", {"documentId": f"sha256:{hash_of(KNOWN)}"})
        assert by_id.json()["data"] == prefixed.json()["data"] == {"partners": PARTNERS}
        parameters = {"extensions": json.dumps(asked["extensions"])}
        headers = {"authorization": f"Bearer {client.tokens['admin:root']}"}
        got = await client.http.get("/graphql", params=parameters, headers=headers)
        assert got.json()["data"] == {"partners": PARTNERS}


CODES = "cafe coffee grocer marketplace outdoors outfitter shop voice workplace"
PARTNERS = [{"code": code} for code in CODES.split()]


@pytest.mark.parametrize(
    "body",
    [
        {"query": OTHER, **_persisted(hash_of(KNOWN))},
        _persisted("x"),
        _persisted(hash_of(KNOWN).upper()),
        _persisted(7),
        _persisted(None),
        _persisted(hash_of(KNOWN), version=2),
        {"extensions": {"persistedQuery": []}},
        {"extensions": {"persistedQuery": None}},
        {"documentId": "x"},
        {"documentId": ""},
        {"documentId": 7},
    ],
)
async def test_a_hash_that_is_none(api: Client, body: dict[str, object]) -> None:
    async with gated(api) as client:
        response = await post(client, "admin:root", body)
        assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


async def test_only_what_is_good_is_registered_and_not_for_ever(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_REGISTERED", 2)
    known = Documents()
    async with gated(api, open_gate(documents=known)) as client:
        for bad in ("{", "{ nothing }", "{ members(first: 99999999) { edges { cursor } } }"):
            await post(client, "admin:root", {"query": bad, **_persisted(hash_of(bad))})
        assert len(known) == 0
        texts = [f"{{ partners {{ x{n}: code }} }}" for n in range(3)]
        for text in texts[:2]:
            await post(client, "admin:root", {"query": text, **_persisted(hash_of(text))})
        await post(client, "admin:root", _persisted(hash_of(texts[0])))  # asked for since
        await post(client, "admin:root", {"query": texts[2], **_persisted(hash_of(texts[2]))})
        assert len(known) == 2
        found = [
            (await post(client, "admin:root", _persisted(hash_of(text)))).status_code
            for text in texts
        ]
        assert found == [200, 400, 200]


async def test_where_only_trusted_documents_are_answered(api: Client) -> None:
    """Others are refused to all but admins, and nothing is registered."""
    trusted = Documents({hash_of(KNOWN): KNOWN}, trusted_only=True)
    async with gated(api, open_gate(documents=trusted)) as client:
        for who in ("partner:cafe", None):
            refused = await post(client, who, {"query": OTHER})
            assert (refused.status_code, code(refused)) == (400, "FORBIDDEN")
            registering = {"query": OTHER, **_persisted(hash_of(OTHER))}
            assert code(await post(client, who, registering)) == "FORBIDDEN"
            unknown = await post(client, who, _persisted(hash_of(OTHER)))
            assert code(unknown) == "PERSISTED_QUERY_NOT_FOUND"
        by_hash = await post(client, "partner:cafe", _persisted(hash_of(KNOWN)))
        by_text = await post(client, "partner:cafe", {"query": KNOWN})
        assert by_hash.json()["data"] == by_text.json()["data"] == {"partners": PARTNERS}
        free = await post(client, "admin:root", {"query": OTHER})
        assert free.status_code == 200
        assert len(trusted) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("{", "Expecting property name"),
        ("[]", "isn't an object"),
        (json.dumps({hash_of(KNOWN): OTHER}), "isn't the SHA-256 of its document"),
        (json.dumps({hash_of(KNOWN): 7}), "isn't the SHA-256 of its document"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_manifest_that_cannot_be_used_stops_the_start(
    tmp_path: Path, text: str | None, said: str
) -> None:
    """Its name and what is wrong are told, before anything is opened."""
    path = tmp_path / "trusted.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ManifestError, match=said) as caught:
        schema_of(Settings(trusted_documents=path))
    assert str(path) in str(caught.value)


def test_a_switch_without_a_manifest_is_refused() -> None:
    with pytest.raises(ValueError, match="LAURELS_TRUSTED_ONLY needs"):
        Settings(trusted_only=True)


def test_the_command_makes_the_manifest(tmp_path: Path) -> None:
    """From files of one document each; one that isn't valid here makes none."""
    good, bad = tmp_path / "good.graphql", tmp_path / "bad.graphql"
    good.write_text(KNOWN)
    bad.write_text("{ nothing }")
    made = CliRunner().invoke(commands, ["documents", str(good)])
    assert made.exit_code == 0
    path = tmp_path / "trusted.json"
    path.write_text(made.stdout)
    assert read_manifest(path) == {hash_of(KNOWN): KNOWN}
    refused = CliRunner().invoke(commands, ["documents", str(good), str(bad)])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Cannot query field 'nothing'" in refused.stderr
