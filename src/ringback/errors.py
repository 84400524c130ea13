"""Every exception of Ringback.

There are two families, by who has to act on them:

* `LocalError`: the caller of this library made a mistake (an argument that cannot be sent, a configuration that cannot
  work). It is never the answer to something that came from the network.
* `RemoteError`: a peer sent something wrong, or answered with a failure. It always carries the SIP status code that
  says so, so that whoever catches it can answer, retry or give up without looking at its type.

`StoreError` stands beside them: neither the caller nor a peer is at fault when a disk is full.

Packages that need a narrower exception derive it from one of these, in their own modules.
"""

from typing import Final

__all__ = [
    "ConfigurationError",
    "LocalError",
    "ParseError",
    "RemoteError",
    "RingbackError",
    "StoreConflict",
    "StoreError",
]

# RFC 3261 section 21.4.1: "The request could not be understood due to malformed syntax."
BAD_REQUEST: Final = 400


class RingbackError(Exception):
    """The root of every exception that Ringback raises on purpose."""


class LocalError(RingbackError):
    """A mistake of the code or the person that uses Ringback; the message says what was given and what is allowed."""


class ConfigurationError(LocalError):
    """The configuration cannot work; the message names the source (file or variable), the key and what is allowed."""


class RemoteError(RingbackError):
    """A peer's fault or a peer's refusal.

    `status` is a SIP status code (RFC 3261 section 21): the one that was received, or the one to answer with.
    `reason` is a phrase for people, in one line.
    """

    status: int
    reason: str

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status} {self.reason}".rstrip()


class ParseError(RemoteError):
    """Bytes from the network that are not what they should be.

    `message` (kept as `reason`) says what is wrong and where. `status` is what to answer a request with: 400 unless the
    RFC names another for the case, such as 505 (version), 413 (body too large), 416 (URI scheme) or 513 (message too
    large).
    """

    def __init__(self, message: str, status: int = BAD_REQUEST) -> None:
        super().__init__(status, message)

    def __str__(self) -> str:
        return self.reason

    def __reduce__(self) -> tuple[type["ParseError"], tuple[str, int]]:
        # Exceptions are rebuilt from `args`, whose order is RemoteError's: a worker process has to get it back intact.
        return ParseError, (self.reason, self.status)


class StoreError(RingbackError):
    """What had to be kept could not be read or written; nothing was acknowledged."""


class StoreConflict(StoreError):
    """Another writer changed the rows since they were read; read them again and decide anew."""
