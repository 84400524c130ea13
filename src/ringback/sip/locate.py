"""Where a SIP or SIPS URI leads: RFC 3263 without DNS.

`locate` (section 4, for requests) and `locate_response` (section 5) are generators. They yield a `Question`, are sent
its `Answer`, and return the destinations in the order in which they are to be tried; or they raise `LocateError`.

    search = locate(target, supported=("UDP", "TCP", "TLS"), choose=random)
    question = next(search)
    try:
        while True:
            question = search.send(answer_to(question))
    except StopIteration as stop:
        destinations = stop.value

An answer is the tuple of the records that were found, empty when the name or the record type does not exist, or a
`Failure` when that is not known for now. A search asks a bounded number of questions and gives a bounded list.

TARGET, as RFC 3263 calls it, is "the value of the maddr parameter of the URI, if present, otherwise, the host value".
The caller takes care of maddr: it puts its value into `Target.host`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from ringback.errors import RemoteError
from ringback.sip.grammar import is_ipv4, is_ipv6, shown
from ringback.sip.transport import DEFAULT_PORTS, SECURE

#: Questions of one search; each server of a domain takes one or two.
MOST_QUESTIONS: Final = 40
#: Destinations of one search. Each that does not answer costs a caller up to 32 s.
MOST_DESTINATIONS: Final = 32

# RFC 3263 section 9 and RFC 7118 section 10.2.
_SERVICES: Final = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS", "SIP+D2W": "WS", "SIPS+D2W": "WSS"}
# RFC 3263 4.2: "using the service identifier "_sips" for SIPS URIs. For a SIP URI, if the client wishes to use TLS, it
# also uses the service identifier "_sips" for that specific transport, otherwise, it uses "_sip"."
_SRV_PREFIXES: Final = {
    "UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp.", "WS": "_sip._ws.", "WSS": "_sips._ws.",
}  # fmt: skip
# RFC 3261 26.2.2: "both valid (although note that UDP is not a valid transport for SIPS)"; RFC 7118 5.5.
_SECURED: Final = {"TCP": "TLS", "TLS": "TLS", "WS": "WSS", "WSS": "WSS"}
# WebSocket servers are found by an explicit transport parameter, or when NAPTR records name them.
_GUESSED: Final = ("UDP", "TCP", "TLS")

# What became of a question for SRV records.
_FOUND: Final = "found"
_NONE: Final = "none"
_DENIED: Final = "denied"
_FAILED: Final = "failed"

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 503


class Target(NamedTuple):
    """What is to be located, without user and other parameters. A `Uri` has these attributes too."""

    scheme: str
    host: str
    port: int | None = None
    transport: str | None = None


class Locatable(Protocol):
    """A `Target` or a `Uri`; scheme "sip" or "sips", IPv6 with or without brackets, transport in either case."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def transport(self) -> str | None: ...


class Question(NamedTuple):
    """A question for DNS: `kind` is "NAPTR", "SRV", "A" or "AAAA"; `name` is absolute, without the final dot."""

    kind: str
    name: str


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403 section 4)."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class Failure(NamedTuple):
    """It is not known for now whether there are such records: DNS did not answer, or said that it has failed."""

    reason: str


#: Naptr or Srv records, addresses as text for "A" and "AAAA".
Answer: TypeAlias = tuple[Naptr | Srv | str, ...] | Failure
Search: TypeAlias = "Generator[Question, Answer, list[Destination]]"
#: Called with n, gives one of 0 … n, each as likely as the others (RFC 2782: "a uniform random number between 0 and the
#: sum computed (inclusive)").
Choose: TypeAlias = Callable[[int], int]


class LocateError(RemoteError):
    """There is no destination. Status 503 when that may change soon (DNS failed), 404 when the domain leads nowhere,
    400 when the URI contradicts itself."""


class Destination:
    """Where a message can be sent.

    host    an IP literal without brackets
    name    the domain that was asked for: the one that a TLS peer has to prove. RFC 5922 7.3: "the client MUST compare
            the original domain portion of the SIP AUS used as input to the RFC 3263 server location procedures"
    reason  why it is a destination, in English; two destinations that differ in it alone are equal
    """

    __slots__ = ("host", "name", "port", "reason", "transport")

    def __init__(self, transport: str, host: str, port: int, name: str, reason: str = "") -> None:
        self.transport: str = transport
        self.host: str = host
        self.port: int = port
        self.name: str = name
        self.reason: str = reason

    def key(self) -> tuple[str, str, int, str]:
        """What makes two destinations the same."""
        return (self.transport, self.host, self.port, self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Destination) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def __repr__(self) -> str:
        return f"Destination({self.transport!r}, {self.host!r}, {self.port}, {self.name!r})"


def locate(target: Locatable, *, supported: Sequence[str], choose: Choose, families: Sequence[int] = (4, 6)) -> Search:
    """Where a request to `target` goes.

    supported  the transports that we have ("UDP", "TCP", "TLS", "WS", "WSS"), most preferred first; one of them alone
               for a request that has to use it, such as "TCP" for one that is too large for a datagram
    families   the address families that we have (4, 6), preferred first
    """
    host = _plain(target.host)
    wanted = _wanted_transport(target.scheme, target.transport)
    secure = target.scheme == "sips"
    # 4.1: "If the URI specifies a transport protocol in the transport parameter, that transport protocol SHOULD be
    # used."
    candidates = [name for name in supported if name == wanted] if wanted else list(supported)
    if secure:
        candidates = [name for name in candidates if name in SECURE]
    guesses = candidates if wanted else [name for name in candidates if name in _GUESSED]
    if not candidates:
        raise LocateError(_UNAVAILABLE, f"no transport to {shown(host)}: {wanted or 'TLS'} is not one that we have")
    inquiry = _Inquiry(host, families, choose)
    if is_ipv4(host) or is_ipv6(host):
        transport = _default_transport(guesses, secure, host)
        return [Destination(transport, host, target.port or DEFAULT_PORTS[transport], host, "the address in the URI")]
    _check_name(host)
    if target.port is not None:
        # 4.2: "If the TARGET was not a numeric IP address, but a port is present in the URI, the client performs an A
        # or AAAA record lookup of the domain name."
        transport = _default_transport(guesses, secure, host)
        yield from inquiry.add_host(transport, host, target.port, "the port in the URI")
        return inquiry.result()
    if not wanted and (yield from _by_naptr(inquiry, candidates)):
        return inquiry.result()
    # 4.1: "If no NAPTR records are found, the client constructs SRV queries for those transport protocols it supports,
    # and does a query for each."
    yield from _by_srv(inquiry, guesses, _default_transport(guesses, secure, host))
    return inquiry.result()


def locate_response(
    transport: str, host: str, port: int | None, *, choose: Choose, families: Sequence[int] = (4, 6)
) -> Search:
    """Where a response goes when the way that its request came has failed (section 5).

    `transport`, `host` and `port` are those of the topmost Via: its sent-protocol and its sent-by.
    """
    transport = transport.upper()
    host = _plain(host)
    if transport not in _GUESSED:
        # RFC 7118: a WebSocket client cannot be connected to; its sent-by is often a made-up name.
        raise LocateError(_UNAVAILABLE, f"no connection for {shown(transport)} can be opened to {shown(host)}")
    if is_ipv4(host) or is_ipv6(host):
        # "If it contains a numeric IP address, the server attempts to send the response to that address, using the
        # transport protocol from the Via header, and the port from sent-by, if present, else the default".
        return [Destination(transport, host, port or DEFAULT_PORTS[transport], host, "the address in sent-by")]
    _check_name(host)
    inquiry = _Inquiry(host, families, choose)
    if port is not None:
        # "If, however, the sent-by field contained a domain name and a port number, the server queries for A or AAAA
        # records with that name."
        yield from inquiry.add_host(transport, host, port, "the port in sent-by")
        return inquiry.result()
    # "If, however, the sent-by field contained a domain name and no port, the server queries for SRV records at that
    # domain name using the service identifier "_sips" if the Via transport is "TLS", "_sip" otherwise".
    yield from _by_srv(inquiry, [transport], transport)
    return inquiry.result()


def order_srv(records: Sequence[Srv], choose: Choose) -> list[Srv]:
    """The records in the order in which they are to be tried: by priority, then by chance according to weight."""
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        # "arrange all SRV RRs (that have not been ordered yet) in any order, except that all those with weight 0 are
        # placed at the beginning of the list." Sorted, so that only `choose` decides.
        left = sorted([record for record in records if record.priority == priority])
        while left:
            ordered.append(left.pop(_selected(left, choose) if len(left) > 1 else 0))
    return ordered


def _selected(records: list[Srv], choose: Choose) -> int:
    total = sum([record.weight for record in records])
    if total == 0:
        # Without weights "any order" will do; a random one shares the load.
        return choose(len(records) - 1)
    # "choose a uniform random number between 0 and the sum computed (inclusive), and select the RR whose running sum
    # value is the first in the selected order which is greater than or equal to the random number selected."
    chosen = choose(total)
    running = 0
    for position, record in enumerate(records[:-1]):
        running += record.weight
        if running >= chosen:
            return position
    return len(records) - 1


def _by_naptr(inquiry: _Inquiry, candidates: list[str]) -> Generator[Question, Answer, bool]:
    """Follow the NAPTR records of the domain; False when it has none that serve us."""
    answer = yield from inquiry.ask("NAPTR", inquiry.host)
    # A failure counts as none: NAPTR only says which SRV records to prefer, and resolvers that know no NAPTR are more
    # common than domains that depend on it.
    records = [] if isinstance(answer, Failure) else [record for record in answer if isinstance(record, Naptr)]
    fitting: list[tuple[int, int, int, str, str]] = []
    for record in records:
        transport = _SERVICES.get(record.service.upper(), "")
        # 4.1: "The resource record will contain an empty regular expression and a replacement value". "First, a client
        # resolving a SIPS URI MUST discard any services that do not contain "SIPS" ... Second, a client MUST discard
        # any service fields that identify a resolution service whose value is not "D2X", for values of X that indicate
        # transport protocols supported by the client."
        if transport in candidates and record.flags.upper() == "S" and not record.regexp:
            name = record.replacement.rstrip(".")
            if name:
                rank = candidates.index(transport)
                fitting.append((record.order, record.preference, rank, transport, name))
    if not fitting:
        return False
    fitting.sort()
    # RFC 3403 4.1: "once a match is found the client MUST NOT consider records with a different Order but they MAY
    # process records with the same Order but different Preferences."
    fitting = [match for match in fitting if match[0] == fitting[0][0]]
    missing = True
    for order, preference, _, transport, name in fitting:
        if (yield from inquiry.add_srv(transport, name, f"NAPTR {order} {preference}, {name}")) != _NONE:
            missing = False
    if missing:
        # 4.2: "If no SRV records were found, the client performs an A or AAAA record lookup of the domain name."
        transport = fitting[0][3]
        yield from inquiry.add_host(transport, inquiry.host, DEFAULT_PORTS[transport], "NAPTR without SRV records")
    return True


def _by_srv(inquiry: _Inquiry, transports: list[str], default: str) -> Generator[Question, Answer, None]:
    """Ask for the SRV records of each transport; when none has any, for the addresses of the domain."""
    outcomes: dict[str, str] = {}
    for transport in transports:
        name = _SRV_PREFIXES[transport] + inquiry.host
        outcomes[transport] = yield from inquiry.add_srv(transport, name, name)
    if _FOUND in outcomes.values() or _FAILED in outcomes.values():
        # When DNS has failed it is not known that there are no records: the address of the domain could be any machine.
        return
    if outcomes[default] == _DENIED:
        left = [transport for transport in transports if outcomes[transport] == _NONE]
        if not left:
            raise LocateError(_NOT_FOUND, f"{shown(inquiry.host)} says that it has no SIP service (SRV target '.')")
        default = left[0]
    # 4.1: "If no SRV records are found, the client SHOULD use TCP for a SIPS URI, and UDP for a SIP URI."
    yield from inquiry.add_host(default, inquiry.host, DEFAULT_PORTS[default], "no SRV records")


class _Inquiry:
    """What one search has asked and found so far."""

    __slots__ = ("addresses", "asked", "choose", "destinations", "failures", "families", "host", "seen")

    def __init__(self, host: str, families: Sequence[int], choose: Choose) -> None:
        self.host: str = host
        self.families: Sequence[int] = families
        self.choose: Choose = choose
        self.asked: int = 0
        self.failures: list[str] = []
        self.addresses: dict[str, list[str]] = {}
        self.destinations: list[Destination] = []
        self.seen: set[tuple[str, str, int, str]] = set()

    def ask(self, kind: str, name: str) -> Generator[Question, Answer, Answer]:
        answer: Answer = Failure(f"more than {MOST_QUESTIONS} questions")
        if self.asked < MOST_QUESTIONS:
            self.asked += 1
            answer = yield Question(kind, name)
        if isinstance(answer, Failure):
            self.failures.append(f"{kind} {name}: {answer.reason}")
        return answer

    def add_srv(self, transport: str, name: str, why: str) -> Generator[Question, Answer, str]:
        """Add the servers of the SRV records at `name`; returns what became of the question."""
        answer = yield from self.ask("SRV", name)
        if isinstance(answer, Failure):
            return _FAILED
        records = [record for record in answer if isinstance(record, Srv)]
        if not records:
            return _NONE
        # RFC 2782: "A Target of "." means that the service is decidedly not available at this domain." Nothing can be
        # sent to port 0.
        usable = [record for record in records if record.target.rstrip(".") and record.port]
        for record in order_srv(usable, self.choose):
            reason = f"{why}: SRV {record.priority} {record.weight} {record.port} {record.target}"
            yield from self.add_host(transport, record.target.rstrip("."), record.port, reason)
        return _FOUND if usable else _DENIED

    def add_host(self, transport: str, host: str, port: int, reason: str) -> Generator[Question, Answer, None]:
        """Add a destination for each address of `host`."""
        if len(self.destinations) >= MOST_DESTINATIONS:
            return
        for address in (yield from self.addresses_of(host)):
            destination = Destination(transport, address, port, self.host, reason)
            if destination.key() not in self.seen and len(self.destinations) < MOST_DESTINATIONS:
                self.seen.add(destination.key())
                self.destinations.append(destination)

    def addresses_of(self, host: str) -> Generator[Question, Answer, list[str]]:
        if is_ipv4(host) or is_ipv6(host):
            # RFC 2782 wants a name as the target; an address is clear enough.
            return [host]
        host = host.lower()
        if host not in self.addresses:
            found: list[str] = []
            for family in self.families:
                kind = "AAAA" if family == 6 else "A"
                answer = yield from self.ask(kind, host)
                if not isinstance(answer, Failure):
                    found += [record for record in answer if isinstance(record, str)]
            self.addresses[host] = found
        return self.addresses[host]

    def result(self) -> list[Destination]:
        """The destinations. Raises LocateError when there are none."""
        if self.destinations:
            return self.destinations
        if self.failures:
            raise LocateError(_UNAVAILABLE, f"DNS failed for {shown(self.host)}: {self.failures[0]}")
        raise LocateError(_NOT_FOUND, f"DNS has no address of a SIP server for {shown(self.host)}")


def _wanted_transport(scheme: str, parameter: str | None) -> str:
    """The transport that the URI asks for by name, "" when it does not."""
    if scheme != "sip" and scheme != "sips":
        raise LocateError(_BAD_REQUEST, f"RFC 3263 locates SIP and SIPS URIs, not {shown(scheme)}")
    if parameter is None:
        return ""
    name = parameter.upper()
    if scheme == "sip":
        return name
    if name not in _SECURED:
        raise LocateError(_BAD_REQUEST, f"a SIPS URI cannot be reached by transport {shown(parameter)}")
    return _SECURED[name]


def _default_transport(guesses: list[str], secure: bool, host: str) -> str:
    # 4.1: "the client SHOULD use UDP for a SIP URI, and TCP for a SIPS URI" (that is, TLS over TCP).
    default = "TLS" if secure else "UDP"
    if default in guesses:
        return default
    if not guesses:
        raise LocateError(_UNAVAILABLE, f"no transport to {shown(host)}: it is not said to be a WebSocket server")
    return guesses[0]


def _plain(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host.rstrip(".").lower()


def _check_name(host: str) -> None:
    # RFC 1035 2.3.4: "labels 63 octets or less, names 255 octets or less"; the longest SRV prefix takes 11.
    labels = host.split(".")
    if len(host) > 242 or not all(0 < len(label) <= 63 for label in labels):
        raise LocateError(_NOT_FOUND, f"no domain can be named {shown(host)}")
