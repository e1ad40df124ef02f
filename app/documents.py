"""`laurels documents`: makes the manifest of trusted operations from a front end's own files.

Knows nothing of how a manifest is used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from graphql import GraphQLError, parse
from rich.text import Text

from app.terminal import err
from schema.build import build_schema
from schema.documents import hash_of
from schema.gate import checked


def documents(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="One document each.")
    ],
) -> None:
    """Print the manifest of trusted documents: each valid here, by its SHA-256.

    A client sends the hash in place of the text, as documentId or as Apollo's persistedQuery.

    Example: laurels documents shop/*.graphql > trusted.json;
    LAURELS_TRUSTED_DOCUMENTS=trusted.json LAURELS_TRUSTED_ONLY=true laurels serve
    """
    schema = build_schema()._schema
    manifest: dict[str, str] = {}
    refused = False
    for file in files:
        text = file.read_text("utf-8")
        try:
            problems = checked(schema, parse(text))
        except GraphQLError as error:
            problems = [error]
        for problem in problems:
            refused = True
            err.print(Text(f"{file}: {problem.message}", style="red"))
        manifest[hash_of(text)] = text
    if refused:
        raise typer.Exit(1)
    typer.echo(json.dumps(manifest, indent=2, ensure_ascii=False))


def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    typer.echo(build_schema().as_str())
