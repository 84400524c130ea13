"""What stream connections may cost, what happened to them, and the deadlines that they have."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

#: The queues of `Deadlines`, in the order of `StreamLimits.durations`.
CONNECT: Final = 0
HANDSHAKE: Final = 1
FIRST_MESSAGE: Final = 2
HALF_SENT: Final = 3
IDLE: Final = 4
PING: Final = 5
PONG: Final = 6
LINGER: Final = 7


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What stream connections may cost. Sizes are in octets, times in seconds; a time of 0 turns its deadline off.

    connections              open at once, whoever opened them; beyond it the oldest that never said anything goes
    connections_per_source   accepted at once from one IPv4 address or one IPv6 /64
    exempt                   networks ("192.0.2.0/24") without a limit for each source, such as a load balancer's
    largest_head             of a SIP message
    largest_message          of a SIP message, head and body
    largest_queue            unsent on one connection; beyond it the connection is closed
    buffered                 unsent and half-received on all connections; beyond it the one that keeps most is closed
    waiting_messages         for one connection that is being opened; beyond it `send` refuses
    connect_seconds          for an outgoing connection, TLS included
    handshake_seconds        for the TLS and WebSocket handshakes of one that was accepted
    first_message_seconds    until an accepted connection has brought a whole message (not for WebSocket)
    half_sent_seconds        for a message to come whole, from its first octet
    idle_seconds             without any message or keep-alive; RFC 5626 4.4.1 lets clients be silent for 840
    ping_seconds             of silence until a WebSocket client is sent a Ping
    pong_seconds             RFC 5626 4.4.1: "If a pong is not received within 10 seconds after sending a ping … then
                             the client MUST treat the flow as failed"
    linger_seconds           for the peer to close in its turn
    """

    connections: int = 16384
    connections_per_source: int = 512
    exempt: tuple[str, ...] = ()
    largest_head: int = 65536
    largest_message: int = 1048576
    largest_queue: int = 1048576
    buffered: int = 67108864
    waiting_messages: int = 256
    connect_seconds: float = 10.0
    handshake_seconds: float = 10.0
    first_message_seconds: float = 30.0
    half_sent_seconds: float = 10.0
    idle_seconds: float = 960.0
    ping_seconds: float = 45.0
    pong_seconds: float = 10.0
    linger_seconds: float = 2.0

    def durations(self) -> tuple[float, ...]:
        """The durations of the queues of `Deadlines`."""
        return (
            self.connect_seconds,
            self.handshake_seconds,
            self.first_message_seconds,
            self.half_sent_seconds,
            self.idle_seconds,
            self.ping_seconds,
            self.pong_seconds,
            self.linger_seconds,
        )


@dataclass(slots=True)
class StreamCounters:
    """What happened since the start. Each closed connection is counted under at most one reason."""

    accepted: int = 0
    connected: int = 0
    connect_failed: int = 0
    refused_source: int = 0
    refused_total: int = 0
    evicted: int = 0
    handshake_failed: int = 0
    received: int = 0
    sent: int = 0
    pings: int = 0
    closed_malformed: int = 0
    closed_half_sent: int = 0
    closed_silent: int = 0
    closed_idle: int = 0
    closed_no_pong: int = 0
    closed_slow: int = 0
    closed_buffers: int = 0

    def snapshot(self) -> dict[str, int]:
        """The counters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
