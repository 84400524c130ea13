"""An ICE agent for one stream (RFC 8445), full or lite: messages and time in, messages out.

    agent = IceAgent(octets=secrets.token_bytes)
    agent.add(candidate)                          what was gathered; `parameters` then says it to SDP
    agent.start(remote, controlling, now)         what the far end's SDP says
    agent.receive(data, base, source, now)        a STUN message has come on the base
    agent.advance(now) / agent.deadline()         the one timer
    agent.take()                                  (sends, events): datagrams as (base, octets, destination)
    agent.selected[component]                     where media goes: a base of ours and an address of the far end

    state      new → running → completed, or failed
    pairs      frozen → waiting → checking → succeeded or failed (`checklist`)

The controlling agent nominates one pair for each component (regular nomination): the best valid one, as soon as nothing
better is still open or NOMINATION_WAIT after the first one was valid. As the controlled one it understands several
nominations (aggressive, RFC 5245): the best counts.

A message that the right key did not sign changes nothing and is not answered: no address moves, no check fails.
Everything is bounded: candidates, pairs, checks, and requests that come before the far end's SDP has.

Over 600 lines, since it is one machine: checks, answers to them, nomination and consent all change the same pairs. What
needs no state of it stands in `candidates`, `checklist`, `consent`, `stun` and `stun_request`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

from ringback.media.candidates import (
    MOST_REMOTE,
    PEER_REFLEXIVE,
    LocalCandidate,
    pair_priority,
    usable,
    without_redundant,
)
from ringback.media.checklist import MOST_PAIRS, Checklist, Pair
from ringback.media.consent import Consent
from ringback.media.ice_events import Check, IceEvent, IceFailed, IceSelected, Selected, Send
from ringback.media.stun import (
    BINDING,
    ERROR,
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    REQUEST,
    RESPONSE,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Address,
    Attribute,
    Message,
    encode_stun,
    error_value,
    number,
    parse_stun,
    xor_address,
)
from ringback.media.stun_request import RTO, StunRequest
from ringback.sdp.ice import Candidate, IceParameters

__all__ = ["LIMIT", "NOMINATION_WAIT", "PACE", "PATIENCE", "IceAgent"]

#: Seconds between checks of a stream: Ta of section 14.2.
PACE: Final = 0.05
#: Seconds that a better pair has when one is valid already.
NOMINATION_WAIT: Final = 0.4
#: Seconds until ICE may fail for want of pairs: the far end's checks may show further ones (RFC 8863 section 4).
PATIENCE: Final = 20.0
#: Seconds until it fails in any case.
LIMIT: Final = 40.0
# Authentic requests that are kept until the far end's SDP comes.
_MOST_EARLY: Final = 32

_ROLE_CONFLICT: Final = 487
_FORBIDDEN: Final = 403


class IceAgent:
    """See the head of this module.

    controlling   our role; it may change with a conflict
    lite          we answer checks and send none
    local         our candidates, best first
    ignored       STUN messages that were none of ours, or not signed with the right key
    """

    def __init__(
        self, *, octets: Callable[[int], bytes], controlling: bool = True, lite: bool = False, components: int = 2
    ) -> None:
        self.controlling: bool = controlling
        self.lite: bool = lite
        self.components: frozenset[int] = frozenset(range(1, components + 1))
        self.state: Literal["new", "running", "completed", "failed"] = "new"
        self.selected: dict[int, Selected] = {}
        self.local: Sequence[LocalCandidate] = ()
        self.checklist: Checklist = Checklist(MOST_PAIRS)
        self.ignored: int = 0
        self._octets: Callable[[int], bytes] = octets
        self._tiebreaker: int = int.from_bytes(octets(8), "big")
        self.ufrag, self.password = _credentials(octets)
        # The credentials of the generation before the last restart: its pair is in use until there is a new one.
        self._former: tuple[str, str] = ("", "")
        self._bases: dict[Address, LocalCandidate] = {}
        self._remote: IceParameters | None = None
        self._candidates: dict[tuple[int, Address], Candidate] = {}
        self._checks: dict[bytes, Check] = {}
        self._consents: dict[int, Consent] = {}
        # Component to what was selected before.
        self._before: dict[int, tuple[Address, Address]] = {}
        # Of this generation, by component: nominated by us, when the first pair was valid, and done.
        self._nominating: dict[int, Pair] = {}
        self._valid_since: dict[int, float] = {}
        self._done: set[int] = set()
        self._early: list[tuple[Address, Address, int, bool, str]] = []
        self._next_check: float = 0.0
        self._started: float = 0.0
        self._despair_at: float = 0.0
        self._sends: list[Send] = []
        self._events: list[IceEvent] = []

    # What the owner tells and asks.

    def add(self, candidate: LocalCandidate) -> None:
        """A candidate of ours has been gathered."""
        self.local = without_redundant([*self.local, candidate])
        if candidate.address == candidate.base:
            self._bases[candidate.base] = candidate
        if self._remote is not None and self.state == "running":
            self._form()

    @property
    def parameters(self) -> IceParameters:
        """What SDP says of us."""
        return IceParameters(
            self.ufrag,
            self.password,
            tuple(candidate.described() for candidate in self.local if candidate.component in self.components),
            self.lite,
            ("ice2",),
            end_of_candidates=False,
        )

    def start(self, remote: IceParameters, controlling: bool, now: float, components: int = 2) -> None:
        """The far end's SDP has come; again when another one has. New credentials of it begin the checks anew."""
        self.components = frozenset(range(1, components + 1))
        known = self._remote
        if known is not None and (known.ufrag, known.password) == (remote.ufrag, remote.password):
            self._learn(remote.candidates)
            if self.state == "running":
                self._form()
            return
        if known is not None:
            self._forget()
        self._remote = remote
        # 6.1.1: "One agent full, one lite: The full agent MUST take the controlling role".
        self.controlling = controlling if self.lite == remote.lite else not self.lite
        self._learn(remote.candidates)
        # 6.1.2.2: fewer components when the far end has fewer: RTP and RTCP on one port.
        theirs = {component for component, _ in self._candidates}
        if theirs:
            self.components = frozenset(component for component in self.components if component <= max(theirs))
        self.state = "running"
        self._started = now
        self._next_check = now
        self._despair_at = now + PATIENCE
        if self.lite:
            self._start_lite(remote, now)
        else:
            self._form()
        early, self._early = self._early, []
        for base, source, priority, use, ufrag in early:
            if ufrag == remote.ufrag:
                self._checked(base, source, priority, use, now)
        self._consider(now)

    def restart(self) -> None:
        """New credentials (section 9): to be said in SDP, with `start` to follow. Media goes on as it did."""
        self._former = (self.ufrag, self.password)
        self.ufrag, self.password = _credentials(self._octets)
        self._forget()
        self._remote = None
        self._early.clear()
        self.state = "new"

    def receive(self, data: bytes, base: Address, source: Address, now: float) -> None:
        """A STUN message has come from `source` on `base`."""
        message = parse_stun(data)
        if message is None or message.method != BINDING or base not in self._bases:
            self.ignored += 1
        elif message.kind == REQUEST:
            self._request(message, base, source, now)
        elif message.kind in (RESPONSE, ERROR):
            self._response(message, base, source, now)
        # An indication keeps a NAT's binding alive and means nothing else (section 11).

    def advance(self, now: float) -> None:
        """Do what is due."""
        for check in list(self._checks.values()):
            if check.request.due(now):
                self._sends.append((check.pair.local.base, check.request.data, check.pair.destination))
            elif check.request.failed:
                del self._checks[check.request.transaction]
                if not check.cancelled:
                    self._failed(check)
        # A completed agent may still be told to use another pair (aggressive nomination).
        if now >= self._next_check and self.checklist.busy:
            pair = self.checklist.next()
            if pair is not None:
                self._check(pair, now)
            self._next_check = now + PACE
        self._consider(now)
        self._despair(now)
        for component, consent in list(self._consents.items()):
            self._keep_consent(component, consent, now)

    def deadline(self) -> float | None:
        """When `advance` is to be called next."""
        times = [check.request.next for check in self._checks.values()]
        times += [consent.deadline for consent in self._consents.values()]
        if self.checklist.busy:
            times.append(self._next_check)
        if self.state == "running":
            times.append(self._despair_at)
            if not self.lite:
                times += [
                    since + NOMINATION_WAIT
                    for component, since in self._valid_since.items()
                    if self.controlling and component not in self._done and component not in self._nominating
                ]
        return min(times, default=None)

    def take(self) -> tuple[list[Send], list[IceEvent]]:
        """The datagrams to send and what has happened."""
        sends, self._sends = self._sends, []
        events, self._events = self._events, []
        return sends, events

    def admits(self, component: int, base: Address, source: Address) -> bool:
        """Whether media from `source` on `base` belongs to the stream: through the selected pair, the one that was
        selected before (its last packets are under way), or another that was nominated.
        """
        selected = self.selected.get(component)
        if selected is None:
            return False
        if (selected.base, selected.remote) == (base, source) or self._before.get(component) == (base, source):
            return True
        pair = self.checklist.find(base, source)
        return pair is not None and pair.nominated and pair.component == component

    # Forming.

    def _learn(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            if len(self._candidates) >= MOST_REMOTE:
                return
            if usable(candidate) and candidate.component in self.components:
                self._candidates.setdefault((candidate.component, (candidate.address, candidate.port)), candidate)

    def _form(self) -> None:
        local = [candidate for candidate in self.local if candidate.component in self.components - self._done]
        self.checklist.form(local, self._candidates.values(), self.controlling)

    def _forget(self) -> None:
        """Everything of this generation but what is in use."""
        self.checklist = Checklist(MOST_PAIRS)
        self._candidates.clear()
        self._checks.clear()
        self._nominating.clear()
        self._valid_since.clear()
        self._done.clear()

    def _start_lite(self, remote: IceParameters, now: float) -> None:
        if not remote.lite:
            return
        # 8.2: of two lite agents neither checks; each component has what both name first.
        for component in sorted(self.components):
            self.checklist.form(self.local, self._candidates.values(), self.controlling)
            pairs = self.checklist.of(component)
            if pairs:
                self._select(component, pairs[0].local.base, pairs[0].destination, pairs[0].priority, None, now)
        self.checklist.pairs.clear()

    # Checks that we send.

    def _check(self, pair: Pair, now: float) -> None:
        remote = self._remote
        assert remote is not None
        use = self._nominating.get(pair.component) is pair
        # 7.1.1: "the priority that would be assigned […] to a peer-reflexive candidate, if one be discovered".
        priority = _peer_reflexive_priority(pair.local.priority)
        key = remote.password.encode()
        data = self._binding(f"{remote.ufrag}:{self.ufrag}", key, priority, use)
        # 14.3, for one stream whose checks are all that is sent.
        rto = max(RTO, PACE * self.checklist.unchecked)
        check = Check(
            pair,
            StunRequest(data, now, rto),
            key,
            controlling=self.controlling,
            use=use,
            priority=priority,
        )
        self._checks[check.request.transaction] = check
        if check.request.due(now):
            self._sends.append((pair.local.base, data, pair.destination))

    def _binding(self, username: str, key: bytes, priority: int, use: bool) -> bytes:
        attributes: list[Attribute] = [
            (USERNAME, username.encode()),
            (PRIORITY, number(priority)),
            (ICE_CONTROLLING if self.controlling else ICE_CONTROLLED, number(self._tiebreaker, 8)),
        ]
        if use:
            attributes.append((USE_CANDIDATE, b""))
        return encode_stun(BINDING, REQUEST, self._octets(12), attributes, key)

    def _response(self, message: Message, base: Address, source: Address, now: float) -> None:
        check = self._checks.get(message.transaction)
        if check is None:
            self._consent_response(message, base, source, now)
            return
        if not message.authentic(check.key):
            self.ignored += 1
            return
        del self._checks[message.transaction]
        pair = check.pair
        if (pair.local.base, pair.destination) != (base, source):
            # 7.2.5.2.1: "If the addresses are not symmetric, the agent MUST set the candidate pair state to Failed."
            self._failed(check)
        elif message.kind == RESPONSE:
            self._succeeded(check, message.address(XOR_MAPPED_ADDRESS), now)
        elif message.error == _ROLE_CONFLICT:
            self._conflict(check)
        elif not check.cancelled:
            self._failed(check)
        self._consider(now)

    def _succeeded(self, check: Check, mapped: Address | None, now: float) -> None:
        pair = check.pair
        if mapped is None:
            self._failed(check)
            return
        if pair not in self.checklist.pairs:
            return
        pair.mapped = mapped
        self.checklist.succeeded(pair)
        if self._nominating.get(pair.component) is pair and not check.use:
            # An earlier check has been answered late; the one that nominates is still to be sent, or on its way.
            if not any(other.use and other.pair is pair for other in self._checks.values()):
                self.checklist.trigger(pair, first=True)
        self._valid_since.setdefault(pair.component, now)
        if pair.nominate or (check.use and check.controlling and self.controlling):
            self._nominated(pair, self._valid_priority(pair, check.priority), now)

    def _valid_priority(self, pair: Pair, reflexive: int) -> int:
        """The priority of the valid pair (7.2.5.3.2): of the candidate that the far end sees us at."""
        ours = reflexive
        for candidate in self.local:
            if candidate.address == pair.mapped and candidate.component == pair.component:
                ours = candidate.priority
                break
        theirs = pair.remote.priority
        return pair_priority(ours, theirs) if self.controlling else pair_priority(theirs, ours)

    def _failed(self, check: Check) -> None:
        pair = check.pair
        if pair.state == "checking" or check.use:
            pair.state = "failed"
        if check.use:
            pair.valid = False
            if self._nominating.get(pair.component) is pair:
                # Another valid pair may do.
                del self._nominating[pair.component]
        pair.nominate = False

    def _conflict(self, check: Check) -> None:
        """487: the far end has our role, and keeps it (section 7.2.5.1)."""
        if check.controlling == self.controlling:
            self._switch(not self.controlling)
            self._tiebreaker = int.from_bytes(self._octets(8), "big")
        if check.pair in self.checklist.pairs:
            self.checklist.trigger(check.pair)

    def _switch(self, controlling: bool) -> None:
        self.controlling = controlling
        self._nominating.clear()
        self.checklist.rank(controlling)

    # Checks that come.

    def _request(self, message: Message, base: Address, source: Address, now: float) -> None:
        ours, _, theirs = message.text(USERNAME).partition(":")
        if ours == self.ufrag:
            key = self.password.encode()
        elif ours and ours == self._former[0]:
            key = self._former[1].encode()
        else:
            self.ignored += 1
            return
        if not message.authentic(key):
            self.ignored += 1
            return
        if message.unknown:
            types = b"".join(number(name, 2) for name in message.unknown)
            refusal = [(ERROR_CODE, error_value(420, "Unknown Attribute")), (UNKNOWN_ATTRIBUTES, types)]
            self._answer(message, ERROR, refusal, key, base, source)
            return
        if not self.lite and not self._role_settled(message):
            self._answer(message, ERROR, [(ERROR_CODE, error_value(487, "Role Conflict"))], key, base, source)
            return
        mapped = xor_address(source, message.transaction)
        self._answer(message, RESPONSE, [(XOR_MAPPED_ADDRESS, mapped)], key, base, source)
        if ours != self.ufrag:
            # Of the generation before: it keeps the consent for what is in use, and does nothing else.
            return
        priority = max(0, message.number(PRIORITY))
        use = USE_CANDIDATE in message.attributes
        if self._remote is None:
            if len(self._early) < _MOST_EARLY:
                self._early.append((base, source, priority, use, theirs))
        elif theirs == self._remote.ufrag:
            self._checked(base, source, priority, use, now)
            self._consider(now)

    def _answer(
        self, request: Message, kind: int, attributes: list[Attribute], key: bytes, base: Address, source: Address
    ) -> None:
        self._sends.append((base, encode_stun(BINDING, kind, request.transaction, attributes, key), source))

    def _role_settled(self, message: Message) -> bool:
        """Resolve a conflict of roles (section 7.3.1.1); False when the far end is to switch."""
        claimed = message.number(ICE_CONTROLLING if self.controlling else ICE_CONTROLLED, 8)
        if claimed < 0:
            return True
        if self.controlling:
            if self._tiebreaker >= claimed:
                return False
            self._switch(False)
        else:
            if self._tiebreaker < claimed:
                return False
            self._switch(True)
        return True

    def _checked(self, base: Address, source: Address, priority: int, use: bool, now: float) -> None:
        """An authentic check has come (section 7.3.1.3 to 7.3.1.5)."""
        local = self._bases[base]
        if local.component not in self.components or self.state == "failed":
            return
        if self.lite:
            if use:
                ours = local.priority
                self._select(local.component, base, source, pair_priority(priority, ours), None, now)
            return
        use = use and not self.controlling
        pair = self.checklist.find(base, source)
        if local.component in self._done and not use and (pair is None or not pair.nominate):
            return
        if pair is None:
            pair = self._new_pair(local, source, priority)
            if pair is None:
                return
        if use:
            if pair.valid:
                if not pair.nominated:
                    self._nominated(pair, self._valid_priority(pair, _peer_reflexive_priority(local.priority)), now)
                return
            pair.nominate = True
        if pair.state == "succeeded":
            return
        if pair.state == "checking":
            for check in self._checks.values():
                if check.pair is pair:
                    check.cancel()
        self.checklist.trigger(pair)

    def _new_pair(self, local: LocalCandidate, source: Address, priority: int) -> Pair | None:
        remote = self._candidates.get((local.component, source))
        if remote is None:
            if len(self._candidates) >= MOST_REMOTE:
                return None
            name = f"prflx{len(self._candidates)}"
            remote = Candidate(name, local.component, "udp", priority, source[0], source[1], PEER_REFLEXIVE)
            self._candidates[(local.component, source)] = remote
        return self.checklist.add(local, remote, self.controlling)

    # Concluding.

    def _consider(self, now: float) -> None:
        """As the controlling agent, nominate (section 8.1.1)."""
        if self.state != "running" or not self.controlling or self.lite:
            return
        for component in self.components - self._done - set(self._nominating):
            pairs = self.checklist.of(component)
            best = next((pair for pair in pairs if pair.valid), None)
            if best is None:
                continue
            waited = now - self._valid_since.get(component, now) >= NOMINATION_WAIT
            if waited or not any(pair.open and pair.priority > best.priority for pair in pairs):
                self._nominating[component] = best
                self.checklist.trigger(best, first=True)

    def _nominated(self, pair: Pair, priority: int, now: float) -> None:
        pair.nominate = False
        pair.nominated = True
        self._select(pair.component, pair.local.base, pair.destination, priority, pair, now)
        self.checklist.conclude(pair.component)
        for check in self._checks.values():
            if check.pair.component == pair.component:
                check.cancel()

    def _select(
        self, component: int, base: Address, remote: Address, priority: int, pair: Pair | None, now: float
    ) -> None:
        """Use a nominated pair, unless one of this generation that is in use is better."""
        current = self.selected.get(component)
        if component in self._done and current is not None:
            if current.priority > priority or (current.base, current.remote) == (base, remote):
                return
        self._done.add(component)
        if current is not None:
            self._before[component] = (current.base, current.remote)
        chosen = self.selected[component] = Selected(base, remote, priority, pair)
        for gone in set(self.selected) - self.components:
            del self.selected[gone]
            self._consents.pop(gone, None)
        parameters = self._remote
        assert parameters is not None
        if not self.lite:
            username = f"{parameters.ufrag}:{self.ufrag}"
            key = parameters.password.encode()
            self._consents[component] = Consent(base, remote, username, key, now, self._chance)
        complete = self.components <= self._done
        if complete:
            self.state = "completed"
        self._events.append(IceSelected(component, chosen, complete))

    def _despair(self, now: float) -> None:
        """Fail when nothing can come of it any more (section 7.2.5.4), or nothing has for too long."""
        if self.state != "running" or now < self._despair_at:
            return
        hopeless = any(
            not any(pair.open or pair.valid for pair in self.checklist.of(component))
            for component in self.components - self._done
        )
        if not hopeless and now < self._started + LIMIT:
            # Checks are still on their way.
            self._despair_at = now + 1.0
            return
        self.state = "failed"
        self._checks.clear()
        self.checklist.pairs.clear()
        self._events.append(IceFailed("no pair of addresses has led to the far end"))

    # Consent.

    def _keep_consent(self, component: int, consent: Consent, now: float) -> None:
        if consent.due(now):
            data = self._binding(consent.username, consent.key, self._priority_of(consent.base), False)
            consent.asked(data[8:20])
            self._sends.append((consent.base, data, consent.remote))
        elif consent.lost:
            self._lose(component, "the far end has stopped answering, and with it consenting to be sent to")

    def _consent_response(self, message: Message, base: Address, source: Address, now: float) -> None:
        for component, consent in self._consents.items():
            if not consent.awaits(message.transaction):
                continue
            if (consent.base, consent.remote) != (base, source) or not message.authentic(consent.key):
                break
            if message.kind == RESPONSE:
                consent.answered(message.transaction, now)
            elif message.error == _FORBIDDEN:
                consent.revoke()
                self._lose(component, "the far end has revoked its consent to be sent to")
            return
        self.ignored += 1

    def _lose(self, component: int, reason: str) -> None:
        """5.1: "the endpoint MUST cease transmission on that 5-tuple"."""
        self._consents.pop(component, None)
        self._before.pop(component, None)
        self.selected.pop(component, None)
        if component in self._done:
            self.state = "failed"
        self._events.append(IceFailed(reason, consent=True))

    def _priority_of(self, base: Address) -> int:
        return _peer_reflexive_priority(self._bases[base].priority)

    def _chance(self) -> float:
        return int.from_bytes(self._octets(4), "big") / 2**32


def _credentials(octets: Callable[[int], bytes]) -> tuple[str, str]:
    """A username fragment and a password: RFC 8445 section 5.3 wants 24 and 128 random bits at least."""
    return octets(4).hex(), octets(16).hex()


def _peer_reflexive_priority(priority: int) -> int:
    """That of a reflexive candidate seen through a candidate of this priority."""
    return (110 << 24) | (priority & 0xFFFFFF)
