"""A TURN client with one allocation (RFC 8656, which includes 5766): messages and time in, messages out.

    turn = TurnClient(username, password, octets=secrets.token_bytes)
    turn.start(now)
    turn.receive(data, now) -> [(peer, payload)]      a message of the server; what it relays
    turn.send(peer, payload, now)                     to be relayed
    turn.advance(now) / turn.deadline() / turn.take()

    state   new → allocating → allocated → closed; or failed, with `error`

A peer needs a permission before anything goes to it or comes from it (section 9): it is asked for with the first
packet, which waits for it. `bind` gives a peer a channel, which saves 32 octets a packet (section 12). Allocation,
permissions and channels are refreshed before they end. Every answer to a request with credentials has to be signed: the
server is who knows the password.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from ringback.media.stun import (
    ALLOCATE,
    CHANNEL_BIND,
    CHANNEL_NUMBER,
    CREATE_PERMISSION,
    DATA,
    DATA_INDICATION,
    ERROR,
    INDICATION,
    LIFETIME,
    NONCE,
    REALM,
    REFRESH,
    REQUEST,
    REQUESTED_ADDRESS_FAMILY,
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
    long_term_key,
    number,
    parse_stun,
    xor_address,
)
from ringback.media.stun_request import StunRequest

__all__ = ["MOST_CHANNELS", "MOST_PEERS", "TurnClient"]

#: Hosts with a permission, and peers with a channel.
MOST_PEERS: Final = 128
MOST_CHANNELS: Final = 16
# Packets that wait for a permission.
_MOST_WAITING: Final = 32

#: Seconds that an allocation is asked for; a minute before its end it is refreshed.
_ALLOCATION: Final = 600
_BEFORE_END: Final = 60
# Sections 9 and 12: a permission holds for 300 seconds, a channel for 600.
_PERMISSION_REFRESH: Final = 240.0
_CHANNEL_REFRESH: Final = 480.0
# Over TCP a request is sent once (RFC 8489 section 6.2.2: 39.5 s); nobody waits so long for a call.
_STREAM_ATTEMPTS: Final = 1
_STREAM_RTO: Final = 1.25
# Challenges in a row before it is the password that is wrong.
_MOST_CHALLENGES: Final = 3

_UDP: Final = 17
_FIRST_CHANNEL: Final = 0x4000
_UNAUTHORIZED: Final = 401
_MISMATCH: Final = 437
_STALE_NONCE: Final = 438


class _Request:
    """A request on its way: what it is for, and how often it was challenged."""

    __slots__ = ("attributes", "challenges", "method", "peer", "sending", "signed")

    def __init__(self, method: int, attributes: list[Attribute], peer: Address | None) -> None:
        self.method = method
        self.attributes = attributes
        self.peer = peer
        self.challenges = 0
        self.signed = False
        self.sending: StunRequest


class TurnClient:
    """See the head of this module.

    relayed   our address at the server; mapped: how it sees us
    error     why it has failed, for people
    dropped   packets that had no permission, or more than can wait for one
    """

    def __init__(
        self,
        username: str,
        password: str,
        *,
        octets: Callable[[int], bytes],
        stream: bool = False,
        ipv6: bool = False,
    ) -> None:
        """`stream`: the server is reached over TCP or TLS. `ipv6`: an IPv6 address is asked for."""
        self.state: Literal["new", "allocating", "allocated", "failed", "closed"] = "new"
        self.relayed: Address | None = None
        self.mapped: Address | None = None
        self.error: str = ""
        self.dropped: int = 0
        self._username: str = username
        self._password: str = password
        self._octets: Callable[[int], bytes] = octets
        self._stream: bool = stream
        self._ipv6: bool = ipv6
        self._realm: str = ""
        self._nonce: bytes = b""
        self._key: bytes = b""
        self._requests: dict[bytes, _Request] = {}
        self._output: list[bytes] = []
        # Host to when its permission is refreshed; None: it has been asked for, and is not granted yet.
        self._permissions: dict[str, float | None] = {}
        self._refused: set[str] = set()
        self._waiting: deque[tuple[Address, bytes]] = deque(maxlen=_MOST_WAITING)
        # Peer to channel number; the channels that are bound, and when each is to be bound again.
        self._channels: dict[Address, int] = {}
        self._peers: dict[int, Address] = {}
        self._bound: dict[int, float] = {}
        self._refresh: float | None = None

    def start(self, now: float) -> None:
        """Ask for an allocation."""
        self.state = "allocating"
        attributes: list[Attribute] = [(REQUESTED_TRANSPORT, bytes([_UDP, 0, 0, 0])), (LIFETIME, number(_ALLOCATION))]
        if self._ipv6:
            attributes.append((REQUESTED_ADDRESS_FAMILY, bytes([2, 0, 0, 0])))
        self._ask(_Request(ALLOCATE, attributes, None), now)

    def send(self, peer: Address, payload: bytes, now: float) -> bool:
        """Relay `payload` to `peer`; False when it is dropped. The first packet to a host waits for its permission."""
        if self.state != "allocated":
            self.dropped += 1
            return False
        channel = self._channels.get(peer)
        if channel is not None and channel in self._bound:
            data = channel.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload
            # Section 12.5: "over TCP and TLS-over-TCP, the ChannelData message MUST be padded".
            self._output.append(data + bytes(-len(payload) % 4) if self._stream else data)
            return True
        host = peer[0]
        if host in self._permissions and self._permissions[host] is not None:
            self._indicate(peer, payload)
            return True
        if host in self._refused or not self.permit(host, now):
            self.dropped += 1
            return False
        if len(self._waiting) == _MOST_WAITING:
            self.dropped += 1
        self._waiting.append((peer, payload))
        return True

    def permit(self, host: str, now: float) -> bool:
        """Let `host` send to us (section 9); False when there are too many."""
        if self.state != "allocated" or host in self._refused:
            return False
        if host not in self._permissions:
            if len(self._permissions) >= MOST_PEERS:
                return False
            self._permissions[host] = None
            self._ask_permission(host, now)
        return True

    def bind(self, peer: Address, now: float) -> None:
        """Use a channel for `peer`."""
        if self.state != "allocated" or peer in self._channels or len(self._channels) >= MOST_CHANNELS:
            return
        channel = _FIRST_CHANNEL + len(self._channels)
        self._channels[peer] = channel
        self._peers[channel] = peer
        self._ask_channel(peer, now)

    def close(self, now: float) -> None:
        """Give the allocation back (section 7.1: a lifetime of zero); what `take` gives then is the last."""
        if self.state == "allocated":
            request = _Request(REFRESH, [(LIFETIME, number(0))], None)
            self._ask(request, now)
            self._due(request, now)
        self.state = "closed"
        self._requests.clear()
        self._waiting.clear()

    def receive(self, data: bytes, now: float) -> list[tuple[Address, bytes]]:
        """A message of the server has come; what peers have sent."""
        if len(data) >= 4 and 0x40 <= data[0] <= 0x4F:
            return self._channel_data(data)
        message = parse_stun(data)
        if message is None or self.state in ("closed", "failed"):
            return []
        if message.kind == INDICATION and message.method == DATA_INDICATION:
            peer, payload = message.address(XOR_PEER_ADDRESS), message.attributes.get(DATA)
            # Section 11.4: "the client SHOULD check that the XOR-PEER-ADDRESS attribute value contains an IP address
            # with which the client believes there is an active permission".
            if peer is not None and payload is not None and peer[0] in self._permissions:
                return [(peer, payload)]
        elif message.kind in (RESPONSE, ERROR):
            self._response(message, now)
        return []

    def advance(self, now: float) -> None:
        """Do what is due."""
        for transaction, request in list(self._requests.items()):
            if transaction not in self._requests:
                continue
            self._due(request, now)
            if request.sending.failed:
                del self._requests[transaction]
                self._unanswered(request)
        if self.state != "allocated":
            return
        if self._refresh is not None and now >= self._refresh:
            self._refresh = None
            self._ask(_Request(REFRESH, [(LIFETIME, number(_ALLOCATION))], None), now)
        for host, when in list(self._permissions.items()):
            if when is not None and now >= when:
                self._permissions[host] = now + _PERMISSION_REFRESH
                self._ask_permission(host, now)
        for channel, when in list(self._bound.items()):
            if now >= when:
                self._bound[channel] = now + _CHANNEL_REFRESH
                self._ask_channel(self._peers[channel], now)

    def deadline(self) -> float | None:
        """When `advance` is to be called next."""
        times = [request.sending.next for request in self._requests.values()]
        if self.state == "allocated":
            times += [when for when in self._permissions.values() if when is not None]
            times += self._bound.values()
            if self._refresh is not None:
                times.append(self._refresh)
        return min(times, default=None)

    def take(self) -> list[bytes]:
        """The messages to send to the server."""
        output, self._output = self._output, []
        return output

    # Requests.

    def _ask(self, request: _Request, now: float) -> None:
        attributes = list(request.attributes)
        request.signed = bool(self._key)
        if request.signed:
            attributes += [
                (USERNAME, self._username.encode()),
                (REALM, self._realm.encode()),
                (NONCE, self._nonce),
            ]
        # A peer's address is masked with the transaction, so it is written anew for each.
        transaction = self._octets(12)
        if request.peer is not None:
            attributes.append((XOR_PEER_ADDRESS, xor_address(request.peer, transaction)))
        data = encode_stun(request.method, REQUEST, transaction, attributes, self._key or None)
        if self._stream:
            request.sending = StunRequest(data, now, _STREAM_RTO, _STREAM_ATTEMPTS)
        else:
            request.sending = StunRequest(data, now)
        self._requests[transaction] = request
        self._due(request, now)

    def _due(self, request: _Request, now: float) -> None:
        if request.sending.due(now):
            self._output.append(request.sending.data)

    def _ask_permission(self, host: str, now: float) -> None:
        self._ask(_Request(CREATE_PERMISSION, [], (host, 0)), now)

    def _ask_channel(self, peer: Address, now: float) -> None:
        value = number(self._channels[peer], 2) + b"\0\0"
        self._ask(_Request(CHANNEL_BIND, [(CHANNEL_NUMBER, value)], peer), now)

    def _response(self, message: Message, now: float) -> None:
        request = self._requests.get(message.transaction)
        if request is None or message.method != request.method:
            return
        code = message.error if message.kind == ERROR else 0
        challenge = message.kind == ERROR and code in (_UNAUTHORIZED, _STALE_NONCE)
        if request.signed and not challenge and not message.authentic(self._key):
            # Somebody else says so; the server's own answer may still come.
            return
        del self._requests[message.transaction]
        if challenge:
            self._challenged(request, message, code, now)
        elif message.kind == ERROR:
            self._refused_by(request, code)
        else:
            self._granted(request, message, now)

    def _challenged(self, request: _Request, message: Message, code: int, now: float) -> None:
        """RFC 8489 section 9.2.5: try again with this nonce."""
        realm, nonce = message.text(REALM), message.attributes.get(NONCE, b"")
        request.challenges += 1
        # A second 401 with a nonce that was used means that it is the password that is wrong.
        wrong = code == _UNAUTHORIZED and request.signed
        if not nonce or wrong or request.challenges > _MOST_CHALLENGES or (code == _UNAUTHORIZED and not realm):
            self._refused_by(request, code)
            return
        self._realm = realm or self._realm
        self._nonce = nonce
        self._key = long_term_key(self._username, self._realm, self._password)
        self._ask(request, now)

    def _granted(self, request: _Request, message: Message, now: float) -> None:
        if request.method in (ALLOCATE, REFRESH):
            lifetime = message.number(LIFETIME)
            lifetime = lifetime if 0 <= lifetime <= 86400 else _ALLOCATION
            self._refresh = now + max(lifetime - _BEFORE_END, lifetime / 2, 1)
            if request.method == ALLOCATE:
                self.relayed = message.address(XOR_RELAYED_ADDRESS)
                self.mapped = message.address(XOR_MAPPED_ADDRESS)
                if self.relayed is None:
                    self._fail("the TURN server has allocated no address")
                    return
                self.state = "allocated"
            return
        peer = request.peer
        assert peer is not None
        if request.method == CHANNEL_BIND:
            self._bound[self._channels[peer]] = now + _CHANNEL_REFRESH
        # Section 12: a channel binding installs the permission, too.
        self._permissions[peer[0]] = now + _PERMISSION_REFRESH
        waiting, self._waiting = self._waiting, deque(maxlen=_MOST_WAITING)
        for to, payload in waiting:
            if to[0] == peer[0]:
                self._indicate(to, payload)
            else:
                self._waiting.append((to, payload))

    def _refused_by(self, request: _Request, code: int) -> None:
        if request.method == ALLOCATE:
            self._fail(f"the TURN server has refused an allocation with {code}")
        elif request.method == REFRESH or code == _MISMATCH:
            self._fail(f"the TURN server has ended the allocation with {code}")
        else:
            self._without(request)

    def _unanswered(self, request: _Request) -> None:
        if request.method in (ALLOCATE, REFRESH):
            self._fail("the TURN server does not answer")
        else:
            self._without(request)

    def _without(self, request: _Request) -> None:
        """There is no permission, or no channel, for a peer."""
        peer = request.peer
        assert peer is not None
        if request.method == CHANNEL_BIND:
            channel = self._channels[peer]
            # The number stays taken (section 12: it must not be used for another peer); indications go on.
            self._bound.pop(channel, None)
            return
        self._permissions.pop(peer[0], None)
        if len(self._refused) < MOST_PEERS:
            self._refused.add(peer[0])
        kept = [(to, payload) for to, payload in self._waiting if to[0] != peer[0]]
        self.dropped += len(self._waiting) - len(kept)
        self._waiting = deque(kept, maxlen=_MOST_WAITING)

    def _fail(self, reason: str) -> None:
        self.state = "failed"
        self.error = reason
        self._requests.clear()
        self._waiting.clear()

    # What is relayed.

    def _indicate(self, peer: Address, payload: bytes) -> None:
        transaction = self._octets(12)
        attributes = [(XOR_PEER_ADDRESS, xor_address(peer, transaction)), (DATA, payload)]
        self._output.append(encode_stun(SEND_INDICATION, INDICATION, transaction, attributes, fingerprint=False))

    def _channel_data(self, data: bytes) -> list[tuple[Address, bytes]]:
        peer = self._peers.get(int.from_bytes(data[:2], "big"))
        length = int.from_bytes(data[2:4], "big")
        if peer is None or 4 + length > len(data) or self.state != "allocated":
            return []
        return [(peer, data[4 : 4 + length])]
