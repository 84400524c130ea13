"""The vocabulary of a registrar (RFC 3261 10.3 and 20.10, RFC 3680, 3840, 5626, 5627).

A `Contact` is what a request asks for, a `Binding` is what is kept of it and what the response lists. A `Policy` is
what the registrar decides for itself, an `Outcome` is what comes of one request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import number, shown, unquote
from ringback.sip.gruu import Gruus, instance_of
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Headers
from ringback.sip.transport import Flow, bracketed
from ringback.sip.uri import Uri

#: 20.19: "an integral number of seconds (in decimal) between 0 and (2**32)-1".
_LONGEST_EXPIRES: Final = 4294967295
#: What malformed values are taken for (10.2).
_HOUR: Final = 3600
MOST_Q: Final = 1000
LONGEST_USER_AGENT: Final = 200
_Q: Final = re.compile(r"0(?:\.[0-9]{0,3})?\Z|1(?:\.0{0,3})?\Z")
#: Contact parameters that are kept in fields of their own, and those that only the registrar may give (RFC 5627 5.1).
_OWN_PARAMETERS: Final = frozenset(("expires", "q", "+sip.instance", "reg-id", "pub-gruu", "temp-gruu"))

REGISTERED: Final = "registered"
REFRESHED: Final = "refreshed"
UNREGISTERED: Final = "unregistered"
EXPIRED: Final = "expired"

#: Says why a contact must not be registered, or "": it leads back to this server, say. It is given the contact, the
#: flow that the request came by, and whether the contact will be reached over that flow or a Path, not by its URI.
Refused = Callable[[Uri, Flow, bool], str]


class Binding:
    """One binding of an address of record; the fields are those of the store's rows.

    contact     the text of the Contact URI
    expires     when it ends
    q           preference in thousandths
    call_id     of the request that made or refreshed it; cseq likewise
    instance    the instance ID without quotes and angle brackets, or ""
    reg_id      the flow's number, 0 for a binding that is no outbound flow
    path        the values of Path from top to bottom, to be put into Route headers
    flow        the token of the flow to send on, "" when the contact is reached as it is
    received    where the request came from when that is not what the Contact says ("udp:203.0.113.7:41234"), or ""
    parameters  the other Contact parameters as text, each with its ";"
    user_agent  the User-Agent header
    gruu        the epoch of the instance's temporary GRUUs, 0 without an instance
    updated     when it was made or refreshed
    """

    __slots__ = (
        "call_id",
        "contact",
        "cseq",
        "expires",
        "flow",
        "gruu",
        "instance",
        "parameters",
        "path",
        "q",
        "received",
        "reg_id",
        "updated",
        "user_agent",
    )

    def __init__(
        self,
        contact: str,
        expires: float,
        q: int = MOST_Q,
        call_id: str = "",
        cseq: int = 0,
        instance: str = "",
        reg_id: int = 0,
        path: tuple[str, ...] = (),
        flow: str = "",
        received: str = "",
        parameters: str = "",
        user_agent: str = "",
        gruu: int = 0,
        updated: float = 0.0,
    ) -> None:
        self.contact: str = contact
        self.expires: float = expires
        self.q: int = q
        self.call_id: str = call_id
        self.cseq: int = cseq
        self.instance: str = instance
        self.reg_id: int = reg_id
        self.path: tuple[str, ...] = path
        self.flow: str = flow
        self.received: str = received
        self.parameters: str = parameters
        self.user_agent: str = user_agent
        self.gruu: int = gruu
        self.updated: float = updated

    def with_epoch(self, gruu: int) -> Binding:
        """The same binding in another epoch of its temporary GRUUs."""
        copy = Binding(self.contact, self.expires, self.q, self.call_id, self.cseq, self.instance, self.reg_id)
        copy.path = self.path
        copy.flow = self.flow
        copy.received = self.received
        copy.parameters = self.parameters
        copy.user_agent = self.user_agent
        copy.gruu = gruu
        copy.updated = self.updated
        return copy

    def __repr__(self) -> str:
        return f"<Binding {self.contact} until {self.expires}>"


class Contact:
    """One Contact value of a REGISTER, read.

    requested   the expiry that it asks for, in seconds
    parameters  those that are kept as text, each with its ";"
    """

    __slots__ = ("instance", "parameters", "q", "reg_id", "requested", "uri")

    def __init__(self, uri: Uri, requested: int) -> None:
        self.uri: Uri = uri
        self.requested: int = requested
        self.q: int = MOST_Q
        self.instance: str = ""
        self.reg_id: int = 0
        self.parameters: str = ""


def read_contact(value: str, requested: int) -> Contact:
    """Read one Contact value; `requested` is the expiry of one without an expires parameter. Raises ParseError."""
    address = parse_name_addr(value)
    parameters = address.parameters
    contact = Contact(address.uri, requested)
    if "expires" in parameters:
        # "If the field value has an 'expires' parameter, that value MUST be taken as the requested expiration."
        contact.requested = seconds(unquote(parameters["expires"] or ""))
    if "q" in parameters:
        contact.q = _thousandths(parameters["q"])
    if "+sip.instance" in parameters:
        contact.instance = instance_of(parameters["+sip.instance"])
    if "reg-id" in parameters:
        contact.reg_id = number(parameters["reg-id"] or "", "reg-id", 2147483647)
        if contact.reg_id == 0:
            # RFC 5626 section 10: "The value of the reg-id MUST NOT be 0 and MUST be less than 2^31."
            raise ParseError("reg-id is 0")
    for name, content in parameters.items():
        # RFC 5626 section 6: "The registrar MUST store in the binding the Contact URI, all the Contact header field
        # parameters". RFC 5627 5.1 about "pub-gruu" and "temp-gruu": "the header field parameter MUST be ignored".
        if name not in _OWN_PARAMETERS:
            contact.parameters += f";{name}" if content is None else f";{name}={content}"
    return contact


class Policy:
    """What a registrar decides for itself; times in seconds.

    default_expires   granted when a request asks for none
    min_expires       asking for less is answered with 423
    max_expires       the most that is granted
    most_contacts     bindings that an address of record may have
    path_unsupported  whether a Path is taken from a user agent that does not say it supports it (RFC 3327 5.3)
    schemes           schemes of a Contact that are accepted
    service_route     the values of Service-Route (RFC 3608) in each 2xx
    flow_timer        the Flow-Timer of a direct outbound registration (RFC 5626 section 6), 0 for none
    flow_secret       the key of flow tokens; b"" and no flow is ever kept
    gruus             makes temporary GRUUs; None and no GRUU is given
    refused           says which contacts are not accepted, beside what 10.3 and RFC 5627 say
    """

    __slots__ = (
        "default_expires",
        "flow_secret",
        "flow_timer",
        "gruus",
        "max_expires",
        "min_expires",
        "most_contacts",
        "path_unsupported",
        "refused",
        "schemes",
        "service_route",
    )

    def __init__(
        self,
        default_expires: int = 3600,
        min_expires: int = 60,
        max_expires: int = 7200,
        most_contacts: int = 10,
        path_unsupported: bool = False,
        schemes: frozenset[str] = frozenset(("sip", "sips")),
        service_route: tuple[str, ...] = (),
        flow_timer: int = 0,
        flow_secret: bytes = b"",
        gruus: Gruus | None = None,
        refused: Refused | None = None,
    ) -> None:
        self.default_expires: int = default_expires
        self.min_expires: int = min_expires
        self.max_expires: int = max_expires
        self.most_contacts: int = most_contacts
        self.path_unsupported: bool = path_unsupported
        self.schemes: frozenset[str] = schemes
        self.service_route: tuple[str, ...] = service_route
        self.flow_timer: int = flow_timer
        self.flow_secret: bytes = flow_secret
        self.gruus: Gruus | None = gruus
        self.refused: Refused | None = refused


class Change:
    """One thing that happened to a binding; `event` is as RFC 3680 section 5.2.2 names it."""

    __slots__ = ("binding", "event")

    def __init__(self, event: str, binding: Binding) -> None:
        self.event: str = event
        self.binding: Binding = binding

    def __repr__(self) -> str:
        return f"<{self.event} {self.binding.contact}>"


class Outcome:
    """What comes of a request.

    status, reason  of the response; reason "" stands for the default phrase
    headers         of the response
    rows            the bindings as they shall be: to be stored before the response is sent
    changes         what is different; empty when there is nothing to store
    why             for the decision's record: what was done, or why not
    """

    __slots__ = ("changes", "headers", "reason", "rows", "status", "why")

    def __init__(
        self, status: int, reason: str, headers: Headers, rows: list[Binding], changes: list[Change], why: str = ""
    ) -> None:
        self.status: int = status
        self.reason: str = reason
        self.headers: Headers = headers
        self.rows: list[Binding] = rows
        self.changes: list[Change] = changes
        self.why: str = why or reason


def contact_value(binding: Binding, now: float) -> str:
    """A binding as a Contact of the response (step 8)."""
    left = int(binding.expires - now + 0.5)
    value = f"<{binding.contact}>;expires={left if left > 0 else 1}"
    if binding.q != MOST_Q:
        value += f";q={_q_text(binding.q)}"
    if binding.instance:
        # RFC 5627 5.2: "if the registrar has stored an instance ID associated with that contact, that instance ID is
        # returned as a Contact header field parameter."
        value += f';+sip.instance="<{binding.instance}>"'
        if binding.reg_id:
            value += f";reg-id={binding.reg_id}"
    # RFC 3840 section 6: "each Contact header field value MUST include all of the feature parameters associated with
    # that URI."
    return value + binding.parameters if binding.parameters else value


def received_from(source: Flow) -> str:
    """Where a request came from, as bindings keep it: "udp:203.0.113.7:41234"."""
    return f"{source.transport.lower()}:{bracketed(source.host)}:{source.port}"


def finish(headers: Headers, policy: Policy, date: str) -> None:
    """Add what stands in every 2xx."""
    for value in policy.service_route:
        headers.append(("Service-Route", value))
    if date:
        # "The response SHOULD include a Date header field."
        headers.append(("Date", date))


def seconds(text: str) -> int:
    """The value of an Expires header or parameter."""
    if not (text.isascii() and text.isdigit()):
        # 10.2: "Malformed values SHOULD be treated as equivalent to 3600."
        return _HOUR
    # 10.2: "Implementations MAY treat values larger than 2**32-1 … as equivalent to 2**32-1."
    return min(int(text), _LONGEST_EXPIRES) if len(text) <= 10 else _LONGEST_EXPIRES


def _thousandths(text: str | None) -> int:
    if text is None or _Q.match(text) is None:
        raise ParseError(f"not a q value: {shown(text or '')}")
    whole, _, fraction = text.partition(".")
    return int(whole) * MOST_Q + int(fraction.ljust(3, "0"))


def _q_text(q: int) -> str:
    return f"0.{q:03}".rstrip("0").rstrip(".")
