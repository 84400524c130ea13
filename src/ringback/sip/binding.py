"""What a registrar makes of a REGISTER request (RFC 3261 10.3): one pure function.

    apply(register, current, now, policy, aor, source) -> Outcome

takes the bindings of an address of record as they are and gives them as they shall be, with the response. It stores
nothing and asks nobody: who the sender is and whether he may register (steps 1 and 3 to 5) is decided before.

A binding is known by its Contact URI (19.1.4), or by instance and reg-id when the registration is one of several flows
of a user agent (RFC 5626 section 6). All changes of a request happen, or none:

    contact in the request         binding there           Call-ID, CSeq        becomes
    -----------------------------  ----------------------  -------------------  ----------------------------------
    none                           any                     any                  as it was (a query)
    * with Expires: 0              any                     other, or higher     removed, all of them
    expires > 0                    no                      any                  added
    expires > 0                    yes                     other, or higher     refreshed
    expires = 0                    yes                     other, or higher     removed
    expires = 0                    no                      any                  as it was
    any                            yes                     same and not higher  500, nothing is changed

Times are seconds of the wall clock since the epoch, because bindings outlive the process.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import RemoteError
from ringback.sip.gruu import Gruus, is_gruu, public_gruu, same_instance
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Headers, Request
from ringback.sip.outbound import encode_flow_token, first_hop_has_outbound, is_first_hop, names_source, path_values
from ringback.sip.refresh import refresh
from ringback.sip.registrar import (
    EXPIRED,
    LONGEST_USER_AGENT,
    REFRESHED,
    REGISTERED,
    UNREGISTERED,
    Binding,
    Change,
    Contact,
    Outcome,
    Policy,
    contact_value,
    finish,
    read_contact,
    received_from,
    seconds,
)
from ringback.sip.transport import STREAMS, Flow
from ringback.sip.uri import Uri, parse_uri

__all__ = ["EXTENSIONS", "Binding", "Change", "Outcome", "Policy", "apply"]

#: Contact values that one request may carry.
MOST_VALUES: Final = 32
#: Characters that all parts of one binding may have together.
LONGEST_BINDING: Final = 8192
#: 10.3 step 7: only what is "smaller than one hour" may be too brief.
_HOUR: Final = 3600
_UNSUPPORTED: Final = "Require names what is not supported here"
_NO_PATH: Final = "a Path, but the user agent does not support it"
#: "pref": feature parameters are stored and given to whoever asks for targets (RFC 3840 section 6).
EXTENSIONS: Final = frozenset(("path", "outbound", "gruu", "pref"))


def apply(
    register: Request,
    current: list[Binding],
    now: float,
    policy: Policy,
    aor: Uri,
    source: Flow,
    date: str = "",
) -> Outcome:
    """Process a REGISTER for `aor`, whose bindings are `current`; it came on the flow `source`.

    `date` is the value of the Date header for the response, "" for none. Whatever is wrong with the request is
    answered: nothing is raised.
    """
    try:
        outcome = refresh(register, current, now, policy, source, date)
        if outcome is None:
            outcome = _Registration(register, current, now, policy, aor, source, date).process()
        return outcome
    except RemoteError as error:
        headers: Headers = []
        if error.status == 423:
            # "This response MUST contain a Min-Expires header field that states the minimum expiration interval the
            # registrar is willing to honor."
            headers.append(("Min-Expires", str(policy.min_expires)))
        return Outcome(error.status, error.reason, headers, current, [])


class _Registration:
    """One request on its way through 10.3. A refusal is raised as RemoteError; `current` is never changed."""

    __slots__ = (
        "aor",
        "call_id",
        "changes",
        "cseq",
        "current",
        "date",
        "direct",
        "now",
        "outbound",
        "path",
        "policy",
        "register",
        "rows",
        "source",
        "supported",
        "touched",
        "uris",
    )

    def __init__(
        self,
        register: Request,
        current: list[Binding],
        now: float,
        policy: Policy,
        aor: Uri,
        source: Flow,
        date: str,
    ) -> None:
        self.register: Request = register
        self.current: list[Binding] = current
        self.now: float = now
        self.policy: Policy = policy
        self.aor: Uri = aor
        self.source: Flow = source
        self.date: str = date
        self.call_id: str = register.call_id
        self.cseq: int = register.cseq.number
        self.supported: list[str] = register.tokens("supported")
        self.direct: bool = is_first_hop(register)
        self.path: list[str] = []
        self.rows: list[Binding] = []
        self.changes: list[Change] = []
        #: Bindings that this very request has made: their Call-ID and CSeq do not count against it.
        self.touched: list[Binding] = []
        #: Whether outbound processing was applied to a contact.
        self.outbound: bool = False
        self.uris: dict[str, Uri] = {}

    def process(self) -> Outcome:
        """Steps 2 and 6 to 8."""
        missing = self._missing_extensions()
        if missing:
            # 8.2.2.3: "The UAS MUST add an Unsupported header field, and list in it those options it does not
            # understand".
            return Outcome(420, "", [("Unsupported", ", ".join(missing))], self.current, [], _UNSUPPORTED)
        self.path = path_values(self.register)
        if self.path and "path" not in self.supported and not self.policy.path_unsupported:
            # RFC 3327 5.3: "The recommended policy is for the registrar to reject the request with a 420 'Bad
            # Extension' response indicating the Path extension."
            return Outcome(420, "", [("Unsupported", "path")], self.current, [], _NO_PATH)
        if self.path and self.policy.refused is not None:
            # What a Path names is sent to like a Contact (RFC 3327 5.4).
            for value in self.path:
                reason = self.policy.refused(parse_name_addr(value).uri, self.source, False)
                if reason:
                    raise RemoteError(403, reason)
        expired: list[Change] = []
        for binding in self.current:
            if binding.expires > self.now:
                self.rows.append(binding)
            else:
                expired.append(Change(EXPIRED, binding))
        if "contact" in self.register.names:
            values = self.register.split("contact")
            if "*" in values:
                self._remove_all(values)
            else:
                self._update(values)
        if self.changes:
            # What has run out goes with the next change; for a query alone nothing is written.
            self.changes = expired + self.changes
        else:
            self.rows = self.rows if expired else self.current
        return Outcome(200, "", self._headers(), self.rows, self.changes, self._why())

    def _why(self) -> str:
        if not self.changes:
            return "a query"
        return ", ".join(f"{change.event} {change.binding.contact}" for change in self.changes)

    def _missing_extensions(self) -> list[str]:
        if "require" not in self.register.names:
            return []
        return [tag.lower() for tag in self.register.option_tags("require") if tag.lower() not in EXTENSIONS]

    # step 6 ----------------------------------------------------------------------------------------------------------

    def _remove_all(self, values: list[str]) -> None:
        # "If the request has additional Contact fields or an expiration time other than zero, the request is invalid,
        # and the server MUST return a 400 (Invalid Request) and skip the remaining steps."
        if len(values) > 1:
            raise RemoteError(400, "Contact * stands with other contacts")
        expires = self.register.header("expires")
        if expires is None or seconds(expires) != 0:
            raise RemoteError(400, "Contact * needs Expires: 0")
        for binding in self.rows:
            # "the registrar checks whether the Call-ID agrees with the value stored for each binding. If not, it MUST
            # remove the binding. If it does agree, it MUST remove the binding only if the CSeq in the request is higher
            # than the value stored for that binding. Otherwise, the update MUST be aborted and the request fails."
            self._check_order(binding)
            self.changes.append(Change(UNREGISTERED, binding))
        self.rows = []

    def _check_order(self, binding: Binding) -> None:
        if binding.call_id == self.call_id and self.cseq <= binding.cseq and binding not in self.touched:
            # "If any one of them fails …, the request MUST fail with a 500 (Server Error) response and all tentative
            # binding updates MUST be removed." "This algorithm ensures that out-of-order requests from the same UA are
            # ignored."
            raise RemoteError(500, f"CSeq {self.cseq} is not above {binding.cseq} of the same Call-ID")

    # step 7 ----------------------------------------------------------------------------------------------------------

    def _update(self, values: list[str]) -> None:
        if not values:
            raise RemoteError(400, "Contact is empty")
        if len(values) > MOST_VALUES:
            raise RemoteError(400, f"more than {MOST_VALUES} contacts in a request")
        requested = self._requested()
        contacts = [read_contact(value, requested) for value in values]
        self._check_outbound(contacts)
        for contact in contacts:
            self._apply(contact)
        if len(self.rows) > max(self.policy.most_contacts, len(self.current)):
            raise RemoteError(403, f"Too Many Contacts (at most {self.policy.most_contacts})")

    def _requested(self) -> int:
        """The expiry of contacts without an expires parameter."""
        # "If there is no such parameter, but the request has an Expires header field, that value MUST be taken as the
        # requested expiration. If there is neither, a locally-configured default value MUST be taken".
        expires = self.register.header("expires")
        return self.policy.default_expires if expires is None else seconds(expires)

    def _check_outbound(self, contacts: list[Contact]) -> None:
        """RFC 5626 section 6: which reg-ids count."""
        flows = [contact for contact in contacts if contact.reg_id]
        if not flows:
            return
        wanted = "outbound" in self.supported
        if not self.direct and not first_hop_has_outbound(self.path):
            if wanted:
                # "if the REGISTER request contains the reg-id and the outbound option tag in a Supported header field,
                # then the registrar MUST respond to the REGISTER request with a 439 (First Hop Lacks Outbound Support)
                # response; otherwise, the registrar MUST ignore the 'reg-id' parameter".
                raise RemoteError(439, "First Hop Lacks Outbound Support")
            for contact in flows:
                contact.reg_id = 0
            return
        active = sum(1 for contact in contacts if contact.requested > 0)
        for contact in flows:
            if not contact.instance:
                # "If the registrar processes a Contact header field value with a reg-id but no instance-id, it simply
                # ignores the reg-id parameter."
                contact.reg_id = 0
            elif contact.requested > 0 and active > 1:
                # "if the Contact header field contains more than one header field value with a non-zero expiration and
                # any of these header field values contain a 'reg-id' Contact header field parameter, the entire
                # registration SHOULD be rejected with a 400 (Bad Request) response."
                raise RemoteError(400, "an outbound registration with other contacts")
            else:
                # "Provided that the UAC had included an outbound option-tag …, the registrar MUST include the outbound
                # option-tag in a Require header field value in its response".
                self.outbound = wanted

    def _apply(self, contact: Contact) -> None:
        """Add, refresh or remove the binding of one contact."""
        found = self._find(contact)
        for binding in found:
            # "If they are the same, the registrar compares the CSeq value. If the value is higher than that of the
            # existing binding, it MUST update or remove the binding as above."
            self._check_order(binding)
        if contact.requested == 0:
            for binding in found:
                self.rows.remove(binding)
                self.changes.append(Change(UNREGISTERED, binding))
            return
        self._check_interval(contact.requested)
        self._check_contact(contact)
        binding = self._binding(contact)
        if contact.instance:
            binding.gruu = self._epoch(contact, found)
        self.touched.append(binding)
        if found:
            self.rows[self.rows.index(found[0])] = binding
            self.changes.append(Change(REFRESHED, binding))
        else:
            self.rows.append(binding)
            self.changes.append(Change(REGISTERED, binding))

    def _find(self, contact: Contact) -> list[Binding]:
        """The binding that a contact updates, or those that it removes; none when it is new."""
        if contact.reg_id:
            # RFC 5626 section 6: "the corresponding binding is between an AOR and the combination of the instance-id …
            # and the value of 'reg-id'".
            for binding in self.rows:
                if binding.reg_id == contact.reg_id and same_instance(binding.instance, contact.instance):
                    return [binding]
            return []
        same = [binding for binding in self.rows if self._same_address(binding, contact.uri)]
        plain = [binding for binding in same if not binding.reg_id]
        for binding in plain:
            # Equivalence is not transitive: a;x=1 and a;x=2 may both be there, and each is equivalent to a.
            if binding.contact == contact.uri.text:
                return [binding]
        if plain:
            return plain[:1]
        # The flows of a user agent may all have the same Contact URI. A registration without reg-id is none of them,
        # but who removes the URI removes them all.
        return same if contact.requested == 0 else []

    def _same_address(self, binding: Binding, uri: Uri) -> bool:
        if binding.contact == uri.text:
            return True
        stored = self.uris.get(binding.contact)
        if stored is None:
            stored = parse_uri(binding.contact)
            self.uris[binding.contact] = stored
        return stored.equivalent(uri)

    def _check_interval(self, requested: int) -> None:
        if requested < self.policy.min_expires and requested < _HOUR:
            # "If and only if the requested expiration interval is greater than zero AND smaller than one hour AND less
            # than a registrar-configured minimum, the registrar MAY reject the registration with a response of 423
            # (Interval Too Brief)."
            raise RemoteError(423, "Interval Too Brief")

    def _check_contact(self, contact: Contact) -> None:
        uri = contact.uri
        if uri.scheme not in self.policy.schemes:
            # RFC 5627 5.1: "If the contact is not a SIP URI, the REGISTER request MUST be rejected with a 403."
            raise RemoteError(403, f"a Contact cannot be a {uri.scheme}: URI here")
        if uri.equivalent(self.aor):
            # RFC 5627 5.1: "If the contact URI is equivalent … to the AOR, the registrar MUST reject the request with a
            # 403, since this would cause a routing loop." A public GRUU is equivalent to its AOR.
            raise RemoteError(403, "the Contact is the address of record itself")
        gruus = self.policy.gruus
        if gruus is not None and is_gruu(uri):
            # "If the contact URI is a GRUU for the AOR in the To header field of the REGISTER request, the registrar
            # MUST reject the request with a 403, for the same reason."
            gruu = gruus.resolve(uri)
            if gruu is not None and gruu.aor == self.aor.aor():
                raise RemoteError(403, "the Contact is a GRUU of the address of record")
        if self.policy.refused is not None:
            reason = self.policy.refused(uri, self.source, bool(self.path) or self._needs_flow(contact))
            if reason:
                raise RemoteError(403, reason)

    def _binding(self, contact: Contact) -> Binding:
        """The binding that a contact asks for."""
        granted = min(contact.requested, self.policy.max_expires)
        binding = Binding(contact.uri.text, self.now + granted, contact.q, self.call_id, self.cseq)
        binding.instance = contact.instance
        binding.reg_id = contact.reg_id
        binding.path = tuple(self.path)
        binding.parameters = contact.parameters
        binding.user_agent = (self.register.header("user-agent") or "")[:LONGEST_USER_AGENT]
        binding.updated = self.now
        if self._needs_flow(contact):
            # RFC 5626 section 6: "If the UAC has a direct flow with the registrar, the registrar MUST store enough
            # information to uniquely identify the network flow over which the request arrived."
            source = self.source
            binding.flow = encode_flow_token(self.policy.flow_secret, source)
            binding.received = received_from(source)
        size = len(binding.contact) + len(binding.parameters) + len(binding.call_id)
        for value in binding.path:
            size += len(value)
        if size > LONGEST_BINDING:
            raise RemoteError(513, f"a binding of over {LONGEST_BINDING} characters")
        return binding

    def _needs_flow(self, contact: Contact) -> bool:
        """Whether the contact has to be reached over the flow that the request came by."""
        if not self.policy.flow_secret or not self.direct or self.path:
            return False
        source = self.source
        if contact.reg_id or source.transport in STREAMS:
            return True
        uri = contact.uri
        if uri.address != source.host:
            return True
        if (uri.transport or "UDP") != "UDP" or (uri.port or 5060) == source.port:
            # The same host, but the Contact asks for TCP: it names a listener of its own.
            return False
        # Another port of the same host: where a NAT has rewritten the source, Via tells; else it is meant.
        return not names_source(self.register.via, source)

    def _epoch(self, contact: Contact, found: list[Binding]) -> int:
        """The epoch of the temporary GRUUs of the instance; begins a new one when RFC 5627 5.1 says so."""
        siblings = [binding for binding in self.rows if same_instance(binding.instance, contact.instance)]
        # "Next, the registrar checks for any existing contacts registered to the same AOR, instance ID, and if the
        # contact in the REGISTER request is registering a flow, reg-id. If there is at least one, the registrar finds
        # the one that was most recently registered, and examines the Call-ID value associated with that registered
        # contact. If it differs from the one in the REGISTER request, the registrar MUST invalidate all previously
        # generated temporary GRUUs for the AOR and instance ID."
        latest = _newest([binding for binding in siblings if not contact.reg_id or binding.reg_id == contact.reg_id])
        epoch = siblings[0].gruu if siblings else 0
        if epoch and (latest is None or latest.call_id == self.call_id):
            return epoch
        epoch = max(int(self.now * 1000000.0), epoch + 1)
        for binding in siblings:
            if binding not in found:
                self.rows[self.rows.index(binding)] = binding.with_epoch(epoch)
        return epoch

    # step 8 ----------------------------------------------------------------------------------------------------------

    def _headers(self) -> Headers:
        """The headers of the 200 (OK)."""
        headers: Headers = []
        gruus = self.policy.gruus if "gruu" in self.supported else None
        for binding in self.rows:
            # "The response MUST contain Contact header field values enumerating all current bindings. Each Contact
            # value MUST feature an 'expires' parameter indicating its expiration interval chosen by the registrar."
            value = contact_value(binding, self.now)
            if gruus is not None and binding.instance:
                value += self._gruus_of(binding, gruus)
            headers.append(("Contact", value))
        if self.path:
            # RFC 3327 5.3: "The registrar copies the Path header field values into a Path header field in the
            # successful (200 class) REGISTER response."
            headers.append(("Path", ", ".join(self.path)))
        if self.outbound:
            headers.append(("Require", "outbound"))
            if self.direct and self.policy.flow_timer:
                headers.append(("Flow-Timer", str(self.policy.flow_timer)))
        finish(headers, self.policy, self.date)
        return headers

    def _gruus_of(self, binding: Binding, gruus: Gruus) -> str:
        # RFC 5627 5.2: "If the REGISTER request contained a Supported header field that included the 'gruu' option
        # tag, and the registrar has at least one temporary GRUU assigned to the instance ID and AOR, the registrar MUST
        # add a 'temp-gruu' Contact header field parameter", with "the most recently created".
        out = f';pub-gruu="{public_gruu(self.aor, binding.instance)}"'
        latest = _newest([row for row in self.rows if same_instance(row.instance, binding.instance)])
        if latest is not None:
            registration = f"{latest.cseq} {latest.reg_id} {latest.call_id}"
            temporary = gruus.temporary(self.aor, binding.instance, binding.gruu, registration)
            if temporary:
                out += f';temp-gruu="{temporary}"'
        return out


def _newest(bindings: list[Binding]) -> Binding | None:
    """The binding that was registered last."""
    latest: Binding | None = None
    for binding in bindings:
        if latest is None or binding.updated >= latest.updated:
            latest = binding
    return latest
