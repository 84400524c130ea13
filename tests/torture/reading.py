"""A message as plain values, so that a table can say what has to be read from it."""

from __future__ import annotations

from ringback.sip.grammar import unescape
from ringback.sip.headers import NameAddr, parse_via
from ringback.sip.message import Request, Response

Address = tuple[str, str, dict[str, str | None]]


def address(value: NameAddr) -> Address:
    """Display name, URI and parameters."""
    return (value.display, value.uri.text, value.parameters)


class Reading:
    """Every attribute reads one thing anew, and raises ParseError when that cannot be read."""

    def __init__(self, message: Request | Response) -> None:
        self.message = message

    @property
    def method(self) -> str:
        assert isinstance(self.message, Request)
        return self.message.method

    @property
    def status(self) -> tuple[int, str]:
        """Code and reason phrase."""
        assert isinstance(self.message, Response)
        return (self.message.status, self.message.reason)

    @property
    def target(self) -> tuple[str, str, str | None, str, int | None, dict[str, str | None]]:
        """Scheme, user, password, host, port and parameters of the Request-URI."""
        assert isinstance(self.message, Request)
        uri = self.message.target
        return (uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.parameters)

    @property
    def target_aor(self) -> str:
        """The address of record that the Request-URI names."""
        assert isinstance(self.message, Request)
        return self.message.target.aor()

    @property
    def target_headers(self) -> str:
        """What follows the "?" of the Request-URI."""
        assert isinstance(self.message, Request)
        return self.message.target.headers

    @property
    def vias(self) -> list[tuple[str, str, int, str, str]]:
        """Transport, host, port (0 without), branch and received of each Via."""
        out = []
        for value in self.message.all("via"):
            while value:
                via = parse_via(value)
                out.append((via.transport, via.host, via.port, via.branch, via.received))
                value = value[via.size + 1 :].strip()
        return out

    @property
    def via_hosts(self) -> list[str]:
        """The host of each Via."""
        return [via[1] for via in self.vias]

    @property
    def last_branch(self) -> str:
        """The branch of the last Via."""
        return self.vias[-1][3]

    @property
    def sender(self) -> Address:
        return address(self.message.from_)

    @property
    def sender_aor(self) -> str:
        return self.message.from_.uri.aor()

    @property
    def to(self) -> Address:
        return address(self.message.to)

    @property
    def to_aor(self) -> str:
        return self.message.to.uri.aor()

    @property
    def to_host(self) -> str:
        return self.message.to.uri.host

    @property
    def contacts(self) -> list[Address]:
        return [address(value) for value in self.message.addresses("contact")]

    @property
    def contact_parameters(self) -> dict[str, str]:
        """The URI parameters of the first Contact, escapes undone."""
        parameters = self.message.addresses("contact")[0].uri.parameters
        return {name: unescape(value or "") for name, value in parameters.items()}

    @property
    def routes(self) -> list[Address]:
        return [address(value) for value in self.message.addresses("route")]

    @property
    def cseq(self) -> tuple[int, str]:
        return (self.message.cseq.number, self.message.cseq.method)

    @property
    def call_id(self) -> str:
        return self.message.call_id

    @property
    def max_forwards(self) -> int | None:
        return self.message.number("max-forwards", 255)

    @property
    def content(self) -> tuple[str | None, int]:
        """Content-Type and how many octets the body has."""
        return (self.message.header("content-type"), len(self.message.body))

    def __getattr__(self, name: str) -> str | list[str] | None:
        """Any other header: its value, or the values when it stands more than once; `_` in place of "-"."""
        values = self.message.all(name) or self.message.all(name.replace("_", "-"))
        return values[0] if len(values) == 1 else values or None
