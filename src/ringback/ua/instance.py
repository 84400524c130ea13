"""The instance ID of a user agent (RFC 5626 4.1): the same each time it starts, and another one for each that runs.

"the UA SHOULD create a Universally Unique Identifier (UUID) URN … as its instance-id"; it "MUST be persistent across
power cycles". The registrar replaces what an instance had registered before, so no two that run at the same time may
have the same: each holds the lock of its file as long as it runs, and who finds it held takes the next file.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

from ringback.errors import ConfigurationError

__all__ = ["Instance", "state_folder"]

#: Copies of one account at a time that keep an instance ID; more of them have one for this once.
_MOST_COPIES: Final = 16


def state_folder() -> Path:
    """Where Ringback keeps what it has to find again: $XDG_STATE_HOME/ringback, or ~/.local/state/ringback."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base) / "ringback"


class Instance:
    """An instance ID in use; `close` lets another process have it.

    urn   "urn:uuid:…"
    """

    def __init__(self, urn: str = "", file: IO[str] | None = None) -> None:
        """This ID, or for "" a random one that nobody will find again."""
        self.urn = urn or uuid.uuid4().urn
        self._file = file

    @classmethod
    def kept(cls, folder: Path, account: str) -> Instance:
        """The ID that is kept in `folder` for the address of record `account`, made when there is none.

        Raises ConfigurationError when the folder can not be written to.
        """
        name = sha256(account.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for number in range(_MOST_COPIES):
                file = open(folder / f"instance-{name}-{number}", "a+", encoding="utf-8")  # noqa: SIM115
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.close()
                    continue
                return cls(_read(file), file)
        except OSError as error:
            raise ConfigurationError(f"{folder}: can not be written to: {error.strerror}") from error
        return cls()

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _read(file: IO[str]) -> str:
    """The ID in a locked file; a new one is written when there is none that can be read."""
    file.seek(0)
    text = file.read(200).strip()
    try:
        return uuid.UUID(text).urn
    except ValueError:
        urn = uuid.uuid4().urn
    file.seek(0)
    file.truncate()
    file.write(f"{urn}\n")
    file.flush()
    os.fsync(file.fileno())
    return urn
