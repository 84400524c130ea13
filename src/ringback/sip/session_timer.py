"""Session timers (RFC 4028): a session that nobody refreshes ends, and who refreshes is negotiated with each refresh.

`SessionTimer` is what one side remembers. It writes the headers of requests and responses, reads those that come, and
says after how many seconds to refresh or to hang up.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import short_number, split_parameters
from ringback.sip.message import Headers, Message, Request, Response
from ringback.sip.profile import LEAST_SESSION_EXPIRES, Profile

UAC: Final = "uac"
UAS: Final = "uas"
#: The longest interval that is taken: a day.
LONGEST_INTERVAL: Final = 86400


class SessionExpires:
    """A Session-Expires value: the interval in seconds, and the refresher "uac", "uas" or "" (section 4)."""

    __slots__ = ("refresher", "seconds")

    def __init__(self, seconds: int, refresher: str = "") -> None:
        self.seconds: int = seconds
        self.refresher: str = refresher

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def read_session_expires(message: Message) -> SessionExpires | None:
    """The Session-Expires of a message, None without one. Raises ParseError for one that cannot be read."""
    value = message.header("session-expires")
    if value is None:
        return None
    parts = split_parameters(value)
    seconds = short_number(parts[0])
    if seconds < 0:
        raise ParseError("Session-Expires is not a number")
    refresher = ""
    for part in parts[1:]:
        name, _, content = part.partition("=")
        if name.strip().lower() == "refresher":
            refresher = content.strip().lower()
    if refresher not in ("", UAC, UAS):
        raise ParseError("the refresher of Session-Expires is uac or uas")
    return SessionExpires(seconds, refresher)


def read_min_se(message: Message) -> int:
    """The Min-SE of a message; without one its default, 90 seconds (section 5). Raises ParseError."""
    value = message.header("min-se")
    if value is None:
        return LEAST_SESSION_EXPIRES
    seconds = short_number(split_parameters(value)[0])
    if seconds < 0:
        raise ParseError("Min-SE is not a number")
    return max(seconds, LEAST_SESSION_EXPIRES)


class SessionTimer:
    """One side of a session's timer.

    interval   the session interval in force, in seconds; 0: the session does not expire
    refreshes  whether we are the refresher
    least      the largest Min-SE that was heard of on this dialog, 0 for none
    wanted     the interval that the last request of ours asked for, 0 for none
    """

    __slots__ = ("interval", "least", "refreshes", "wanted")

    def __init__(self) -> None:
        self.interval: int = 0
        self.refreshes: bool = False
        self.least: int = 0
        self.wanted: int = 0

    # requests of ours ------------------------------------------------------------------------------------------------

    def ask(self, profile: Profile, initial: bool) -> Headers:
        """Session-Expires and Min-SE for an INVITE or UPDATE of ours (7.1, 7.4)."""
        least = max(self.least, profile.min_se)
        self.wanted = max(self.interval or profile.session_expires, least)
        headers: Headers = []
        if self.interval == 0 and profile.session_expires == 0:
            self.wanted = 0
        else:
            role = ""
            if not initial and self.interval:
                # "it is RECOMMENDED that the refresher parameter be set to 'uac' if the element sending the request is
                # currently performing refreshes, and to 'uas' if its peer is performing the refreshes".
                role = UAC if self.refreshes else UAS
            headers.append(("Session-Expires", str(SessionExpires(self.wanted, role))))
        if least > LEAST_SESSION_EXPIRES or self.least:
            headers.append(("Min-SE", str(least)))
        return headers

    def too_small(self, response: Response) -> bool:
        """A 422 has come: whether asking again, with the Min-SE that it names, makes sense (7.3)."""
        try:
            least = read_min_se(response)
        except ParseError:
            return False
        if least <= max(self.least, self.wanted) or least > LONGEST_INTERVAL:
            return False
        self.least = least
        return True

    def accepted(self, response: Response) -> None:
        """A 2xx to a session refresh request of ours has come (7.2)."""
        try:
            expires = read_session_expires(response)
        except ParseError:
            expires = None
        if expires is not None and expires.seconds > 0:
            self.interval = max(min(expires.seconds, LONGEST_INTERVAL), LEAST_SESSION_EXPIRES)
            self.refreshes = expires.refresher != UAS
        elif self.wanted:
            # "the UAS doesn't support the session timer extension and only the UAC has asked for a session timer … if
            # the UAC still wishes to use the session timer (which is purely for its benefit alone), it has to perform
            # them … as if the Session-Expires header field were in the 2xx response, and its value was the same as that
            # in the request, but with a refresher parameter of 'uac'."
            self.interval = self.wanted
            self.refreshes = True
        else:
            self.interval = 0

    # requests of the peer --------------------------------------------------------------------------------------------

    def refusal(self, request: Request, profile: Profile) -> Headers | None:
        """The headers of the 422 that a request deserves, None when it deserves none (section 9). Raises ParseError."""
        expires = read_session_expires(request)
        if expires is None or "timer" not in request.tokens("supported"):
            # Without support for timers in the caller it was a proxy that asked, and a 422 would only end the call.
            return None
        return [("Min-SE", str(profile.min_se))] if expires.seconds < profile.min_se else None

    def accept(self, request: Request, profile: Profile) -> Headers:
        """Session-Expires and Require for our 2xx to a session refresh request (section 9). Raises ParseError."""
        asked = read_session_expires(request)
        least = read_min_se(request)
        if "min-se" in request.names:
            self.least = max(self.least, least)
        supported = "timer" in request.tokens("supported")
        seconds = self._interval_for(asked, least, supported, profile)
        if seconds == 0:
            # "If the most recent 2xx response had no Session-Expires header field, there is no session expiration".
            self.interval = 0
            return []
        refresher = UAS
        if supported:
            # Table 2: "the UAS cannot override the UAC's choice of refresher, if it made one."
            refresher = asked.refresher if asked is not None and asked.refresher else self._usual()
        self.interval = seconds
        self.refreshes = refresher == UAS
        headers: Headers = [("Session-Expires", str(SessionExpires(seconds, refresher)))]
        if supported:
            headers.append(("Require", "timer"))
        return headers

    def _usual(self) -> str:
        """Who refreshes when the caller leaves it to us: who has done so far, at first the caller."""
        return UAS if self.interval and self.refreshes else UAC

    def _interval_for(self, asked: SessionExpires | None, least: int, supported: bool, profile: Profile) -> int:
        if asked is not None:
            # "The UAS response MAY reduce its value but MUST NOT set it to a duration lower than the value in the
            # Min-SE header field in the request …. The UAS MUST NOT increase the value".
            wanted = profile.session_expires or asked.seconds
            return max(min(asked.seconds, wanted, LONGEST_INTERVAL), min(least, asked.seconds), 1)
        if self.interval:
            return max(self.interval, least)
        # "If the incoming request contains a Supported header field with a value 'timer' but does not contain a
        # Session-Expires header … The UAS may request a session timer in the 2XX response".
        return max(profile.session_expires, least) if supported and profile.session_expires else 0

    # time ------------------------------------------------------------------------------------------------------------

    def refresh_after(self) -> float:
        """Seconds until we refresh: "It is RECOMMENDED that this refresh be sent once half the session interval has
        elapsed"; 0 when that is not for us to do."""
        return self.interval / 2 if self.interval and self.refreshes else 0.0

    def ends_after(self) -> float:
        """Seconds until we hang up, 0 for never.

        Section 10: "it SHOULD send a BYE to terminate the session, slightly before the session expiration. The minimum
        of 32 seconds and one third of the session interval is RECOMMENDED."
        """
        if not self.interval:
            return 0.0
        return self.interval - min(32.0, self.interval / 3)
