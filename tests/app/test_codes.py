"""`laurels codes`: a file into a pool, streamed, safe to repeat, its bad lines told by number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from app import codes, files_cli
from app.codes import import_file
from core.check import prove
from core.db import connected
from core.errors import BadInput, UnknownReference
from core.posting import Engine
from laurels.cli import commands
from tests.core.counter import left, open_counter
from tests.support import NOW, Databases


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.counter` on a fresh database."""
    return await open_counter()


def written(folder: Path, content: bytes) -> Path:
    """A file with this in it."""
    file = folder / "codes.txt"
    file.write_bytes(content)
    return file


async def test_a_file_is_read_in_batches_and_told_by_line(
    shop: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "MOST_CODES", 2)
    long = b"x" * 201
    file = written(tmp_path, b"\xef\xbb\xbfA\r\nB\r\n\r\n" + long + b"\nA\n\xff\xfe\n  C \n\n")
    seen: list[tuple[int, int]] = []
    report = await import_file(shop, file, "grocer", "cinema", NOW, lambda *at: seen.append(at))
    assert (report.added, report.known, report.refused) == (3, 1, 2)
    assert [(bad.line, bad.problem) for bad in report.told] == [
        (4, "a code has 1 to 200 characters, not 201"),
        (6, "a code holds a character that is no text"),
    ]
    size = file.stat().st_size
    assert [total for _, total in seen] == [size] * 4
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (size, size)
    again = await import_file(shop, file, "grocer", "cinema", NOW, lambda *at: None)
    assert (again.added, again.known, again.refused) == (0, 4, 2)
    assert await left(shop, "cinema") == 3
    assert await prove() == []


async def test_only_the_first_bad_lines_are_kept(shop: Engine, tmp_path: Path) -> None:
    file = written(tmp_path, b"\x07\n" * 50)
    report = await import_file(shop, file, "grocer", "cinema", NOW, lambda *at: None)
    assert (report.refused, [bad.line for bad in report.told]) == (50, list(range(1, 21)))


async def test_a_reward_without_a_pool_is_refused_whatever_is_in_the_file(
    shop: Engine, tmp_path: Path
) -> None:
    file = written(tmp_path, b"")
    for reward, kind in (("mug", BadInput), ("nothing", UnknownReference)):
        with pytest.raises(kind):
            await import_file(shop, file, "grocer", reward, NOW, lambda *at: None)


async def test_the_command(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, b"A\nB\n\x07\n")

    async def said(*words: str) -> Result:
        return await asyncio.to_thread(lambda: CliRunner().invoke(commands, words))

    async with databases.migrated() as url:

        @asynccontextmanager
        async def running(*_: object, **__: object) -> AsyncIterator[SimpleNamespace]:
            async with connected(url):
                yield SimpleNamespace(engine=await open_counter())

        monkeypatch.setattr(files_cli, "running", running)
        words = ("codes", str(file), "--partner", "grocer", "--reward")
        done = await said(*words, "cinema")
        assert done.exit_code == 1
        assert "2 codes added, 0 known before, 1 refused" in done.output
        assert "line 3: a code holds a character that can't be read" in done.output
        file.write_bytes(b"B\nC")
        done = await said(*words, "cinema")
        assert (done.exit_code, done.output.strip()) == (
            0,
            "1 codes added, 1 known before, 0 refused",
        )
        done = await said(*words, "mug")
        assert done.exit_code == 1
        assert "the codes of 'A mug' are generated" in done.output
    shown = await said("codes", "--help")
    assert "Example: laurels codes tickets.txt" in " ".join(shown.output.split())
