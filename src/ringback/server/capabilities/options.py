"""OPTIONS to the server itself (RFC 3261 section 11)."""

from __future__ import annotations

from typing import Final

from ringback.server.app import ServerTransaction

ALLOW: Final = (
    "REGISTER, OPTIONS, INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, NOTIFY, REFER, PUBLISH"
)
#: What the registrar and the proxy understand.
SUPPORTED: Final = "path, outbound, gruu"


async def options(transaction: ServerTransaction) -> None:
    """Say what this element can do (11.2): "Allow, Accept, Accept-Encoding, Accept-Language, and Supported"."""
    headers = [
        ("Allow", ALLOW),
        ("Accept", "application/sdp, */*"),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "en"),
        ("Supported", SUPPORTED),
    ]
    transaction.respond(200, headers=headers, why="OPTIONS to this element")
