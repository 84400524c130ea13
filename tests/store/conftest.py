"""Every driver, for the conformance suite."""

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ringback.store import MemoryStore, SqliteStore
from tests.store.rows import open_sqlite

AnyStore = MemoryStore | SqliteStore
Opener = Callable[[Path], Coroutine[Any, Any, AnyStore]]


async def open_memory(folder: Path) -> AnyStore:
    return MemoryStore()


async def open_file(folder: Path) -> AnyStore:
    return await open_sqlite(folder / "ringback.db")


async def open_file_as_served(folder: Path) -> AnyStore:
    return await SqliteStore.open(folder / "ringback.db")


OPENERS: dict[str, Opener] = {
    "memory": open_memory,
    "sqlite": open_file,
    "sqlite as served": open_file_as_served,
}


@pytest_asyncio.fixture(params=list(OPENERS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyStore]:
    opened = await OPENERS[request.param](tmp_path)
    yield opened
    await opened.close()
