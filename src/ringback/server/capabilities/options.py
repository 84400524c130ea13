"""OPTIONS to the server itself (RFC 3261 section 11)."""

from __future__ import annotations

from typing import Final

from ringback.server.app import ServerTransaction

ALLOW: Final = (
    "REGISTER, OPTIONS, INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, NOTIFY, REFER, PUBLISH"
)
#: What the registrar and the proxy understand.
SUPPORTED: Final = "path, outbound, gruu"
_UNDERSTOOD: Final = frozenset(SUPPORTED.split(", "))


def options(transaction: ServerTransaction) -> None:
    """Say what this element can do (11.2): "Allow, Accept, Accept-Encoding, Accept-Language, and Supported"."""
    unknown = [tag for tag in transaction.request.option_tags("require") if tag.lower() not in _UNDERSTOOD]
    if unknown:
        # 8.2.2.3: "if a UAS does not understand an option-tag listed in a Require header field, it MUST respond by
        # generating a response with status code 420 (Bad Extension)."
        transaction.respond(420, headers=[("Unsupported", ", ".join(unknown))], why="Require names what is not known")
        return
    headers = [
        ("Allow", ALLOW),
        ("Accept", "application/sdp, */*"),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "en"),
        ("Supported", SUPPORTED),
    ]
    transaction.respond(200, headers=headers, why="OPTIONS to this element")
