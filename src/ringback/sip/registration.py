"""One registration, seen by the user agent that wants it (RFC 3261 10.2, RFC 5626 4.2 to 4.5, RFC 5627 4).

One `Registration` keeps one binding over one flow; several flows of one user agent are several of them, which share
the instance and differ in reg-id. It decides what is sent and when; sending, locating and digests are not its work.

    request = registration.advance(now)         a REGISTER that has to be sent now, or None
    registration.answered(response, now, …)     its final response (401 and 407 only when nobody can answer them)
    registration.unanswered(status, now, …)     or there was none
    registration.deadline()                     when to call `advance` next

    state          event                           next           action
    -------------  ------------------------------  -------------  --------------------------------------------------
    off            start                           waiting        due at once
    waiting        due                             registering    REGISTER
    registering    2xx                             registered     due before it expires
                   423; 439; 301, 302              registering    again at once, changed as the response wants it
                   408, 5xx, nothing               waiting        due after a back-off (RFC 5626 4.5)
                   another failure                 refused        due after the longest back-off
    registered     due                             refreshing     REGISTER
                   moved, flow lost                as above       due at once
    refreshing     as registering; a failure       registered     while the binding is good, with the due of the failure
    registered     its end has come                waiting        as it was due
    any            stop                            ending         REGISTER with expires 0, once no other is on its way
    ending         any final response, none        off

**When it is refreshed.** After 80 to 90 % of the time, as chance has it, so that the phones of a building that had a
power cut do not all come at once for ever after. RFC 5627 4.2 wants the refresh to be over before the binding is: "at
least 32 seconds prior to expiration, assuming the registration expiration is larger than 64 seconds. If … less than 64
seconds, the UA SHOULD refresh its registration halfway prior to expiration." A registrar that grants seconds is not
asked more often than each `LEAST_INTERVAL` seconds all the same: it would get more requests than it can want.

**What is final.** A wrong password, a forbidden or unknown address will not become right by asking again soon, and
some registrars lock addresses out that try. Nobody may be there to correct it, though, so it is tried again after the
longest back-off.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.grammar import quote
from ringback.sip.grant import Grant, read_grant
from ringback.sip.message import Headers, Request, Response, build_request
from ringback.sip.registration_timing import (
    LONGEST_RETRY_AFTER,
    back_off,
    keep_alive_wait,
    refresh_after,
    refused_wait,
    retry_after,
)
from ringback.sip.status import reason_phrase
from ringback.sip.transport import STREAMS, is_address
from ringback.sip.uri import Uri, build_uri, parse_uri

# What `Registration.state` may be.
OFF: Final = "off"
WAITING: Final = "waiting"
REGISTERING: Final = "registering"
REGISTERED: Final = "registered"
REFRESHING: Final = "refreshing"
REFUSED: Final = "refused"
ENDING: Final = "ending"

#: Requests that are changed and sent again at once, in a row.
MOST_CORRECTIONS: Final = 4
#: Contacts in a row that are given up at once because another address was seen; a NAT that has a new port for each
#: request (a symmetric one, by way of several proxies) would never come to rest.
MOST_MOVES: Final = 2
#: RFC 3261 8.1.1.6: "The Max-Forwards … value SHOULD be 70".
_MAX_FORWARDS: Final = 70

#: Failures that may pass by themselves. 480 and 430 are about flows, 491 and 429 about load, the others as 21.4 has it.
_PASSING: Final = frozenset((408, 425, 429, 430, 480, 491, 500, 502, 503, 504, 580, 600))
#: 20.33: in which responses Retry-After says "when the service is expected to be available again".
_MAY_RETRY: Final = frozenset((404, 413, 480, 486, 500, 503, 600, 603))


class Registration:
    """The state of one binding; times are in seconds of the caller's monotonic clock.

    aor        the address of record, a SIP URI
    registrar  the Request-URI; its user part is left out: "The 'userinfo' and '@' components of the SIP URI MUST NOT be
               present" (10.2)
    contact    the URI that is registered; `move` changes it
    call_id    of all its requests: "All registrations from a UAC SHOULD use the same Call-ID"; `tag` that of From
    instance   the instance ID ("urn:uuid:…"), or ""; reg_id the number of the flow, 0 without outbound (RFC 5626)
    expires    seconds to ask for
    rewrite    whether the address at which the registrar's side sees us is registered when no flow leads back to us

    state      as the table above says; `status` and `reason` are those of the last final response (0: none yet)
    grant      what the last 2xx said, None before
    ends       when the binding ends
    due        when the next REGISTER is sent; below 0: not by itself
    failures   in a row
    """

    __slots__ = (
        "_asked", "_corrections", "_moves", "_old_contact", "_pending", "_proved", "_sent_at", "_sent_contact",
        "_target", "aor", "call_id", "contact", "cseq", "display", "due", "ends", "expires", "failures", "grant",
        "instance", "outbound", "reason", "reg_id", "registrar", "rewrite", "state", "status", "tag", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        aor: str,
        registrar: str,
        contact: str,
        call_id: str,
        tag: str,
        *,
        display: str = "",
        instance: str = "",
        reg_id: int = 0,
        expires: int = 3600,
        rewrite: bool = True,
    ) -> None:
        if expires < 1:
            raise LocalError(f"a registration of {expires} seconds is none")
        if reg_id and not instance:
            # RFC 5626 4.2.1: "REGISTER requests … MUST include an instance-id media feature tag".
            raise LocalError("a reg-id needs an instance")
        self.aor: str = aor
        self.registrar: str = registrar_uri(parse_uri(registrar)).text
        self.contact: Uri = parse_uri(contact)
        self.call_id: str = call_id
        self.tag: str = tag
        self.display: str = display
        self.instance: str = instance
        self.reg_id: int = reg_id
        self.expires: int = expires
        self.rewrite: bool = rewrite
        self.cseq: int = 0
        self.state: str = OFF
        self.status: int = 0
        self.reason: str = ""
        self.grant: Grant | None = None
        self.ends: float = -1.0
        self.due: float = -1.0
        self.failures: int = 0
        self.wanted: bool = False
        #: Whether outbound is asked for; a first hop that lacks it (439) ends that.
        self.outbound: bool = reg_id > 0
        self._target: str = self.registrar
        self._asked: int = expires
        self._sent_at: float = 0.0
        self._pending: bool = False
        self._corrections: int = 0
        self._moves: int = 0
        self._proved: bool = True
        self._old_contact: Uri | None = None
        self._sent_contact: Uri = self.contact

    @property
    def is_registered(self) -> bool:
        """Whether the registrar has our binding, as far as we know."""
        return self.state == REGISTERED or self.state == REFRESHING

    # commands --------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Register, and stay registered. After a refusal: ask again at once, from the beginning."""
        self.wanted = True
        self.failures = 0
        self._asked = self.expires
        self._target = self.registrar
        if self._pending:
            # "UAs MUST NOT send a new registration … until they have received a final response from the registrar for
            # the previous one or the previous REGISTER request has timed out" (10.2).
            return
        if not self.is_registered:
            self.state = WAITING
        self.due = now

    def stop(self, now: float) -> None:
        """Take the binding back (10.2.2), as soon as no other request is on its way."""
        self.wanted = False
        if self._pending:
            return
        if self.ends > now:
            self.state = ENDING
            self.due = now
        else:
            self._off()

    def move(self, contact: str, now: float) -> None:
        """Be registered with another contact from now on; the old one is taken back in the same request."""
        uri = parse_uri(contact)
        if uri.text == self.contact.text:
            return
        if self.ends > now and self._old_contact is None and not self._is_outbound():
            self._old_contact = self.contact
        self.contact = uri
        if self.wanted:
            self.due = now

    def lost(self, now: float, chance: float, others: bool = False) -> None:
        """The flow has failed (RFC 5626 4.5): "the UA needs to form a new flow to replace the old flow".

        That is done at once when the flow was a success, else after the back-off: "For the purposes of this section, a
        flow is considered successful if outbound registration succeeded, and if keep-alives are in use on this flow, at
        least one subsequent keep-alive response was received". A request that was on its way has got no answer.
        """
        if not self.wanted:
            self._off()
            return
        if not self.is_registered and not self._pending:
            # It is waited for the next attempt anyway.
            return
        good = self.is_registered and self._proved
        self._pending = False
        self.state = WAITING
        self.status = 430
        self.reason = "the flow has failed"
        if good:
            self.failures = 0
            self.due = now
        else:
            self.failures += 1
            self.due = now + back_off(self.failures, chance, others)

    def proved(self) -> None:
        """A keep-alive was answered: the flow is a success, and the count of failures begins anew."""
        self._proved = True
        self.failures = 0

    # time ------------------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When `advance` has something to do; None while a request is on its way, or when nothing is wanted."""
        if self._pending or self.due < 0.0:
            return None
        if self.is_registered and self.ends < self.due:
            return self.ends
        return self.due

    def advance(self, now: float) -> Request | None:
        """The REGISTER that is due at `now`; None when none is."""
        if self._pending or self.due < 0.0:
            return None
        if self.state == REGISTERED and now >= self.ends:
            # It has lapsed although it was tried to refresh it.
            self.state = WAITING
        if now < self.due:
            return None
        if self.state == REGISTERED:
            self.state = REFRESHING
        elif self.state != ENDING:
            self.state = REGISTERING
        self._corrections = 0
        return self._request(now)

    def keep_alive(self, stream: bool, chance: float) -> float:
        """Seconds until the next keep-alive on the flow."""
        return keep_alive_wait(self.grant.flow_timer if self.grant is not None else 0, stream, chance)

    def elsewhere(self, contact: str, now: float, cseq: int = 0) -> Request:
        """The request that is on its way once more, for another destination (RFC 3263 4.3) and the contact there.

        `cseq` is the number with which it was sent last, where digests have raised it.
        """
        self.cseq = max(self.cseq, cseq)
        self.contact = parse_uri(contact)
        return self._request(now)

    # what comes back -------------------------------------------------------------------------------------------------

    def answered(self, response: Response, now: float, chance: float, others: bool = False) -> Request | None:
        """The final response to the last request; the request to send at once in its place, or None.

        `chance` is a random number from 0 to 1, `others` whether another flow to the same registrar works.
        """
        self._pending = False
        self._count(response)
        self.status = response.status
        self.reason = response.reason or reason_phrase(response.status)
        if self.state == ENDING:
            return self._ended(now)
        if 200 <= response.status < 300:
            self._accepted(response, now, chance)
        elif self._corrected(response):
            return self._request(now)
        else:
            self._failed(response.status, retry_after(response), now, chance, others)
        return self._stopping(now)

    def unanswered(
        self, status: int, now: float, chance: float, others: bool = False, reason: str = "", cseq: int = 0
    ) -> Request | None:
        """No final response came: `status` 408 or 503; `cseq` is the number with which it was sent last."""
        self._pending = False
        self.cseq = max(self.cseq, cseq)
        self.status = status
        self.reason = reason or ("no answer" if status == 408 else "no way to the registrar")
        if self.state == ENDING:
            return self._ended(now)
        # 10.2.7: "If the transaction layer returns a timeout error because the REGISTER yielded no response, the UAC
        # SHOULD NOT immediately re-attempt a registration to the same registrar."
        self._failed(status, -1.0, now, chance, others)
        return self._stopping(now)

    def _stopping(self, now: float) -> Request | None:
        """What was asked for while a request was on its way."""
        if self.wanted:
            return None
        if self.ends <= now:
            self._off()
            return None
        self.state = ENDING
        return self._request(now)

    def _ended(self, now: float) -> Request | None:
        """The binding is taken back, or it will end by itself; unless it is wanted again."""
        self._off()
        if self.wanted:
            self.state = WAITING
            self.due = now
        return None

    def _accepted(self, response: Response, now: float, chance: float) -> None:
        reg_id = self.reg_id if self.outbound else 0
        registered = self._sent_contact
        grant = read_grant(response, registered, self.instance, reg_id, self._asked)
        self._old_contact = None
        if grant.expires == 0:
            # A 2xx that takes away what was asked for: no registrar should, some do when they are full.
            self.reason = "the registrar keeps the binding for 0 seconds"
            self._failed(500, -1.0, now, chance, False)
            return
        fresh = self.state == REGISTERING
        self.grant = grant
        self.state = REGISTERED
        self.ends = self._sent_at + grant.expires
        self.due = max(self._sent_at + refresh_after(grant.expires, chance), now)
        if not grant.outbound:
            self.proved()
        elif fresh:
            # The flow is a success only when a keep-alive was answered.
            self._proved = False
        elif self._proved:
            self.failures = 0
        if registered is self.contact:
            self._look_at_source(grant, now)
        else:
            # It was moved while the request was on its way.
            self._old_contact = None if grant.outbound else registered
            self.due = now

    def _look_at_source(self, grant: Grant, now: float) -> None:
        """Register the address at which the registrar's side sees us, when it is another and no flow leads back.

        An ordinary registrar sends requests to what the Contact says. Behind a NAT only what it sees can be reached.
        """
        contact = self.contact
        if grant.outbound or not self.rewrite or not grant.seen_host or not is_address(contact.host):
            return
        same_port = contact.port == grant.seen_port
        if contact.scheme == "sips" or (contact.transport or "UDP") in STREAMS:
            # Without a NAT a connection may well come from another port than that at which we listen.
            same_port = True
        if contact.address == grant.seen_host and same_port:
            self._moves = 0
            return
        seen = build_uri(
            contact.scheme, contact.user, grant.seen_host, grant.seen_port, contact.parameters, contact.password
        )
        self._old_contact = contact
        self.contact = seen
        if self._moves < MOST_MOVES:
            self._moves += 1
            self.due = now

    def _corrected(self, response: Response) -> bool:
        """Change the request as the response wants it; False when that cannot be."""
        if self._corrections >= MOST_CORRECTIONS or not self.wanted:
            return False
        status = response.status
        changed = False
        if status == 423:
            # 10.2.8: "it MAY retry the registration after making the expiration interval of all contact addresses in
            # the REGISTER request equal to or greater than the expiration interval within the Min-Expires header".
            least = _min_expires(response) or 2 * self._asked
            changed = least > self._asked
            if changed:
                self._asked = least
        elif status == 439 and self.outbound:
            # RFC 5626 4.2.1: "it MAY re-attempt registration without using the outbound mechanism".
            self.outbound = False
            changed = True
        elif status == 301 or status == 302:
            target = self._redirected(response)
            changed = target != ""
            if changed:
                self._target = target
        if changed:
            self._corrections += 1
        return changed

    def _redirected(self, response: Response) -> str:
        """The registrar that a 301 or 302 names, "" when it names none that may be taken."""
        try:
            for address in response.addresses("contact"):
                uri = address.uri
                # Who asked for protection does not get less by a redirection (RFC 3261 8.1.3.4, "If the original
                # request had a SIPS URI in the Request-URI, … the client MAY … inform the user").
                if uri.is_sip and (uri.scheme == "sips" or not self._target.startswith("sips:")):
                    target = registrar_uri(uri).text
                    return target if target != self._target else ""
        except ParseError:
            return ""
        return ""

    def _failed(self, status: int, asked_wait: float, now: float, chance: float, others: bool) -> None:
        self.failures += 1
        # A redirection was for as long as it worked.
        self._target = self.registrar
        wait = back_off(self.failures, chance, others)
        passing = status in _PASSING
        if asked_wait >= 0.0 and status in _MAY_RETRY:
            # RFC 5626 4.5: "a 503 response to an earlier failed registration attempt with a Retry-After header field
            # value may cause the UA to wait longer"; 4.2.1: "A Retry-After header field value of 0 is valid and
            # indicates the UA is expected to retry the REGISTER request immediately", which is believed once.
            passing = True
            if asked_wait > wait or self.failures == 1:
                wait = min(asked_wait, LONGEST_RETRY_AFTER)
        if not passing:
            wait = refused_wait(chance)
        self.due = now + wait
        if self.is_registered and now < self.ends:
            # The binding is still there. A refusal counts when it has lapsed.
            self.state = REGISTERED
        else:
            self.state = WAITING if passing else REFUSED

    def _off(self) -> None:
        self.state = OFF
        self.due = -1.0
        self.ends = -1.0
        self._pending = False
        self._old_contact = None

    def _count(self, response: Response) -> None:
        """Digests have raised the CSeq on the way: "A UA MUST increment the CSeq value by one for each REGISTER"."""
        try:
            self.cseq = max(self.cseq, response.cseq.number)
        except ParseError:
            return

    # requests --------------------------------------------------------------------------------------------------------

    def _is_outbound(self) -> bool:
        return self.grant is not None and self.grant.outbound

    def _request(self, now: float) -> Request:
        self._pending = True
        self._sent_at = now
        self._sent_contact = self.contact
        self.cseq += 1
        address = f"<{self.aor}>"
        sender = f"{quote(self.display)} {address}" if self.display else address
        expires = 0 if self.state == ENDING else self._asked
        contact = self._contact_value(self.contact, expires)
        if self._old_contact is not None:
            contact = f"{contact}, {self._contact_value(self._old_contact, 0)}"
        headers: Headers = [
            ("Max-Forwards", str(_MAX_FORWARDS)),
            ("From", f"{sender};tag={self.tag}"),
            ("To", address),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} REGISTER"),
            ("Contact", contact),
            # Registrars that look at one of the two look at either.
            ("Expires", str(expires)),
            # RFC 5626 4.2.1: "indicate its support by including the 'path' option-tag"; RFC 5627 4.1: "MUST include
            # 'gruu'".
            ("Supported", "path, outbound, gruu" if self.outbound else "path, gruu"),
        ]
        return build_request("REGISTER", self._target, headers)

    def _contact_value(self, uri: Uri, expires: int) -> str:
        value = f"<{uri.text}>;expires={expires}"
        if self.instance and (uri is self.contact or expires):
            value += f';+sip.instance="<{self.instance}>"'
            if self.outbound:
                value += f";reg-id={self.reg_id}"
        return value


def registrar_uri(uri: Uri) -> Uri:
    """A SIP URI as the Request-URI of a REGISTER: host, port and transport. Raises LocalError for any other scheme."""
    if not uri.is_sip:
        raise LocalError(f"a registrar has a SIP URI, not {uri.text}")
    kept = {name: value for name, value in uri.parameters.items() if name in ("transport", "maddr")}
    return build_uri(uri.scheme, "", uri.host, uri.port, kept)


def _min_expires(response: Response) -> int:
    try:
        return response.number("min-expires") or 0
    except ParseError:
        return 0
