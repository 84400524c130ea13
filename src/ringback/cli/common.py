"""What several commands share: options, and the data folder that they work on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ringback.errors import ConfigurationError
from ringback.store import FILE_NAME, Access, MemoryStore, SqliteStore, open_store

__all__ = ["Config", "Data", "Place", "place_of"]

Data = Annotated[Path | None, typer.Option("--data", help="The folder for what is kept.")]
Config = Annotated[Path | None, typer.Option("--config", help="A configuration file (TOML).")]

#: Where a server keeps its data when nobody says otherwise.
DEFAULT_DATA = Path("ringback-data")


class Place:
    """A data folder, the domain that a command is about ("" for all), and the realm of its passwords."""

    def __init__(self, data: Path, domain: str, realm: str) -> None:
        self.data = data
        self.domain = domain
        self.realm = realm or domain

    @asynccontextmanager
    async def opened(self, access: Access, *, new: bool = False) -> AsyncIterator[MemoryStore | SqliteStore]:
        """The store in the folder, closed afterwards; `new`: made if there is none.

        Raises StoreError, and ConfigurationError when there is none and none may be made.
        """
        if not new and not self.is_made:
            raise ConfigurationError(f"there is nothing in {self.data}; give the folder of the server with --data")
        store = await open_store(self.data, access=access)
        try:
            yield store
        finally:
            await store.close()

    @property
    def is_made(self) -> bool:
        """Whether a server or an account was there before."""
        return os.path.exists(self.data / FILE_NAME)  # which is False, too, for what can be no path

    @property
    def control(self) -> Path:
        """The control socket of a server that runs on this folder."""
        return self.data / "control.sock"


def place_of(domain: str, data: Path | None, config: Path | None, needs_domain: bool = True) -> Place:
    """What options, variables and the configuration file say together. Raises ConfigurationError."""
    from ringback.server.config import load
    from ringback.server.settings import Settings

    options: dict[str, Any] = {}
    if domain:
        options["domain"] = domain
    if data is not None:
        options["data"] = data
    settings: Settings = load(config, options, partial=True)
    if needs_domain and not settings.served:
        raise ConfigurationError("--domain is missing: the domain of the account")
    known = settings.served[0] if settings.served else ""
    return Place(settings.data, known if needs_domain or domain else "", settings.authentication.realm)
