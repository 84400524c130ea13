"""Why a session has ended, as a value, and the Reason header that says so on the wire (RFC 3326)."""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import quote, short_number, split_commas, split_parameters, unquote
from ringback.sip.message import Message, Response
from ringback.sip.status import reason_phrase

# Who ended it.
LOCAL: Final = "local"
REMOTE: Final = "remote"
#: Nothing came back: no way to the peer, or no answer in time.
NETWORK: Final = "network"
#: A timer of the session: it was not refreshed, not acknowledged, not answered.
TIMER: Final = "timer"

_LONGEST_TEXT: Final = 200


class Cause:
    """Why a session has ended.

    status       the SIP status that says it best: that of the final response, or of a Reason header; 0 for an ordinary
                 end of an established session
    reason       a text for people: the reason phrase, or the text of a Reason header
    by           "local", "remote", "network" or "timer"
    contacts     of a 3xx: where to call instead, best first, as URI texts
    retry_after  seconds after which it may be tried again, 0 when nothing was said
    response     the final response to our INVITE, or None
    """

    __slots__ = ("by", "contacts", "reason", "response", "retry_after", "status")

    def __init__(self, status: int, reason: str = "", by: str = LOCAL, response: Response | None = None) -> None:
        self.status: int = status
        self.reason: str = reason
        self.by: str = by
        self.contacts: list[str] = []
        self.retry_after: int = 0
        self.response: Response | None = response

    def __repr__(self) -> str:
        return f"<Cause {self.status} {self.reason!r} by {self.by}>"


def reason_value(cause: Cause) -> str:
    """The value of a Reason header for a BYE or CANCEL of ours, "" when there is nothing to say."""
    if cause.status < 200 or cause.status > 699:
        return ""
    text = cause.reason or reason_phrase(cause.status)
    text = " ".join(text[:_LONGEST_TEXT].split())
    return f"SIP;cause={cause.status};text={quote(text)}"


def cause_of_request(values: list[str], by: str) -> Cause:
    """What a BYE or CANCEL says in its Reason headers; what cannot be read says nothing.

    RFC 3326 2: "A SIP message MAY contain more than one Reason value (i.e., multiple Reason lines), but all of them
    MUST have different protocol values". That of SIP gives the status, and the first text counts.
    """
    status = 0
    text = ""
    for value in values[:16]:
        try:
            pieces = [split_parameters(piece) for piece in split_commas(value)]
        except ParseError:
            continue
        for parts in pieces[:16]:
            for part in parts[1:]:
                name, _, content = part.partition("=")
                name = name.strip().lower()
                content = content.strip()
                if name == "cause" and parts[0].upper() == "SIP":
                    number = short_number(content)
                    if 100 <= number <= 699:
                        status = number
                elif name == "text" and not text:
                    text = unquote(content)[:_LONGEST_TEXT]
    if not text and status:
        text = reason_phrase(status)
    return Cause(status, text, by)


def retry_after(message: Message) -> int:
    """The seconds of Retry-After (20.33), 0 when there is none: `Retry-After: 18000;duration=3600 (in a meeting)`."""
    value = message.header("retry-after")
    if value is None:
        return 0
    digits = value.partition(";")[0].partition("(")[0].strip()
    return max(0, short_number(digits))


def cause_of_response(response: Response | None, status: int) -> Cause:
    """Why our INVITE has failed: by its final response, or by the status that stands for none."""
    if response is None:
        return Cause(status, reason_phrase(status), NETWORK)
    cause = Cause(response.status, response.reason or reason_phrase(response.status), REMOTE, response)
    told = cause_of_request(response.all("reason"), REMOTE)
    if told.reason:
        cause.reason = told.reason
    cause.retry_after = retry_after(response)
    if 300 <= response.status < 400:
        cause.contacts = contacts_by_preference(response)
    return cause


def contacts_by_preference(response: Response) -> list[str]:
    """The URIs of a 3xx, those of higher q first (8.1.3.4); what cannot be read is left out."""
    found: list[tuple[int, int, str]] = []
    try:
        addresses = response.addresses("contact")
    except ParseError:
        return []
    for position, address in enumerate(addresses[:32]):
        found.append((-_thousandths(address.parameters.get("q")), position, address.uri.text))
    found.sort()
    return [uri for _, _, uri in found]


def _thousandths(text: str | None) -> int:
    # 20.10: "The "q" parameter indicates a relative preference"; without one a contact is taken for the best.
    if text is None or not text[:1].isdigit():
        return 1000
    whole, _, decimals = text.partition(".")
    if not whole.isdigit() or (decimals and not decimals.isdigit()) or not text.isascii():
        return 1000
    return min(1000, int(whole[:4]) * 1000 + int((decimals + "000")[:3]))
