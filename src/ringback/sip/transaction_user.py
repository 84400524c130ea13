"""What the parts of one user agent share: the stack below, what it is able to do, and its tables (RFC 3261 section 6).

"Transaction User (TU): The layer of protocol processing that resides above the transaction layer." Sessions and
exchanges are handed this object; they send by it, and put what they have to tell into its lists. It knows none of them
but by the tables, which `user_agent` reads to dispatch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ringback.sip.failover import Outages
from ringback.sip.message import Headers, Message, Request, Response, response_to
from ringback.sip.profile import RELIABLE_NONE, Profile
from ringback.sip.session_events import CoreEvent
from ringback.sip.stack import Stack
from ringback.sip.timers import Send, Timed, Timers
from ringback.sip.transaction import Transaction
from ringback.sip.transactions import TransactionLayer

if TYPE_CHECKING:
    from ringback.sip.exchange import Exchange

#: What is understood of every peer: extensions that a Require may name.
SUPPORTED: Final = ("replaces", "join", "timer", "norefersub", "histinfo", "100rel")
METHODS: Final = (
    *("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "OPTIONS", "MESSAGE"),
)
DESCRIPTION: Final = "application/sdp"

#: Entries of a table that forgets.
MOST_REMEMBERED: Final = 50_000
#: Kinds of `Brief`.
OVER: Final = 1
#: What a timer of a `Brief` is for the stack.
BRIEF_TIMER: Final = 41


class Brief(Timed):
    """An entry of a table that is taken out after a while."""

    __slots__ = ("key", "server", "table")

    def __init__(self, key: str, table: dict[str, Brief], server: Transaction | None = None) -> None:
        self.key: str = key
        self.table: dict[str, Brief] = table
        self.server: Transaction | None = server

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """Its time is over."""
        return BRIEF_TIMER


class TransactionUser:
    """The common ground of one user agent.

    token      gives 32 random hexadecimal digits, other ones each time; tags, Call-IDs, cnonces and random waits
    agent      the text of User-Agent and Server, "" for none
    accept     content types of bodies that INVITE, UPDATE and PRACK may have
    methods    what Allow says
    packages   what Allow-Events says
    dialogs    whose a dialog is, by its ID
    finished   exchanges that have ended without anything having come from the network, and when: their users are told
               next
    """

    __slots__ = (
        "accept", "agent", "dialogs", "ended", "events", "exchanges", "finished", "handed", "layer",
        "locates_addresses", "methods", "outages", "packages", "seen", "sessions", "stack", "token",
    )  # fmt: skip

    def __init__(self, stack: Stack, token: Callable[[], str], agent: str) -> None:
        self.stack: Stack = stack
        self.layer: TransactionLayer = stack.layer
        self.token: Callable[[], str] = token
        self.agent: str = agent
        self.accept: list[str] = [DESCRIPTION]
        self.methods: list[str] = list(METHODS)
        self.packages: list[str] = ["refer"]
        #: Whether `Locate` is told for IP literals too: for a shell that alone knows which socket leads where, and
        #: opens those that are not there yet.
        self.locates_addresses: bool = False
        self.outages: Outages = Outages()
        self.events: list[CoreEvent] = []
        self.finished: list[tuple[Exchange, float]] = []
        self.dialogs: dict[str, Timed] = {}
        self.sessions: dict[Timed, None] = {}
        self.exchanges: dict[Timed, None] = {}
        #: Initial requests of late, by what a copy that came another way has in common with them (8.2.2.2).
        self.seen: dict[str, Brief] = {}
        #: Dialogs that have ended of late.
        self.ended: dict[str, Brief] = {}
        #: Requests that were handed up, by the key of their transaction.
        self.handed: dict[str, Brief] = {}

    def new_tag(self) -> str:
        """A tag: "globally unique and cryptographically random with at least 32 bits of randomness" (19.3)."""
        return self.token()[:16]

    def random(self, most: float) -> float:
        """A random number from 0 to `most`."""
        return int(self.token()[:8], 16) / 0xFFFFFFFF * most

    def remember(
        self, table: dict[str, Brief], key: str, seconds: float, now: float, server: Transaction | None = None
    ) -> None:
        """Put `key` into a table for so long; a full table takes nothing more."""
        if len(table) >= MOST_REMEMBERED:
            return
        brief = Brief(key, table, server)
        table[key] = brief
        self.layer.timers.start(now, seconds, brief, OVER)

    def tell(self, event: CoreEvent) -> None:
        """Tell the user."""
        self.events.append(event)

    # what is said of us ----------------------------------------------------------------------------------------------

    def describe(self, message: Message, profile: Profile, reliable: bool = True) -> None:
        """Add Allow and Supported, and whose software it is (13.2.1, 20.5, 20.37)."""
        message.append("Allow", ", ".join(self.methods))
        message.append("Supported", ", ".join(self.option_tags(profile, reliable)))
        if self.packages:
            message.append("Allow-Events", ", ".join(self.packages))
        if self.agent:
            message.append("User-Agent" if isinstance(message, Request) else "Server", self.agent)

    def option_tags(self, profile: Profile | None, reliable: bool = True) -> list[str]:
        """The extensions that are supported; 100rel by the profile, and only where `reliable`."""
        tags = [tag for tag in SUPPORTED if tag != "100rel"]
        if reliable and (profile is None or profile.reliable != RELIABLE_NONE):
            tags.append("100rel")
        return tags

    # answers ---------------------------------------------------------------------------------------------------------

    def respond(
        self,
        server: Transaction,
        request: Request,
        status: int,
        tag: str,
        now: float,
        reason: str = "",
        headers: Headers | None = None,
        body: bytes = b"",
    ) -> bool:
        """Send a response through its transaction; False when its state forbids that."""
        response = response_to(request, status, reason, tag, headers, body)
        if self.agent and status >= 200 and "server" not in response.names:
            response.append("Server", self.agent)
        return self.send_response(server, response, now)

    def send_response(self, server: Transaction, response: Response, now: float) -> bool:
        """Send a response that is complete."""
        self.handed.pop(server.key, None)
        return self.layer.respond(server, response.status, response.encode(), now)
