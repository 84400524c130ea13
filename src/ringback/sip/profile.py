"""Who a user agent is when it sends and answers: address, contact, routes, credentials and preferences."""

from __future__ import annotations

from typing import Final

from ringback.errors import LocalError
from ringback.sip.digest_client import DigestClient
from ringback.sip.headers import NameAddr, parse_name_addr
from ringback.sip.transport import Flow

#: RFC 4028 section 5: "The minimum timer … MUST NOT be lower than 90 seconds".
LEAST_SESSION_EXPIRES: Final = 90

# What `Profile.reliable` may be (RFC 3262).
RELIABLE_NONE: Final = "none"
RELIABLE_SUPPORTED: Final = "supported"
RELIABLE_REQUIRED: Final = "required"


class Profile:
    """One identity of a user agent; it may be changed at any time and counts from the next message on.

    aor              From of what is sent, as a name-addr: `"Alice" <sip:alice@example.org>`
    contact          the URI at which this user agent is reached, without <>; with a GRUU that was learnt, that
    routes           values for the Route of requests outside of dialogs: outbound proxies, a Service-Route
    flow             the flow of a registration (RFC 5626): everything goes over it
    credentials      what challenges are answered with
    session_expires  the session interval to ask for, in seconds (RFC 4028); 0: none is asked for
    min_se           the shortest session interval that is accepted, in seconds
    reliable         "none", "supported" or "required": reliable provisional responses (RFC 3262)
    privacy          the value of a Privacy header (RFC 3323: "id", "header;user" …), or "" for none; "user" and "id"
                     make From anonymous
    identity         who to say that we are where From does not tell, as a name-addr: P-Preferred-Identity, or towards a
                     trusted peer P-Asserted-Identity (RFC 3325); or ""
    trusted          whether the next hop is in our trust domain: its P-Asserted-Identity is believed, and we send ours
    follow           whether the contacts of a 3xx are called at once instead of being handed up
    info_packages    the Info packages that are taken (RFC 6086)
    """

    __slots__ = (
        "aor", "contact", "credentials", "flow", "follow", "identity", "info_packages", "min_se", "privacy", "reliable",
        "routes", "session_expires", "trusted",
    )  # fmt: skip

    def __init__(
        self,
        aor: str,
        contact: str,
        routes: list[str] | None = None,
        flow: Flow | None = None,
        credentials: DigestClient | None = None,
        session_expires: int = 1800,
        min_se: int = LEAST_SESSION_EXPIRES,
        reliable: str = RELIABLE_SUPPORTED,
        privacy: str = "",
        identity: str = "",
        trusted: bool = False,
        follow: bool = False,
        info_packages: list[str] | None = None,
    ) -> None:
        if reliable not in (RELIABLE_NONE, RELIABLE_SUPPORTED, RELIABLE_REQUIRED):
            raise LocalError(f"reliable is none, supported or required, not {reliable!r}")
        if min_se < LEAST_SESSION_EXPIRES or 0 < session_expires < min_se:
            raise LocalError(f"session_expires ({session_expires}) >= min_se ({min_se}) >= {LEAST_SESSION_EXPIRES} s")
        self.aor: str = aor
        self.contact: str = contact
        self.routes: list[str] = routes or []
        self.flow: Flow | None = flow
        self.credentials: DigestClient | None = credentials
        self.session_expires: int = session_expires
        self.min_se: int = min_se
        self.reliable: str = reliable
        self.privacy: str = privacy
        self.identity: str = identity
        self.trusted: bool = trusted
        self.follow: bool = follow
        self.info_packages: list[str] = info_packages or []

    @property
    def address(self) -> NameAddr:
        """`aor`, read. Raises ParseError."""
        return parse_name_addr(self.aor)
