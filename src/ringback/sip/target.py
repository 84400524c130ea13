"""One place to which a request may be forwarded (RFC 3261 16.5), and why."""

from __future__ import annotations

from ringback.sip.transport import Flow


class Target:
    """One member of a target set.

    uri           the text of the Request-URI to send
    flow          the flow on which the request has to leave (RFC 5626 section 7), or None: the next hop is located
    routes        the values to put in Route headers: the Path of the registration (RFC 3327 5.4)
    q             preference in thousandths, 0 to 1000 (16.6)
    reason        why it is a target: which binding or rule
    alternatives  targets that lead to the same user agent, tried one after the other when this one fails with 430, 408
                  or a transport failure, and only then (RFC 5626 section 7, RFC 5627 6.1)
    """

    __slots__ = ("alternatives", "flow", "q", "reason", "routes", "uri")

    def __init__(
        self,
        uri: str,
        flow: Flow | None,
        routes: tuple[str, ...],
        q: int,
        reason: str,
        alternatives: list[Target],
    ) -> None:
        self.uri: str = uri
        self.flow: Flow | None = flow
        self.routes: tuple[str, ...] = routes
        self.q: int = q
        self.reason: str = reason
        self.alternatives: list[Target] = alternatives

    def __repr__(self) -> str:
        more = f" and {len(self.alternatives)} more" if self.alternatives else ""
        return f"<Target {self.uri}: {self.reason}{more}>"
