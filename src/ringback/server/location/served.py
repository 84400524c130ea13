"""Addresses of record: which of them are ours, and under which key the store has them (RFC 3261 10.3 step 5)."""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import unescape
from ringback.sip.headers import parse_name_addr
from ringback.sip.route import Self
from ringback.sip.uri import Uri, build_uri

# The To of most registrations: nothing that would have to be unescaped, removed or refused.
_PLAIN: Final = re.compile(r"<(sips?):([A-Za-z0-9\-_.!~*'()&=+$,]+)@([a-z0-9.\-]+)>\Z")


class AddressOfRecord:
    """One address of record of ours.

    key  how the store has it: "user@domain"
    uri  as it was written, without parameters
    """

    __slots__ = ("key", "uri")

    def __init__(self, key: str, uri: Uri) -> None:
        self.key: str = key
        self.uri: Uri = uri


class Served:
    """The domains of this server and the addresses that stand for the main one.

    domains  the main one first
    """

    __slots__ = ("_names", "domains", "element")

    def __init__(self, domains: tuple[str, ...], element: Self) -> None:
        self.domains: tuple[str, ...] = domains
        self.element: Self = element
        self._names: frozenset[str] = frozenset(domains)

    def key(self, uri: Uri) -> str:
        """The key of a SIP URI's user; "" when it names no user of ours.

        "all URI parameters MUST be removed (including the user-param), and any escaped characters MUST be converted to
        their unescaped form. The result serves as an index into the list of bindings." An address of this server in the
        place of the domain means the main domain, for telephones that know no name.
        """
        if not uri.user or not uri.is_sip:
            return ""
        domain = self.domain_of(uri)
        return f"{unescape(uri.user)}@{domain}" if domain else ""

    def domain_of(self, uri: Uri) -> str:
        """The domain of ours that a SIP URI's host means, or ""."""
        host = uri.host.rstrip(".")
        if host in self._names:
            return host
        if "maddr" in uri.parameters:
            # It says where to send, not who somebody is.
            return ""
        return self.domains[0] if self.domains and self.element.owns(uri) else ""

    def covers(self, target: Uri, key: str) -> bool:
        """Whether a REGISTER with this Request-URI may be about the address of record `key` (10.3 step 5)."""
        host = target.host.rstrip(".")
        if host in self._names:
            return key.endswith("@" + host)
        # The Request-URI names the server and no domain (10.2.6): it has access to all bindings.
        return self.element.owns(target)

    def address_of(self, value: str) -> AddressOfRecord | None:
        """The address of record that a To value names; None when it is none of ours. Raises ParseError."""
        plain = _PLAIN.match(value)
        if plain is not None:
            scheme, user, host = plain.groups()
            if host in self._names:
                uri = Uri(f"{scheme}:{user}@{host}", scheme, user, None, host, None, {}, "")
                return AddressOfRecord(f"{user}@{host}", uri)
        uri = parse_name_addr(value).uri
        if not uri.is_sip:
            # 10.2: "This address-of-record MUST be a SIP URI or SIPS URI"; RFC 4475 3.3.4: "A registrar would reject
            # this request with a 400 (Bad Request) response".
            raise ParseError(f"an address of record cannot be a {uri.scheme}: URI")
        key = self.key(uri)
        if not key:
            return None
        return AddressOfRecord(key, build_uri(uri.scheme, uri.user, uri.host, uri.port))
