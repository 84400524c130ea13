"""A small TURN server for tests: long-term credentials, one allocation for each client, permissions, channels.

It is told of messages and tells what to send; a test carries them in memory or over sockets.
"""

from __future__ import annotations

from ringback.media.stun import (
    ALLOCATE,
    CHANNEL_BIND,
    CHANNEL_NUMBER,
    CREATE_PERMISSION,
    DATA,
    DATA_INDICATION,
    ERROR,
    ERROR_CODE,
    INDICATION,
    LIFETIME,
    NONCE,
    REALM,
    REFRESH,
    REQUEST,
    REQUESTED_TRANSPORT,
    RESPONSE,
    SEND_INDICATION,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Address,
    Attribute,
    Message,
    encode_stun,
    error_value,
    long_term_key,
    number,
    parse_stun,
    xor_address,
)

NAME, PASSWORD = "alice", "secret"


class Allocation:
    def __init__(self, relayed: Address) -> None:
        self.relayed = relayed
        self.until = 0.0
        # Host to when the permission ends; channel to peer.
        self.permissions: dict[str, float] = {}
        self.channels: dict[int, Address] = {}


class TurnServer:
    """`seen` is every request as (method, signed); hosts that are `forbidden` get no permission."""

    def __init__(self, relay_host: str = "203.0.113.9", realm: str = "example.org") -> None:
        self.relay_host = relay_host
        self.realm = realm
        self.nonce = b"nonce1"
        self.allocations: dict[Address, Allocation] = {}
        self.seen: list[tuple[int, bool]] = []
        self.forbidden: set[str] = set()
        self.lifetime = 600
        # Codes to refuse the next requests of a method with.
        self.refuse: dict[int, int] = {}
        self._port = 50000
        #: Relayed: (from our address, payload, to the peer).
        self.relayed: list[tuple[Address, bytes, Address]] = []

    def renew_nonce(self) -> None:
        self.nonce += b"+"

    def next_relayed(self) -> Address:
        self._port += 1
        return (self.relay_host, self._port)

    def message(self, data: bytes, client: Address, now: float) -> list[bytes]:
        """A message of `client`; what it is sent."""
        allocation = self.allocations.get(client)
        if allocation is not None and allocation.until <= now:
            del self.allocations[client]
            allocation = None
        if 0x40 <= data[0] <= 0x4F:
            channel, length = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
            assert allocation is not None
            self.relayed.append((allocation.relayed, data[4 : 4 + length], allocation.channels[channel]))
            return []
        message = parse_stun(data)
        assert message is not None
        if message.kind == INDICATION:
            peer = message.address(XOR_PEER_ADDRESS)
            assert message.method == SEND_INDICATION
            assert peer is not None
            if allocation is not None and allocation.permissions.get(peer[0], 0) > now:
                self.relayed.append((allocation.relayed, message.attributes[DATA], peer))
            return []
        assert message.kind == REQUEST
        return [self._request(message, allocation, client, now)]

    def from_peer(self, relayed: Address, data: bytes, peer: Address, now: float) -> list[tuple[Address, bytes]]:
        """`peer` has sent `data` to a relayed address; what goes to which client."""
        for client, allocation in self.allocations.items():
            if allocation.relayed != relayed or allocation.permissions.get(peer[0], 0) <= now:
                continue
            for channel, bound in allocation.channels.items():
                if bound == peer:
                    return [(client, channel.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data)]
            transaction = b"indication!!"
            attributes = [(XOR_PEER_ADDRESS, xor_address(peer, transaction)), (DATA, data)]
            return [(client, encode_stun(DATA_INDICATION, INDICATION, transaction, attributes))]
        return []

    def _request(self, message: Message, allocation: Allocation | None, client: Address, now: float) -> bytes:
        key = long_term_key(NAME, self.realm, PASSWORD)
        signed = message.authentic(key) and message.text(USERNAME) == NAME
        self.seen.append((message.method, signed))
        challenge = [(REALM, self.realm.encode()), (NONCE, self.nonce)]
        if not signed:
            return self._error(message, 401, challenge)
        if message.attributes.get(NONCE) != self.nonce:
            return self._error(message, 438, challenge)
        if message.method in self.refuse:
            return self._error(message, self.refuse.pop(message.method), [], key)
        if message.method == ALLOCATE:
            return self._allocate(message, client, now, key)
        if allocation is None:
            return self._error(message, 437, [], key)
        answer: list[Attribute] = []
        if message.method == REFRESH:
            lifetime = min(message.number(LIFETIME), self.lifetime)
            allocation.until = now + lifetime
            answer = [(LIFETIME, number(lifetime))]
        elif message.method in (CREATE_PERMISSION, CHANNEL_BIND):
            peer = message.address(XOR_PEER_ADDRESS)
            assert peer is not None
            if peer[0] in self.forbidden:
                return self._error(message, 403, [], key)
            allocation.permissions[peer[0]] = now + 300
            if message.method == CHANNEL_BIND:
                allocation.channels[int.from_bytes(message.attributes[CHANNEL_NUMBER][:2], "big")] = peer
        return encode_stun(message.method, RESPONSE, message.transaction, answer, key)

    def _allocate(self, message: Message, client: Address, now: float, key: bytes) -> bytes:
        assert message.attributes[REQUESTED_TRANSPORT] == b"\x11\0\0\0"
        if client in self.allocations:
            return self._error(message, 437, [], key)
        allocation = self.allocations[client] = Allocation(self.next_relayed())
        lifetime = min(message.number(LIFETIME), self.lifetime)
        allocation.until = now + lifetime
        answer = [
            (XOR_RELAYED_ADDRESS, xor_address(allocation.relayed, message.transaction)),
            (XOR_MAPPED_ADDRESS, xor_address(client, message.transaction)),
            (LIFETIME, number(lifetime)),
        ]
        return encode_stun(ALLOCATE, RESPONSE, message.transaction, answer, key)

    def _error(self, message: Message, code: int, more: list[Attribute], key: bytes | None = None) -> bytes:
        attributes = [(ERROR_CODE, error_value(code, "")), *more]
        return encode_stun(message.method, ERROR, message.transaction, attributes, key)
