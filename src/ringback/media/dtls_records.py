"""DTLS 1.2 records and handshake messages as far as they can be told from noise without keys (RFC 6347, 5246).

Until a handshake has agreed on keys, anybody who can forge the far end's address can send messages that look like
parts of it. RFC 6347 section 4.1.2.7: "invalid records SHOULD be silently discarded, thus preserving the association".
OpenSSL ends the handshake instead when a message makes no sense; so what makes none is taken out before it sees it.
Alerts without protection are taken out, too: a forged one would end every call that is being set up.
"""

from __future__ import annotations

from typing import Final

__all__ = ["RECORD_HEADER", "Sieve", "datagrams", "first_hello", "hello_number"]

#: Octets: type, version, epoch, sequence number, length.
RECORD_HEADER: Final = 13
# Type, length, message_seq, fragment_offset, fragment_length.
_MESSAGE_HEADER: Final = 12

_CHANGE_CIPHER_SPEC: Final = 20
_ALERT: Final = 21
_HANDSHAKE: Final = 22
_FATAL: Final = 2

_CLIENT_HELLO: Final = 1
_SERVER_HELLO_DONE: Final = 14
_CLIENT_KEY_EXCHANGE: Final = 16

# What may come without protection, to a client and to a server, and the fewest octets of each.
_TO_CLIENT: Final = {2: 38, 3: 3, 11: 3, 12: 4, 13: 4, _SERVER_HELLO_DONE: 0, 22: 4}
_TO_SERVER: Final = {_CLIENT_HELLO: 38, 11: 3, 15: 4, _CLIENT_KEY_EXCHANGE: 1}
#: Octets of the longest message: that of a chain of certificates.
_LONGEST: Final = 65536
# A handshake has a dozen messages in each direction.
_MOST_MESSAGES: Final = 32

_RANDOM: Final = slice(27, 59)


class Sieve:
    """Lets through what may be part of one handshake.

    alert     the number of the last fatal alert that came without protection (RFC 5246 section 7.2); -1: none came
    dropped   records that were taken out
    begun     a server's: a ClientHello has come; a client's always
    """

    def __init__(self, client: bool, begun: bool = False) -> None:
        self.alert: int = -1
        self.dropped: int = 0
        self._expected: dict[int, int] = _TO_CLIENT if client else _TO_SERVER
        # The message after which a change of cipher makes sense.
        self._last: int = _SERVER_HELLO_DONE if client else _CLIENT_KEY_EXCHANGE
        # A server's handshake begins with a ClientHello; `begun` when that has come another way.
        self.begun: bool = client or begun
        self._changes: bool = False

    def restart(self, client: bool) -> None:
        """A new handshake begins."""
        self.begun = client
        self._changes = False

    def sift(self, data: bytes) -> bytes:
        """The records of the datagram `data` that make sense, as they came; maybe none."""
        kept = b""
        at = 0
        while at + RECORD_HEADER <= len(data):
            end = at + RECORD_HEADER + int.from_bytes(data[at + 11 : at + 13], "big")
            if end > len(data) or data[at + 1] != 254:
                break
            record = data[at:end]
            if self._makes_sense(record):
                kept += record
            else:
                self.dropped += 1
            at = end
        if at < len(data):
            self.dropped += 1
        return kept

    def _makes_sense(self, record: bytes) -> bool:
        kind = record[0]
        if not _CHANGE_CIPHER_SPEC <= kind <= _HANDSHAKE:
            # Application data does not come here (RFC 5764 section 4.1).
            return record[3:5] != b"\0\0" and kind == 23
        if record[3:5] != b"\0\0":
            # Protected: OpenSSL knows whether it is genuine.
            return self.begun
        body = record[RECORD_HEADER:]
        if kind == _CHANGE_CIPHER_SPEC:
            return self._changes and body == b"\1"
        if kind == _ALERT:
            if len(body) == 2 and body[0] == _FATAL:
                self.alert = body[1]
            return False
        return self._messages_make_sense(body)

    def _messages_make_sense(self, body: bytes) -> bool:
        at = 0
        while at < len(body):
            if at + _MESSAGE_HEADER > len(body):
                return False
            kind = body[at]
            length = int.from_bytes(body[at + 1 : at + 4], "big")
            number = int.from_bytes(body[at + 4 : at + 6], "big")
            offset = int.from_bytes(body[at + 6 : at + 9], "big")
            part = int.from_bytes(body[at + 9 : at + 12], "big")
            at += _MESSAGE_HEADER + part
            if kind not in self._expected or not self._expected[kind] <= length <= _LONGEST:
                return False
            if number >= _MOST_MESSAGES or offset + part > length or at > len(body):
                return False
            if kind == _CLIENT_HELLO:
                self.begun = True
            elif not self.begun:
                # What is left of an earlier handshake.
                return False
            if kind == self._last:
                self._changes = True
        return at > 0


def hello_number(data: bytes) -> int:
    """The message_seq of the ClientHello that `data` begins with; -1 when it begins with something else.

    It is 0 for the first message of a handshake, and 1 for the answer to a cookie (RFC 6347 section 4.2.2).
    """
    if len(data) < _RANDOM.stop or data[0] != _HANDSHAKE or data[RECORD_HEADER] != _CLIENT_HELLO:
        return -1
    # Of the first epoch: a later one is protected, and its type says nothing.
    return int.from_bytes(data[17:19], "big") if data[3:5] == b"\0\0" else -1


def first_hello(data: bytes) -> bytes:
    """The random octets of the ClientHello that begins a handshake, when `data` begins with one; else b""."""
    return data[_RANDOM] if hello_number(data) == 0 else b""


def datagrams(written: bytes, mtu: int) -> list[bytes]:
    """The records in `written`, together in datagrams of up to `mtu` octets.

    OpenSSL writes records one after the other; what belongs into one datagram is for who sends them. RFC 6347 4.1.1:
    "Each DTLS record MUST fit within a single datagram", and several may share one.
    """
    packed: list[bytes] = []
    at = 0
    while at + RECORD_HEADER <= len(written):
        end = at + RECORD_HEADER + int.from_bytes(written[at + 11 : at + 13], "big")
        record = written[at:end]
        if packed and len(packed[-1]) + len(record) <= mtu:
            packed[-1] += record
        else:
            packed.append(record)
        at = end
    return packed
