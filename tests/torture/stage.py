"""The server of the table, in memory, and what comes of a message that reaches it."""

from __future__ import annotations

from ringback.errors import ParseError
from ringback.sip.message import Request
from ringback.sip.parser import parse
from ringback.sip.transport import Flow, bracketed
from tests.attacks.world import SERVER, Phone, World
from tests.torture.verdicts import NEXT, PHONE, Verdict

DOMAIN = "example.com"
SERVER6 = "2001:db8::10"
TRUSTED = ("198.51.100.0/24", "2001:db8::/32", "127.0.0.1")
STRANGER = "203.0.113.66"
STRANGER6 = "2001:db9::66"
PORT = 5062
#: What the flow of a message is by the transport of its topmost Via.
STREAMS = ("TCP", "TLS")


class Everywhere(dict[str, list[Flow]]):
    """A DNS in which all names lead to one element."""

    def get(self, host: str, default: object = None) -> list[Flow]:  # type: ignore[override]
        return [Flow("UDP", f"udp:{SERVER}:5060", NEXT, 5060)]


class Stage:
    """A server, the telephone of `callee` at PHONE, and whoever sends at `source`."""

    def __init__(self, source: str, callee: str = "user", transport: str = "UDP") -> None:
        self.world = World(users=("user",), domains=(DOMAIN,), trusted=TRUSTED, addresses=(SERVER, SERVER6))
        self.world.names = Everywhere()
        self.phone = Phone(self.world, "callee", PHONE, 5060, DOMAIN, "UDP")
        self.phone.contact = f"sip:callee@{PHONE}"
        address = f"<sip:{callee}@{DOMAIN}>"
        register = self.phone.build("REGISTER", f"sip:{DOMAIN}", to=address, sender=address)
        assert [answer.status for answer in self.phone.send(register)] == [200]
        server = bracketed(SERVER6 if ":" in source else SERVER)
        connection = 7 if transport in STREAMS else 0
        local = f"{'tcp' if connection else 'udp'}:{server}:5060"
        self.source = Flow(transport, local, source, PORT, connection)

    def deliver(self, data: bytes) -> list[tuple[bytes, Flow]]:
        """Let the octets reach the server; what it sends then."""
        self.world.receive(data, self.source)
        return self.taken()

    def taken(self) -> list[tuple[bytes, Flow]]:
        """What the server has sent."""
        sent, self.world.sent = self.world.sent, []
        return sent


def transport_of(data: bytes) -> str:
    """What a message came over, by its topmost Via."""
    try:
        transport = parse(data).via.transport
    except ParseError:
        transport = "TCP" if b"\r\nVia: SIP/2.0/TCP" in data else "UDP"
    return transport if transport in STREAMS else "UDP"


def stage_of(verdict: Verdict, stranger: bool = False) -> Stage:
    """The stage for one message; the stranger's address is none that is trusted."""
    source = verdict.source
    if stranger:
        source = STRANGER6 if ":" in source else STRANGER
    return Stage(source, verdict.callee, transport_of(verdict.data))


def parsed(data: bytes) -> str:
    """What the parser says, in the words of the table."""
    try:
        parse(data)
    except ParseError as error:
        return str(error.status)
    return "accepted"


def outcome(sent: list[tuple[bytes, Flow]]) -> str:
    """What the server did, in the words of the table."""
    if not sent:
        return "discarded"
    assert len(sent) == 1, sent
    data, flow = sent[0]
    # Answers to what lacks From or To lack them as well, and are not parsed.
    return data[8:11].decode() if data.startswith(b"SIP/2.0 ") else f"to {flow!r}"


def request_in(sent: list[tuple[bytes, Flow]]) -> Request:
    """The one request that was sent."""
    [(data, _)] = sent
    request = parse(data)
    assert isinstance(request, Request)
    return request


def observed(verdict: Verdict) -> tuple[str, str, str]:
    """What becomes of a message: by the parser, from a trusted source, from a stranger."""
    data = verdict.data
    return (
        parsed(data),
        outcome(stage_of(verdict).deliver(data)),
        outcome(stage_of(verdict, stranger=True).deliver(data)),
    )
