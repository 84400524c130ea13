"""The headers that steer a message: names, Via, addresses and CSeq (RFC 3261 sections 7.3 and 20).

Here stands what the transaction layer and a proxy read of every message. All others are read by their name.
"""

from __future__ import annotations

import re
import sys
from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import (
    DIGITS,
    LETTERS,
    SPACE,
    character_set,
    first_value,
    is_ipv4,
    is_ipv6,
    is_token,
    number,
    parse_parameters,
    quote,
    quoted_end,
    short_number,
    shown,
    span,
    split_commas,
    split_parameters,
    unquote,
)
from ringback.sip.uri import Uri, parse_host_port, parse_uri

#: The headers that decide how a message is handled and of which it holds at most one (7.3.1): one bit for each. A
#: second Subject, Server or Date is let pass: "Any other components, well-formed or not, SHOULD be ignored
#: and remain unchanged when the message is forwarded" (16.3 step 1).
SINGLE_NAMES: Final = (
    "from",
    "to",
    "call-id",
    "cseq",
    "content-length",
    "max-forwards",
    "content-type",
    "content-disposition",
    "expires",
    "min-expires",
    "event",
    "subscription-state",
    "refer-to",
    "referred-by",
    "replaces",
    "join",
    "target-dialog",
    "session-expires",
    "min-se",
    "max-breadth",
    "rack",
    "rseq",
    "sip-etag",
    "sip-if-match",
)
FROM_BIT: Final = 1
TO_BIT: Final = 2
CALL_ID_BIT: Final = 4
CSEQ_BIT: Final = 8
CONTENT_LENGTH_BIT: Final = 16
VIA_BIT: Final = 1 << 40
#: Of Route and Record-Route, which may stand often.
ROUTE_BIT: Final = 1 << 41

#: RFC 3261 7.3.3 and the registry since: the one-letter form of a name.
COMPACT: Final[dict[str, str]] = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_SPELLED: Final = (
    *("Accept", "Accept-Contact", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Allow-Events"),
    *("Authentication-Info", "Authorization", "Call-ID", "Call-Info", "Contact", "Content-Disposition"),
    *("Content-Encoding", "Content-ID", "Content-Language", "Content-Length", "Content-Transfer-Encoding"),
    *("Content-Type", "CSeq", "Date", "Error-Info", "Event", "Expires", "Flow-Timer", "From", "History-Info"),
    *("Identity", "In-Reply-To", "Join", "Max-Breadth", "Max-Forwards", "MIME-Version", "Min-Expires"),
    *("Min-SE", "Organization", "P-Asserted-Identity", "P-Preferred-Identity", "Path", "Priority", "Privacy"),
    *("Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck", "Reason", "Record-Route"),
    *("Refer-To", "Referred-By", "Reject-Contact", "Replaces", "Reply-To", "Request-Disposition", "Require"),
    *("Retry-After", "Route", "RSeq", "Server", "Service-Route", "Session-Expires", "SIP-ETag", "SIP-If-Match"),
    *("Subject", "Subscription-State", "Supported", "Timestamp", "To", "Unsupported", "User-Agent", "Via"),
    *("Warning", "WWW-Authenticate"),
)


class HeaderName:
    """One header name: its key (lower case, long form), how we write it, and its bit when it stands only once."""

    __slots__ = ("bit", "key", "spelled")

    def __init__(self, key: str, spelled: str, bit: int) -> None:
        self.key: str = key
        self.spelled: str = spelled
        self.bit: int = bit


def _known_names() -> dict[str, HeaderName]:
    table: dict[str, HeaderName] = {}
    spellings = {name.lower(): name for name in _SPELLED}
    bits = {name: 1 << position for position, name in enumerate(SINGLE_NAMES)}
    bits["via"] = VIA_BIT
    bits["route"] = bits["record-route"] = ROUTE_BIT
    for name in {*spellings, *bits, *COMPACT.values()}:
        # Interned, so that a search in `Message.names` compares pointers.
        key = sys.intern(name)
        spelled = spellings.get(key, key.title())
        entry = HeaderName(key, spelled, bits.get(key, 0))
        table[key] = table[spelled] = table[key.title()] = table[key.upper()] = entry
    for letter, key in COMPACT.items():
        table[letter] = table[letter.upper()] = table[key]
    return table


#: Usual spellings of known names, so that most lines cost one look-up. Never changed after import.
KNOWN_NAMES: Final = _known_names()


def header_name(name: str) -> HeaderName:
    """The entry for a header name in any spelling. Raises ParseError for what is not a token."""
    known = KNOWN_NAMES.get(name)
    if known is not None:
        return known
    key = name.lower()
    known = KNOWN_NAMES.get(key)
    if known is not None:
        return known
    if not is_token(name):
        raise ParseError(f"not a header name: {shown(name)}")
    return HeaderName(key, name, 0)


class Via:
    """The first value of a Via line (20.42).

    transport   upper case, as in "SIP/2.0/UDP"
    host        lower case, IPv6 in brackets; port is 0 when none is written
    branch      "" when missing
    received    an address without brackets, "" when missing
    rport       -1 missing, 0 present without a value (RFC 3581), else the port
    size        how many characters of the line's value this first value takes
    more        whether another value follows on the same line
    """

    __slots__ = ("_host", "_port", "branch", "more", "received", "rport", "sent_by", "size", "transport")

    def __init__(self, transport: str, sent_by: str) -> None:
        self.transport: str = transport
        #: The sent-by as it was written; read when host or port is asked for.
        self.sent_by: str = sent_by
        self.branch: str = ""
        self.received: str = ""
        self.rport: int = -1
        self.size: int = 0
        self.more: bool = False
        self._host: str = ""
        self._port: int = 0

    @property
    def host(self) -> str:
        """The host of the sent-by. Raises ParseError."""
        if not self._host:
            self._host, self._port = _parse_sent_by(self.sent_by)
        return self._host

    @property
    def port(self) -> int:
        """The port of the sent-by, 0 when none is written. Raises ParseError."""
        if not self._host:
            self._host, self._port = _parse_sent_by(self.sent_by)
        return self._port


_PROTOCOLS: Final[dict[str, str]] = {
    f"SIP/2.0/{transport}": transport for transport in ("UDP", "TCP", "TLS", "WS", "WSS", "SCTP", "TLS-SCTP")
}


_SENT_BY: Final = character_set(LETTERS + DIGITS + "_-.")
MOST_VIA_PARAMETERS: Final = 32


def parse_via(value: str) -> Via:
    """Read the first Via of a line's value. Raises ParseError."""
    if '"' in value:
        first = first_value(value)
        parts = split_parameters(first)
    else:
        comma = value.find(",")
        first = value if comma < 0 else value[:comma]
        parts = first.split(";")
    head = parts[0].strip(SPACE)
    space = head.find(" ")
    transport = _PROTOCOLS.get(head[:space]) if space > 0 else None
    if transport is None:
        transport, sent_by = _via_protocol(parts[0])
    else:
        sent_by = head[space + 1 :]
    via = Via(transport, sent_by.strip(SPACE))
    if not via.sent_by:
        raise ParseError(f"a Via without an address: {shown(value)}")
    if len(parts) > MOST_VIA_PARAMETERS:
        raise ParseError(f"a Via with over {MOST_VIA_PARAMETERS} parameters")
    for position in range(1, len(parts)):
        part = parts[position]
        if part.startswith("branch=") and not via.branch:
            via.branch = part[7:].strip(SPACE)
            continue
        equals = part.find("=")
        if equals < 0:
            _via_parameter(via, part.strip(SPACE).lower(), "", "")
        else:
            _via_parameter(via, part[:equals].strip(SPACE).lower(), "=", part[equals + 1 :].strip(SPACE))
    via.size = len(first)
    via.more = len(first) < len(value)
    return via


def _via_protocol(text: str) -> tuple[str, str]:
    """`SIP / 2.0 / UDP host` with spaces or other spellings: the transport and what follows it."""
    pieces = text.split("/")
    # "protocol-name = "SIP" / token" and "protocol-version = token": so that another version can be answered with 505.
    if len(pieces) != 3 or not is_token(pieces[0].strip(SPACE)) or not is_token(pieces[1].strip(SPACE)):
        raise ParseError(f"not a Via: {shown(text)}")
    words = pieces[2].replace("\t", " ").strip(" ").partition(" ")
    if not words[2] or not is_token(words[0]):
        raise ParseError(f"a Via without transport and address: {shown(text)}")
    return words[0].upper(), words[2]


def _parse_sent_by(sent_by: str) -> tuple[str, int]:
    # As nearly every element writes it: no IPv6, no space, and a port.
    end = span(sent_by, _SENT_BY)
    if 0 < end < len(sent_by) and ord(sent_by[end]) == ord(":") and sent_by[0] != "-" and sent_by[0] != ".":
        value = short_number(sent_by[end + 1 :])
        if 0 < value <= 65535:
            return sent_by[:end].lower(), value
    # COLON = SWS ":" SWS: space is allowed around it, and nowhere else.
    host, colon, port = sent_by.rpartition(":")
    if colon and not port.endswith("]"):
        sent_by = f"{host.rstrip(SPACE)}:{port.lstrip(SPACE)}"
    name, number_or_none = parse_host_port(sent_by, sent_by)
    return name, number_or_none or 0


def _via_parameter(via: Via, name: str, equals: str, content: str) -> None:
    if name == "branch":
        if via.branch:
            raise ParseError("a Via with two branches")
        via.branch = content
    elif name == "received":
        # RFC 5118 4.5: "be liberal in accepting a 'received' parameter with or without the delimiting '[' and ']'".
        via.received = content[1:-1] if content.startswith("[") and content.endswith("]") else content
        if not is_ipv4(via.received) and not is_ipv6(via.received):
            raise ParseError(f"received in Via is not an address: {shown(content)}")
    elif name == "rport":
        # A value that is not a port means no more than an empty one: it is overwritten on the way (RFC 3581 4).
        via.rport = max(0, short_number(content)) if len(content) < 6 else 0
    elif not is_token(name) or (equals and not content):
        raise ParseError(f"not a parameter of Via: {shown(name + equals + content)}")


class NameAddr:
    """An address with its display name and parameters: From, To, Contact, Route … (20.10).

    display     without quotes and escapes
    uri         the address
    parameters  names in lower case, quoted values still quoted
    """

    __slots__ = ("display", "parameters", "uri")

    def __init__(self, display: str, uri: Uri, parameters: dict[str, str | None]) -> None:
        self.display: str = display
        self.uri: Uri = uri
        self.parameters: dict[str, str | None] = parameters

    @property
    def tag(self) -> str:
        """The tag parameter, or ""."""
        return self.parameters.get("tag") or ""

    def __str__(self) -> str:
        out = f"{quote(self.display)} <{self.uri.text}>" if self.display else f"<{self.uri.text}>"
        for name, value in self.parameters.items():
            out += f";{name}" if value is None else f";{name}={value}"
        return out


# A From or To line as nearly everybody writes it. What matches is sound; what does not may be so all the same.
_TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]++"
_OCTET: Final = "(?:1[0-9]{2}|2[0-4][0-9]|[1-9]?[0-9])"
_PLAIN_ADDRESS: Final = re.compile(
    rf"""[A-Za-z]++:[ ]?(?:"[^"\\]*+"[ ]?|(?:{_TOKEN}[ ])*)
    <sips?:(?:[A-Za-z0-9\-_.!~*'()&=+$,]++@)?
    (?:(?:[A-Za-z0-9]++[.\-])*[A-Za-z][A-Za-z0-9]*+|(?:{_OCTET}\.){{3}}{_OCTET})(?::[1-9][0-9]{{0,3}})?>
    (?:;tag={_TOKEN})?\Z""",
    re.VERBOSE,
)
_PLAIN_LENGTH: Final = 250


def is_plain_address(line: str) -> bool:
    """Whether a whole From or To line is certainly sound; if not, `parse_name_addr` has to tell."""
    return len(line) < _PLAIN_LENGTH and _PLAIN_ADDRESS.match(line) is not None


def parse_name_addr(value: str) -> NameAddr:
    """Read one `name-addr` or `addr-spec` with its parameters. Raises ParseError."""
    value = value.strip(SPACE)
    display = ""
    if value.startswith('"'):
        angle = quoted_end(value, 0)
        display = unquote(value[:angle])
        while angle < len(value) and value[angle] in SPACE:
            angle += 1
        if angle == len(value) or ord(value[angle]) != ord("<"):
            raise ParseError(f"a display name without <address>: {shown(value)}")
    else:
        angle = value.find("<")
        if angle < 0:
            return _parse_addr_spec(value)
        if angle > 0:
            display = value[:angle]
            if ";" in display or ":" in display:
                return _parse_addr_spec(value)
            display = _plain_display(display, value)
    close = value.find(">", angle)
    if close < 0:
        raise ParseError(f"'<' without '>' in {shown(value)}")
    uri = parse_uri(value[angle + 1 : close])
    if close + 1 == len(value):
        return NameAddr(display, uri, {})
    tail = value[close + 1 :].lstrip(SPACE)
    if not tail.startswith(";"):
        raise ParseError(f"text after '>' in {shown(value)}")
    return NameAddr(display, uri, parse_parameters(split_parameters(tail), 1))


def _plain_display(text: str, value: str) -> str:
    # "display-name = *(token LWS)/ quoted-string"; RFC 4475 3.1.1.6: the last LWS may be missing.
    size = len(text) - 1
    if ord(text[size]) == ord(" ") and is_token(text[:size]):
        return text[:size]
    words = text.replace("\t", " ").split(" ")
    kept: list[str] = []
    for word in words:
        if word:
            if not is_token(word):
                raise ParseError(f"a display name that needs quotes: {shown(value)}")
            kept.append(word)
    return " ".join(kept)


def _parse_addr_spec(value: str) -> NameAddr:
    # "Even if the 'display-name' is empty, the 'name-addr' form MUST be used if the 'addr-spec' contains a comma,
    # semicolon, or question mark" (20): so without <> all parameters are the header's, and none of these may appear.
    parts = split_parameters(value)
    address = parts[0]
    if "," in address or "?" in address:
        raise ParseError(f"an address with ',' or '?' needs <>: {shown(value)}")
    return NameAddr("", parse_uri(address), parse_parameters(parts, 1))


def parse_name_addrs(values: list[str]) -> list[NameAddr]:
    """Every address of the lines of one header, in order."""
    out: list[NameAddr] = []
    for value in values:
        for piece in split_commas(value):
            out.append(parse_name_addr(piece))
    return out


def tag_of(value: str) -> str:
    """The tag of a From or To value, by a search of its text alone; "" when there is none."""
    angle = value.find(">") + 1
    position = value.find(";tag=", angle)
    if position < 0 or value.find('"', angle) >= 0 or value.find(">", angle) >= 0:
        # Odd spelling, text in quotes or a second ">" that might hide or fake a tag, or no tag: only then is all read.
        return parse_name_addr(value).tag if "tag" in value[angle:].lower() else ""
    end = value.find(";", position + 5)
    return value[position + 5 :].strip(SPACE) if end < 0 else value[position + 5 : end].strip(SPACE)


class CSeq:
    """The sequence number and method of a request (20.16)."""

    __slots__ = ("method", "number")

    def __init__(self, number: int, method: str) -> None:
        self.number: int = number
        self.method: str = method


MOST_CSEQ: Final = 4294967295


def parse_cseq(value: str) -> CSeq:
    """Read a CSeq. "The sequence number MUST be expressible as a 32-bit unsigned integer" (20.16)."""
    space = value.find(" ")
    if space > 0:
        plain = short_number(value[:space])
        method = value[space + 1 :]
        if 0 <= plain <= MOST_CSEQ and is_token(method):
            return CSeq(plain, method)
    digits, _, method = value.replace("\t", " ").partition(" ")
    method = method.lstrip(" ")
    if not method:
        raise ParseError(f"not a CSeq: {shown(value)}")
    if not is_token(method):
        raise ParseError(f"not a method in CSeq: {shown(value)}")
    return CSeq(number(digits, "the CSeq", MOST_CSEQ), method)
