"""Replaces (RFC 3891) and Join (RFC 3911): an INVITE that names a dialog which it takes over or wants to join."""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.dialog import dialog_key
from ringback.sip.grammar import split_parameters
from ringback.sip.message import Request

REPLACES: Final = "replaces"
JOIN: Final = "join"


class DialogReference:
    """The value of a Replaces or Join header.

    to_tag, from_tag  the tags by the view of who gets it: to_tag is his own
    early_only        whether only an early dialog is meant
    """

    __slots__ = ("call_id", "early_only", "from_tag", "to_tag")

    def __init__(self, call_id: str, to_tag: str, from_tag: str, early_only: bool = False) -> None:
        self.call_id: str = call_id
        self.to_tag: str = to_tag
        self.from_tag: str = from_tag
        self.early_only: bool = early_only

    @property
    def key(self) -> str:
        """The dialog ID at the receiver: "the to-tag parameter is compared to the local tag, and the from-tag parameter
        is compared to the remote tag" (3891 section 3)."""
        return dialog_key(self.call_id, self.to_tag, self.from_tag)

    def __str__(self) -> str:
        text = f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}"
        return f"{text};early-only" if self.early_only else text


def read_reference(value: str) -> DialogReference:
    """Read a Replaces or Join value. Raises ParseError."""
    parts = split_parameters(value)
    to_tag = ""
    from_tag = ""
    early_only = False
    for part in parts[1:]:
        name, _, content = part.partition("=")
        name = name.strip().lower()
        if name == "to-tag":
            to_tag = content.strip()
        elif name == "from-tag":
            from_tag = content.strip()
        elif name == "early-only":
            early_only = True
    if not parts[0] or not to_tag or not from_tag:
        # Both tags are mandatory; "0" stands for a dialog with a peer of RFC 2543, which gave no tag (section 6.1).
        raise ParseError("Replaces and Join need a Call-ID, a to-tag and a from-tag")
    return DialogReference(parts[0], "" if to_tag == "0" else to_tag, "" if from_tag == "0" else from_tag, early_only)


def reference_of(request: Request) -> tuple[str, DialogReference] | None:
    """Which of the two headers a request has, and its value; None without one.

    Raises ParseError (400) for both, for repeated ones, and in any request other than INVITE.
    """
    values = request.all(REPLACES)
    joins = request.all(JOIN)
    if not values and not joins:
        return None
    if len(values) + len(joins) > 1:
        # 3891 section 3: "If both a Replaces header field and another header field with contradictory semantics are
        # present in a request, the request MUST be rejected with a 400 'Bad Request' response."
        raise ParseError("one Replaces or one Join, not more")
    if request.method != "INVITE":
        raise ParseError(f"Replaces and Join have no meaning in {request.method}")
    if values:
        return REPLACES, read_reference(values[0])
    return JOIN, read_reference(joins[0])
