"""The client's side of STUN keep-alives on a SIP flow (RFC 5626 4.4.2 and section 8, RFC 8489).

Octets in, octets out: `binding_request` makes a question, `read_answer` reads what comes back, `Check` is one question
with its retransmissions, on a clock that is passed in.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

__all__ = ["Answer", "Check", "binding_request", "read_answer"]

_MAGIC: Final = 0x2112A442
_HEADER: Final = 20
_REQUEST: Final = 0x0001
_SUCCESS: Final = 0x0101
_ERROR: Final = 0x0111
_MAPPED_ADDRESS: Final = 0x0001
_XOR_MAPPED_ADDRESS: Final = 0x0020
TRANSACTION_OCTETS: Final = 12

#: RFC 5626 4.4.2: "no Binding Response is received after 7 retransmissions (16 times the STUN "RTO" timer". RTO is an
#: estimate of the round trip; RFC 8489 6.2.1 has 500 ms where none is known.
RETRANSMISSION_TIMEOUT: Final = 0.5
_SENDINGS: Final = 7
_LAST_WAIT: Final = 16


class Answer(NamedTuple):
    """An answer to a Binding request; `host` "" when it says no (an error) or does not say where we are seen."""

    transaction: bytes
    success: bool
    host: str
    port: int


def binding_request(transaction: bytes) -> bytes:
    """A Binding request; `transaction` are 12 octets that nobody can guess."""
    return struct.pack("!HHI", _REQUEST, 0, _MAGIC) + transaction


def read_answer(data: bytes) -> Answer | None:
    """What a STUN message answers; None for what is no sound answer to a Binding request."""
    if len(data) < _HEADER:
        return None
    kind, length, cookie = struct.unpack_from("!HHI", data)
    if kind not in (_SUCCESS, _ERROR) or cookie != _MAGIC or length != len(data) - _HEADER:
        return None
    transaction = data[8:_HEADER]
    host, port = "", 0
    at = _HEADER
    while at + 4 <= len(data):
        attribute, size = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) < size:
            return None
        if attribute in (_MAPPED_ADDRESS, _XOR_MAPPED_ADDRESS) and not (host and attribute == _MAPPED_ADDRESS):
            # RFC 8489 14.2: the plain one is of servers by RFC 3489; NATs that meddle with addresses rewrite it.
            host, port = _address(value, transaction if attribute == _XOR_MAPPED_ADDRESS else b"")
        at += 4 + ((size + 3) & ~3)
    return Answer(transaction, kind == _SUCCESS, host, port)


def _address(value: bytes, transaction: bytes) -> tuple[str, int]:
    """Address and port; `transaction` is that of the message when they are exclusive-or'ed with it (14.2)."""
    if len(value) < 8:
        return "", 0
    family, port = value[1], int.from_bytes(value[2:4], "big")
    mask = _MAGIC.to_bytes(4, "big") + transaction if transaction else bytes(16)
    if transaction:
        port ^= _MAGIC >> 16
    if family == 1 and len(value) == 8:
        return str(IPv4Address(bytes(a ^ b for a, b in zip(value[4:], mask, strict=False)))), port
    if family == 2 and len(value) == 20:
        return str(IPv6Address(bytes(a ^ b for a, b in zip(value[4:], mask, strict=False)))), port
    return "", 0


class Check:
    """One question to the far end of a flow, repeated until it is answered.

        sending at         0   1   3   7  15  31  63  times RTO
        it has failed at  79   times RTO, 16 after the last

    `due` is when to call `advance` next.
    """

    __slots__ = ("_sendings", "_timeout", "answered", "due", "failed", "transaction")

    def __init__(self, transaction: bytes, now: float, timeout: float = RETRANSMISSION_TIMEOUT) -> None:
        self.transaction = transaction
        self.due = now
        self.failed = False
        self.answered = False
        self._timeout = timeout
        self._sendings = 0

    def advance(self, now: float) -> bytes:
        """What has to be sent at `now`, b"" for nothing; look at `failed` afterwards."""
        if self.failed or self.answered or now < self.due:
            return b""
        if self._sendings == _SENDINGS:
            self.failed = True
            return b""
        self._sendings += 1
        # RFC 8489 6.2.1: "starting with an interval of RTO, doubling after each retransmission"; then "Rm", 16.
        factor = _LAST_WAIT if self._sendings == _SENDINGS else 1 << (self._sendings - 1)
        self.due = now + factor * self._timeout
        return binding_request(self.transaction)

    def take(self, answer: Answer) -> bool:
        """Whether an answer is to this question; RFC 5626 4.4.2: an error response is a failure of the flow."""
        if answer.transaction != self.transaction or self.answered or self.failed:
            return False
        self.answered = True
        self.failed = not answer.success
        return True
