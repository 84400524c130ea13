"""Dialogs (RFC 3261 section 12, with RFC 6141 section 4): "a peer-to-peer SIP relationship between two user agents".

A dialog is made from a request and a response to it, by the caller (`dialog_from_response`) or the callee
(`dialog_from_request`). It builds the requests that are sent within it, and says of a received one whether it is in
order. Early dialogs become confirmed ones by a 2xx (`confirm`).

From and To are kept as they came, tags and display names included: "Usage of the URI from the To and From fields in the
original request within subsequent requests is done for backwards compatibility with RFC 2543, which used the URI for
dialog identification" (12.2.1.1), and others compare more than the URI.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.branch import request_uri
from ringback.sip.grammar import quoted_end
from ringback.sip.headers import NameAddr, parse_name_addr
from ringback.sip.message import Request, Response
from ringback.sip.route import MAX_FORWARDS
from ringback.sip.transport import Flow

#: 8.1.1.5: the sequence number "MUST be less than 2**31".
LARGEST_CSEQ: Final = 2**31 - 1


class Dialog:
    """One dialog.

    local, remote   values of From and To for what is sent, with their tags
    remote_target   the URI to which requests are sent (the peer's Contact)
    routes          the route set, as values of Route
    local_cseq      the number of the last request that was sent, 0 when none was
    remote_cseq     the number of the last request that was received, -1 when none was
    secure          whether it is a SIPS dialog: "the 'secure' flag is set to TRUE"
    early           whether no 2xx has confirmed it yet
    caller          whether we have sent the request that made it
    by_flow         whether its requests go over the flow of our registration
    hops, hops_uri  where its next hop was found to be, and for which URI: it is not asked for again
    """

    __slots__ = (
        "by_flow", "call_id", "caller", "early", "hops", "hops_uri", "local", "local_cseq", "local_tag", "remote",
        "remote_cseq", "remote_tag", "remote_target", "routes", "secure",
    )  # fmt: skip

    def __init__(self, call_id: str, local: str, local_tag: str, remote: str, remote_tag: str) -> None:
        self.call_id: str = call_id
        self.local: str = local
        self.local_tag: str = local_tag
        self.remote: str = remote
        self.remote_tag: str = remote_tag
        self.remote_target: str = ""
        self.routes: list[str] = []
        self.local_cseq: int = 0
        self.remote_cseq: int = -1
        self.secure: bool = False
        self.early: bool = True
        self.caller: bool = True
        self.by_flow: bool = False
        self.hops: list[Flow] = []
        self.hops_uri: str = ""

    @property
    def key(self) -> str:
        """The dialog ID as one text (see `dialog_key`)."""
        return dialog_key(self.call_id, self.local_tag, self.remote_tag)

    @property
    def remote_party(self) -> NameAddr:
        """Who the other side is, by the From or To with which the dialog began."""
        return parse_name_addr(self.remote)

    def request(self, method: str, cseq: int = 0) -> Request:
        """A request within the dialog, without Via, Contact and body headers (12.2.1.1).

        `cseq` 0 takes the next number. An ACK has the number of its INVITE; so has a CANCEL, which is not built here.
        """
        if cseq == 0:
            cseq = self.next_cseq()
        request = Request(method, self.remote_target, [], [], b"")
        # What came from the network is written as it came.
        _put(request, "from", "From", self.local)
        _put(request, "to", "To", self.remote)
        _put(request, "call-id", "Call-ID", self.call_id)
        _put(request, "cseq", "CSeq", f"{cseq} {method}")
        _put(request, "max-forwards", "Max-Forwards", str(MAX_FORWARDS))
        if self.routes:
            # "the UAC MUST place the remote target URI into the Request-URI and MUST include a Route header field
            # containing the route set values in order, including all parameters." What a strict router needs is done
            # when the request is sent: its next hop is known before that.
            request.names.insert(0, "route")
            request.lines.insert(0, f"Route: {', '.join(self.routes)}")
        return request

    def next_cseq(self) -> int:
        """Count one more request: "strictly monotonically increasing and contiguous … in each direction"."""
        self.local_cseq += 1
        return self.local_cseq

    def takes(self, request: Request) -> bool:
        """Whether a received request is in order; then its number is remembered (12.2.2).

        "If the remote sequence number was not empty, but the sequence number of the request is lower than the remote
        sequence number, the request is out of order and MUST be rejected with a 500 (Server Internal Error) response."
        The same number means a copy that has come by another way. ACK has the number of its INVITE.
        """
        number = request.cseq.number
        if request.method == "ACK":
            return True
        if number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh(self, contacts: list[NameAddr]) -> None:
        """Take over the Contact of a target refresh request that was accepted, or of the response that accepts ours.

        RFC 6141 4.6: "On sending a reliable provisional response or a 2xx response to the target-refresh request …, the
        UA MUST replace the dialog's remote target URI with the URI from the Contact header field in the target-refresh
        request", and "MUST NOT update its dialog's remote target" when it answers with an error.
        """
        if contacts:
            self.remote_target = request_uri(contacts[0].uri.text)

    def confirm(self, response: Response) -> None:
        """A 2xx has come for this early dialog of ours (13.2.2.4).

        "the dialog MUST be transitioned to the 'confirmed' state, and the route set for the dialog MUST be recomputed
        based on the 2xx response using the procedures of Section 12.2.1.2". What cannot be read leaves what there is.
        """
        self.early = False
        try:
            self.routes = _reversed(response.split("record-route"))
        except ParseError:
            pass
        try:
            self.refresh(response.addresses("contact"))
        except ParseError:
            pass


def _put(request: Request, key: str, name: str, value: str) -> None:
    request.names.append(key)
    request.lines.append(f"{name}: {value}")


def dialog_key(call_id: str, local_tag: str, remote_tag: str) -> str:
    """A dialog ID as one text: "a Call-ID value, a local tag and a remote tag" (12). Tags are compared as they are."""
    return f"{call_id}\n{local_tag}\n{remote_tag}"


def key_of_request(request: Request) -> str:
    """The ID of the dialog that a received request names."""
    return dialog_key(request.call_id, request.to_tag, request.from_tag)


def dialog_from_response(request: Request, response: Response) -> Dialog:
    """The caller's side, from our request and a response with a To tag (12.1.2).

    A response that breaks the rules for Contact and Record-Route makes a dialog all the same, with the Request-URI as
    remote target and no routes: it has to be ended by somebody. Raises ParseError for From, To or CSeq.
    """
    dialog = Dialog(
        response.call_id, request.required("from"), request.from_tag, response.required("to"), response.to_tag
    )
    dialog.local_cseq = request.cseq.number
    dialog.remote_target = request.uri
    # "If the request was sent over TLS, and the Request-URI contained a SIPS URI".
    dialog.secure = request.uri[:5].lower() == "sips:"
    # "The route set MUST be set to the list of URIs in the Record-Route header field from the response, taken in
    # reverse order and preserving all URI parameters."
    dialog.confirm(response)
    dialog.early = response.status < 200
    return dialog


def dialog_from_request(request: Request, tag: str) -> Dialog:
    """The callee's side, from a received request and the tag that its responses carry (12.1.1).

    Raises ParseError for a request that cannot make a dialog: without a readable Contact, or with a Record-Route that
    cannot be read.
    """
    contacts = request.addresses("contact")
    if len(contacts) != 1:
        # 8.1.1.8: "The Contact header field MUST be present and contain exactly one SIP or SIPS URI in any request that
        # can result in the establishment of a dialog."
        raise ParseError(f"{len(contacts)} Contacts where one is needed")
    if not contacts[0].uri.is_sip:
        raise ParseError("the Contact is no SIP URI")
    to = request.required("to")
    local = to if request.to_tag else f"{to};tag={tag}"
    dialog = Dialog(request.call_id, local, tag, request.required("from"), request.from_tag)
    dialog.caller = False
    dialog.remote_cseq = request.cseq.number
    dialog.remote_target = request_uri(contacts[0].uri.text)
    dialog.secure = request.uri[:5].lower() == "sips:"
    routes = request.split("record-route")
    for value in routes:
        parse_name_addr(value)
    dialog.routes = routes
    return dialog


def _reversed(values: list[str]) -> list[str]:
    for value in values:
        parse_name_addr(value)
    values.reverse()
    return values


def bare_address(value: str) -> str:
    """A From or To value without its parameters, for a request of a new dialog to the same party."""
    value = value.strip()
    angle = quoted_end(value, 0) if value.startswith('"') else 0
    close = value.find(">", angle)
    if close >= 0:
        return value[: close + 1]
    return f"<{value.partition(';')[0].strip()}>"
