"""The store that the configuration asks for."""

import os
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import StoreError
from ringback.server.runtime.storage import Storage, open_storage
from ringback.store import AccountRow
from tests.server.running import configured
from tests.store.rows import NOW, rows

AOR = "alice@example.org"


async def keep(storage: Storage) -> bytes:
    await storage.location.replace(AOR, rows("sip:a@h"), (), NOW)
    await storage.accounts.put(AccountRow("alice", "example.org"))
    return await storage.secrets.secret("tokens", os.urandom(32))


@pytest.mark.parametrize(("store", "contacts"), [("sqlite", ["sip:a@h"]), ("memory", [])])
async def test_what_is_there_after_a_restart(tmp_path: Path, store: str, contacts: list[str]) -> None:
    """With a memory of bindings only the bindings are forgotten: nobody makes his accounts anew each morning."""
    settings = configured(tmp_path, location={"store": store})
    async with open_storage(settings) as storage:
        secret = await keep(storage)
        assert await storage.location.count() == 1
    async with open_storage(settings) as storage:
        assert [row.contact for row in await storage.location.bindings(AOR, NOW)] == contacts
        assert await storage.accounts.get("alice", "example.org") is not None
        assert await storage.secrets.secret("tokens", b"fresh") == secret
    assert (tmp_path / "ringback.db").is_file()


async def test_a_memory_leaves_what_was_on_disk(tmp_path: Path) -> None:
    async with open_storage(configured(tmp_path)) as storage:
        await keep(storage)
    async with open_storage(configured(tmp_path, location={"store": "memory"})) as storage:
        assert await storage.location.bindings(AOR, NOW) == ()
        await storage.location.replace(AOR, rows("sip:b@h"), (), NOW)
    async with open_storage(configured(tmp_path)) as storage:
        assert [row.contact for row in await storage.location.bindings(AOR, NOW)] == ["sip:a@h"]


@pytest.mark.parametrize("name", ["memory:", "sqlite:x", "redis:"])
async def test_a_folder_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """However it is called: `--data memory:` must not keep accounts nowhere."""
    monkeypatch.chdir(tmp_path)
    settings: Any = configured(Path(name))
    async with open_storage(settings) as storage:
        await keep(storage)
    assert (tmp_path / name / "ringback.db").is_file()


async def test_what_can_not_be_opened(tmp_path: Path) -> None:
    (tmp_path / "ringback.db").write_bytes(b"no database at all, and long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=r"ringback\.db"):
        async with open_storage(configured(tmp_path)):
            raise AssertionError("it was opened")


async def test_closed_whatever_happens(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with open_storage(configured(tmp_path)) as storage:
                raise ZeroDivisionError
        with pytest.raises(StoreError):
            await storage.location.replace(AOR, rows("sip:a@h"), (), NOW)
