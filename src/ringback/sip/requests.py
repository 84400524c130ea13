"""Requests outside of sessions: what every one needs (RFC 3261 8.1.1), and dialogs that others look after."""

from __future__ import annotations

from ringback.sip.dialog import Dialog
from ringback.sip.message import Request
from ringback.sip.privacy import from_value, identity_headers
from ringback.sip.profile import Profile
from ringback.sip.route import MAX_FORWARDS
from ringback.sip.session_requests import contact_for
from ringback.sip.timers import Timed
from ringback.sip.transaction_user import TransactionUser

#: Requests that open dialogs or register: they need a Contact.
_REACHABLE = ("SUBSCRIBE", "REFER", "NOTIFY")


class Claim(Timed):
    """A dialog that is no session's; its requests are handed up."""

    __slots__ = ("dialog",)

    def __init__(self, dialog: Dialog) -> None:
        self.dialog: Dialog = dialog


def complete(tu: TransactionUser, request: Request, profile: Profile) -> None:
    """Add what a request outside of a dialog lacks."""
    names = request.names
    if "max-forwards" not in names:
        request.append("Max-Forwards", str(MAX_FORWARDS))
    if "from" not in names:
        request.append("From", from_value(profile, tu.new_tag()))
    if "to" not in names:
        request.append("To", f"<{request.uri}>")
    if "call-id" not in names:
        request.append("Call-ID", tu.token())
    if "cseq" not in names:
        request.append("CSeq", f"1 {request.method}")
    if "contact" not in names and request.method in _REACHABLE:
        request.append("Contact", contact_for(profile.contact, request.uri[:5].lower() == "sips:"))
    if request.method != "REGISTER" and "privacy" not in names:
        for name, value in identity_headers(profile):
            if name.lower() not in names:
                request.append(name, value)
    if "supported" not in names:
        request.append("Supported", ", ".join(tu.option_tags(profile, False)))
    if "user-agent" not in names and tu.agent:
        request.append("User-Agent", tu.agent)
    if "content-length" not in names:
        request.append("Content-Length", str(len(request.body)))
    if "route" not in names and profile.routes and request.method != "REGISTER":
        request.names.insert(0, "route")
        request.lines.insert(0, f"Route: {', '.join(profile.routes)}")
