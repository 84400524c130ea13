"""The pairs of candidates of one stream, and which is checked next (RFC 8445 sections 6.1.2 and 6.1.4).

A pair goes from "frozen" over "waiting" and "checking" to "succeeded" or "failed". Pairs of one foundation wait for the
first of them: where that one leads nowhere, the others rarely do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from ringback.media.candidates import LocalCandidate, pair_priority, same_family
from ringback.media.stun import Address
from ringback.sdp.ice import Candidate

__all__ = ["MOST_PAIRS", "Checklist", "Pair", "PairState"]

PairState = Literal["frozen", "waiting", "checking", "succeeded", "failed"]

#: Pairs of one stream (section 6.1.2.5).
MOST_PAIRS: Final = 100


class Pair:
    """A candidate of ours, that packets leave from, and one of the far end's.

    local       a host or relayed candidate: a reflexive one is stood for by its base
    mapped      how the far end sees us through it, known when it has succeeded
    valid       a check has succeeded
    nominate    what to do when its check succeeds: the controlled agent was told to use it
    nominated   it may be selected
    """

    __slots__ = ("foundation", "local", "mapped", "nominate", "nominated", "priority", "remote", "state", "valid")

    def __init__(self, local: LocalCandidate, remote: Candidate, controlling: bool) -> None:
        self.local: LocalCandidate = local
        self.remote: Candidate = remote
        self.state: PairState = "frozen"
        self.foundation: str = f"{local.foundation}:{remote.foundation}"
        self.mapped: Address | None = None
        self.valid: bool = False
        self.nominate: bool = False
        self.nominated: bool = False
        self.priority: int = 0
        self.rank(controlling)

    def rank(self, controlling: bool) -> None:
        """Compute the priority anew: it depends on who is controlling."""
        ours, theirs = self.local.priority, self.remote.priority
        self.priority = pair_priority(ours, theirs) if controlling else pair_priority(theirs, ours)

    @property
    def component(self) -> int:
        return self.local.component

    @property
    def destination(self) -> Address:
        return (self.remote.address, self.remote.port)

    @property
    def open(self) -> bool:
        """Whether something may still come of it."""
        return self.state in ("frozen", "waiting", "checking")


class Checklist:
    """See the head of this module; `pairs` is kept in the order of priority, highest first."""

    def __init__(self, most: int = MOST_PAIRS) -> None:
        self.most: int = most
        self.pairs: list[Pair] = []
        self._triggered: list[Pair] = []

    def form(self, local: Iterable[LocalCandidate], remote: Iterable[Candidate], controlling: bool) -> None:
        """Pair what is not paired yet, best first, and unfreeze one pair of each foundation."""
        known = {(pair.local.base, pair.destination) for pair in self.pairs}
        theirs = list(remote)
        for ours in local:
            if ours.base != ours.address:
                # 6.1.2.4: "For each pair where the local candidate is reflexive, the candidate MUST be replaced by its
                # base", and then it is redundant with the pair of the base itself.
                continue
            for candidate in theirs:
                if candidate.component != ours.component or not same_family(ours.address[0], candidate.address):
                    continue
                if (ours.base, (candidate.address, candidate.port)) not in known:
                    known.add((ours.base, (candidate.address, candidate.port)))
                    self.pairs.append(Pair(ours, candidate, controlling))
        self._sort()
        self._bound()
        self._thaw()

    def add(self, local: LocalCandidate, remote: Candidate, controlling: bool) -> Pair | None:
        """A pair that a check of the far end has shown; None when there are too many."""
        pair = Pair(local, remote, controlling)
        self.pairs.append(pair)
        self._sort()
        self._bound()
        return pair if pair in self.pairs else None

    def find(self, base: Address, destination: Address) -> Pair | None:
        """The pair of these addresses."""
        for pair in self.pairs:
            if pair.local.base == base and pair.destination == destination:
                return pair
        return None

    def rank(self, controlling: bool) -> None:
        """Our role has changed."""
        for pair in self.pairs:
            pair.rank(controlling)
        self._sort()

    def trigger(self, pair: Pair, first: bool = False) -> None:
        """Check `pair` before the others; `first` before all, for it decides."""
        pair.state = "waiting"
        if pair in self._triggered:
            return
        if first:
            self._triggered.insert(0, pair)
        else:
            self._triggered.append(pair)

    def next(self) -> Pair | None:
        """The pair to be checked now, which is "checking" then; None when there is none (section 6.1.4.2)."""
        while self._triggered:
            pair = self._triggered.pop(0)
            if pair in self.pairs and pair.state == "waiting":
                pair.state = "checking"
                return pair
        chosen = self._waiting()
        if chosen is None:
            self._thaw()
            chosen = self._waiting()
        if chosen is not None:
            chosen.state = "checking"
        return chosen

    def succeeded(self, pair: Pair) -> None:
        """A check of `pair` has succeeded: others of its foundation are worth one, too (section 7.2.5.3.3)."""
        pair.state = "succeeded"
        pair.valid = True
        for other in self.pairs:
            if other.state == "frozen" and other.foundation == pair.foundation:
                other.state = "waiting"

    def conclude(self, component: int) -> None:
        """A pair of `component` has been nominated: the others are not checked any more (section 8.1.2)."""
        self.pairs = [pair for pair in self.pairs if pair.component != component or pair.valid or pair.nominate]

    def of(self, component: int) -> list[Pair]:
        """The pairs of `component`, best first."""
        return [pair for pair in self.pairs if pair.component == component]

    @property
    def busy(self) -> bool:
        """Whether there is a pair that waits for its check."""
        return any(pair.state in ("frozen", "waiting") for pair in self.pairs)

    @property
    def unchecked(self) -> int:
        """Pairs that wait for their check or its answer, for the RTO (section 14.3)."""
        return sum(pair.state in ("waiting", "checking") for pair in self.pairs)

    def _waiting(self) -> Pair | None:
        for pair in self.pairs:
            # `pairs` is in the order of priority, then component.
            if pair.state == "waiting":
                return pair
        return None

    def _thaw(self) -> None:
        """Unfreeze the first pair of each foundation that nobody is busy with."""
        busy = {pair.foundation for pair in self.pairs if pair.state in ("waiting", "checking")}
        for pair in sorted(self.pairs, key=lambda each: (each.component, -each.priority)):
            if pair.state == "frozen" and pair.foundation not in busy:
                pair.state = "waiting"
                busy.add(pair.foundation)

    def _sort(self) -> None:
        self.pairs.sort(key=lambda pair: (-pair.priority, pair.component))

    def _bound(self) -> None:
        """When there are too many, forget those that have failed, then those of low priority that wait."""
        surplus = len(self.pairs) - self.most
        if surplus <= 0:
            return
        failed = [pair for pair in self.pairs if pair.state == "failed" and not pair.valid]
        waiting = [pair for pair in self.pairs if pair.state in ("frozen", "waiting") and not pair.valid]
        dropped = [*reversed(failed), *reversed(waiting)][:surplus]
        self.pairs = [pair for pair in self.pairs if pair not in dropped]
