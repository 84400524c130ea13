"""What a registrar has granted: the 2xx to a REGISTER, read by the user agent that sent it (RFC 3261 10.2.4).

    granted = read_grant(response, contact, instance, reg_id, asked)

It gives what concerns us: how long our binding is good, the GRUUs, the route that the home domain wants our requests to
take, and what the first hop expects of us. Registrars differ in what they return: all bindings of the address of record
or only ours; ours as we wrote it or as they see us; an `expires` with each, one Expires for all, or no Contact at all.
A 2xx says that ours is there; what cannot be read is taken as if it were missing, for nothing in such a response is
worth losing the registration.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import number, split_commas, unquote
from ringback.sip.gruu import instance_of, same_instance
from ringback.sip.headers import NameAddr, parse_name_addr
from ringback.sip.message import Response
from ringback.sip.uri import Uri, parse_uri

#: Values of one header that are looked at.
MOST_VALUES: Final = 64
#: 20.19: "an integral number of seconds (in decimal) between 0 and (2**32)-1".
LONGEST_EXPIRES: Final = 4294967295
#: 10.2: "Malformed values SHOULD be treated as equivalent to 3600."
_HOUR: Final = 3600


class Grant:
    """What a 2xx to a REGISTER says.

    expires        seconds for which our binding is good from the sending of the request; 0: it is gone
    found          how our binding was recognised: "uri", "instance", "address", "rewritten", or "" when it was not
    bindings       all Contacts, ours and others', each as it was written
    public_gruu    the public GRUU, "" for none; temporary_gruu likewise (RFC 5627 4.2)
    service_route  values for Route in what we send from now on (RFC 3608)
    associated     the address of record and its aliases, the default one first (P-Associated-URI, RFC 7315 4.1)
    path           the values of Path (RFC 3327)
    outbound       whether outbound is in use: "Presence of this option-tag [in Require] indicates that the registrar is
                   compliant with this specification, and that any edge proxies which needed to participate are also
                   compliant" (RFC 5626 4.2.1)
    flow_timer     the seconds of Flow-Timer, 0 when there is none
    seen_host, seen_port   the address at which the first hop has seen us (RFC 3581), "" and 0 when it does not say
    """

    __slots__ = (
        "associated", "bindings", "expires", "flow_timer", "found", "outbound", "path", "public_gruu", "seen_host",
        "seen_port", "service_route", "temporary_gruu",
    )  # fmt: skip

    def __init__(self) -> None:
        self.expires: int = 0
        self.found: str = ""
        self.bindings: list[str] = []
        self.public_gruu: str = ""
        self.temporary_gruu: str = ""
        self.service_route: list[str] = []
        self.associated: list[str] = []
        self.path: list[str] = []
        self.outbound: bool = False
        self.flow_timer: int = 0
        self.seen_host: str = ""
        self.seen_port: int = 0


def read_grant(response: Response, contact: Uri, instance: str, reg_id: int, asked: int) -> Grant:
    """Read the 2xx to a REGISTER of `contact`, which asked for `asked` seconds; `reg_id` 0 when it had none."""
    grant = Grant()
    grant.bindings = _values(response, "contact")
    addresses: list[NameAddr] = []
    for value in grant.bindings:
        try:
            addresses.append(parse_name_addr(value))
        except ParseError:
            # Somebody else's odd Contact, or "*": ours is written as we wrote it.
            continue
    own = _own(addresses, contact, instance, reg_id, grant)
    # "If so, it updates the expiration time interval according to the expires parameter or, if absent, the Expires
    # field value." Without either, or without any Contact, the registrar has had nothing against what we asked for.
    grant.expires = _common_expires(response, asked)
    if own is not None:
        if "expires" in own.parameters:
            grant.expires = _seconds(unquote(own.parameters["expires"] or ""))
        grant.public_gruu = _gruu(own.parameters.get("pub-gruu"))
        grant.temporary_gruu = _gruu(own.parameters.get("temp-gruu"))
    grant.service_route = _addresses(response, "service-route")
    grant.associated = _addresses(response, "p-associated-uri")
    grant.path = _addresses(response, "path")
    grant.outbound = reg_id > 0 and "outbound" in _lower(response, "require")
    grant.flow_timer = _plain_number(response.header("flow-timer"))
    _read_source(response, grant)
    return grant


def _own(addresses: list[NameAddr], contact: Uri, instance: str, reg_id: int, grant: Grant) -> NameAddr | None:
    """Which of the bindings is ours: "The UA compares each contact address to see if it created the contact address,
    using comparison rules in Section 19.1.4", and by instance and reg-id where it has them (RFC 5626 4.2)."""
    for address in addresses:
        if address.uri.equivalent(contact) and _same_flow(address, reg_id):
            grant.found = "uri"
            return address
    if instance:
        for address in addresses:
            if _has_instance(address, instance) and _same_flow(address, reg_id):
                grant.found = "instance"
                return address
    # Registrars that drop parameters which count by 19.1.4, such as transport.
    for address in addresses:
        uri = address.uri
        if uri.is_sip and uri.user == contact.user and uri.host == contact.host and uri.port == contact.port:
            grant.found = "address"
            return address
    if len(addresses) == 1 and addresses[0].uri.is_sip and addresses[0].uri.user == contact.user:
        # Border elements write the address at which they see us, or their own, in place of ours.
        grant.found = "rewritten"
        return addresses[0]
    return None


def _same_flow(address: NameAddr, reg_id: int) -> bool:
    """Whether a binding may be that of our flow: another reg-id is another flow; registrars may leave it out."""
    value = address.parameters.get("reg-id")
    return value is None or reg_id == 0 or value == str(reg_id)


def _has_instance(address: NameAddr, instance: str) -> bool:
    try:
        return same_instance(instance_of(address.parameters.get("+sip.instance")), instance)
    except ParseError:
        return False


def _values(response: Response, key: str) -> list[str]:
    """The values of a list header, those on lines that cannot be split left out."""
    out: list[str] = []
    for line in response.all(key):
        try:
            pieces = split_commas(line)
        except ParseError:
            continue
        for piece in pieces:
            if piece and len(out) < MOST_VALUES:
                out.append(piece)
    return out


def _addresses(response: Response, key: str) -> list[str]:
    """The values of a list of `<URI>`s that can be read."""
    out: list[str] = []
    for value in _values(response, key):
        try:
            parse_name_addr(value)
        except ParseError:
            continue
        out.append(value)
    return out


def _lower(response: Response, key: str) -> list[str]:
    return [value.lower() for value in _values(response, key)]


def _common_expires(response: Response, asked: int) -> int:
    text = response.header("expires")
    return asked if text is None else _seconds(text)


def _seconds(text: str) -> int:
    try:
        return number(text.strip(), "expires", LONGEST_EXPIRES)
    except ParseError:
        return _HOUR


def _plain_number(text: str | None) -> int:
    """A number, 0 when there is none or it cannot be read."""
    if text is None:
        return 0
    try:
        return number(text.strip(), "the value", LONGEST_EXPIRES)
    except ParseError:
        return 0


def _gruu(value: str | None) -> str:
    """The text of a GRUU, opaque as it is; "" when it is no SIP URI."""
    if value is None:
        return ""
    text = unquote(value)
    try:
        return text if parse_uri(text).is_sip else ""
    except ParseError:
        return ""


def _read_source(response: Response, grant: Grant) -> None:
    """Where the first hop has seen our request come from: `received` and `rport` of our Via (RFC 3581 section 4)."""
    try:
        via = response.via
        if via.rport > 0:
            grant.seen_host = via.received or via.host.strip("[]")
            grant.seen_port = via.rport
    except ParseError:
        return
