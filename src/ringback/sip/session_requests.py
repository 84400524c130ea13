"""Building the requests of a session, and refusing those of a peer that cannot be taken (RFC 3261 8.2, 12.2)."""

from __future__ import annotations

from typing import Final

from ringback.sip.description import DESCRIPTION, refusal_of_body
from ringback.sip.dialog import Dialog
from ringback.sip.message import Headers, Message, Request
from ringback.sip.profile import Profile
from ringback.sip.transaction_user import TransactionUser

#: Requests whose bodies are session descriptions.
DESCRIBED: Final = ("INVITE", "UPDATE", "PRACK")
#: Requests that say all that we are able to do.
_TELLING: Final = ("INVITE", "UPDATE", "REFER", "OPTIONS", "SUBSCRIBE")
#: Requests that need a Contact: those that open a dialog or refresh its target.
_REACHABLE: Final = ("INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY")


def contact_for(uri: str, secure: bool = False) -> str:
    """A URI as a Contact value.

    12.1.1: "If the request that initiated the dialog contained a SIPS URI in the Request-URI …, the Contact header
    field in the response MUST be a SIPS URI"; where ours is reached by TLS it can be written as one.
    """
    if secure and uri.startswith("sip:") and ";transport=tls" in uri.lower():
        position = uri.lower().index(";transport=tls")
        uri = f"sips:{uri[4:position]}{uri[position + len(';transport=tls') :]}"
    return f"<{uri}>"


def abilities(tu: TransactionUser, profile: Profile | None, body: bytes, reliable: bool = False) -> Headers:
    """What we are able to do, and the type of a description, for a response that has one."""
    headers: Headers = [("Allow", ", ".join(tu.methods)), ("Supported", ", ".join(tu.option_tags(profile, reliable)))]
    if tu.packages:
        headers.append(("Allow-Events", ", ".join(tu.packages)))
    if tu.agent:
        headers.append(("Server", tu.agent))
    if body:
        headers.append(("Content-Type", DESCRIPTION))
    return headers


def add_body(message: Message, body: bytes, content_type: str) -> None:
    """Give a message a body, with its headers."""
    if body:
        message.append("Content-Type", content_type or DESCRIPTION)
    message.body = body
    message.append("Content-Length", str(len(body)))


def build(
    tu: TransactionUser,
    profile: Profile,
    method: str,
    dialog: Dialog,
    headers: Headers,
    body: bytes,
    content_type: str,
    cseq: int = 0,
) -> Request:
    """A request within a dialog, complete but for its Via."""
    request = dialog.request(method, cseq)
    if method in _REACHABLE:
        request.append("Contact", contact_for(profile.contact, dialog.secure))
    if method in _TELLING:
        # In a re-INVITE no reliable provisional responses are asked for: nobody waits there.
        tu.describe(request, profile, False)
        if method in DESCRIBED:
            request.append("Accept", ", ".join(tu.accept))
    elif method != "ACK":
        # RFC 4028 7.1: "in each request (except ACK)".
        request.append("Supported", ", ".join(tu.option_tags(profile, False)))
        if tu.agent:
            request.append("User-Agent", tu.agent)
    for name, value in headers:
        request.append(name, value)
    add_body(request, body, content_type)
    return request


def unsupported(tu: TransactionUser, request: Request, profile: Profile | None) -> list[str]:
    """What a request requires and we have not (8.2.2.3). Raises ParseError."""
    if "require" not in request.names:
        return []
    known = tu.option_tags(profile)
    return [tag for tag in request.option_tags("require") if tag.lower() not in known]


def refusal_in_dialog(
    tu: TransactionUser, profile: Profile, dialog: Dialog, request: Request
) -> tuple[int, Headers] | None:
    """Why a request within a dialog cannot be taken at all: status and headers, or None. Raises ParseError."""
    if not dialog.takes(request):
        return 500, []
    missing = unsupported(tu, request, profile)
    if missing:
        # "it MUST respond by generating a response with status code 420 (Bad Extension)", with those in Unsupported.
        return 420, [("Unsupported", ", ".join(missing))]
    return refusal_of_body(request, tu.accept) if request.method in DESCRIBED else None


def accept_info(profile: Profile, request: Request) -> tuple[int, Headers]:
    """How an INFO is answered (RFC 6086 4.2.2).

    "If a UA receives an INFO request associated with an Info Package that the UA has not indicated willingness to
    receive, the UA MUST send a 469 (Bad Info Package) response", with a Recv-Info that says what it would take. One
    without a package is of the old kind, and is taken.
    """
    package = request.header("info-package")
    if package is None:
        return 200, []
    name = package.partition(";")[0].strip().lower()
    if name in [known.lower() for known in profile.info_packages]:
        return 200, []
    return 469, [("Recv-Info", ", ".join(profile.info_packages))]
