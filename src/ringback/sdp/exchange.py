"""The offers and answers of one session, one after the other, and what has to be remembered between them.

    exchange = OfferAnswer(origin, policy)
    description = exchange.offer(streams)          then accept(answer), or reject() when it was refused
    description, streams = exchange.answer(offer, streams)

A delayed offer is the same in the other order; forked answers are `accept`ed by an exchange of their own (`fork`).
The states of section 4 of RFC 3264 ("it MUST NOT generate a new offer" before the last one is answered) are kept by the
dialog, which knows when a message is an offer; here a second offer simply replaces the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ringback.errors import LocalError
from ringback.sdp.agreement import agreement
from ringback.sdp.answering import answer
from ringback.sdp.description import Origin, SessionDescription
from ringback.sdp.offering import offer
from ringback.sdp.payload_types import PayloadTypes
from ringback.sdp.streams import Agreed, LocalStream, Policy
from ringback.sdp.writing import versioned

__all__ = ["OfferAnswer", "agreed"]

_DEFAULT_POLICY: Final = Policy()


def agreed(
    offer: SessionDescription,
    answer: SessionDescription,
    local: Sequence[LocalStream],
    policy: Policy = _DEFAULT_POLICY,
) -> list[Agreed]:
    """What the answer to an offer of ours agrees on: one `Agreed` for each m= line of the offer.

    `local` is what the offer was made of. Raises SdpError when the answer does not belong to the offer, or when nothing
    of it can be used; a single stream that cannot is inactive and has a `problem`.
    """
    return agreement(offer, answer, True, policy, {index: (index, stream) for index, stream in enumerate(local)})


class OfferAnswer:
    """One session's negotiation.

    local, remote   the descriptions in force, None before there are any
    streams         what is agreed
    """

    __slots__ = ("_origin", "_payload_types", "_pending", "_sent", "local", "policy", "remote", "streams")

    def __init__(self, origin: Origin, policy: Policy = _DEFAULT_POLICY) -> None:
        self.policy: Policy = policy
        self.local: SessionDescription | None = None
        self.remote: SessionDescription | None = None
        self.streams: list[Agreed] = []
        self._origin: Origin = origin
        self._payload_types: PayloadTypes = PayloadTypes()
        # What was written last, be it in force or refused: the version counts on from it.
        self._sent: SessionDescription | None = None
        self._pending: tuple[SessionDescription, Sequence[LocalStream]] | None = None

    @property
    def pending(self) -> SessionDescription | None:
        """Our offer that has no answer yet."""
        return None if self._pending is None else self._pending[0]

    def offer(self, local: Sequence[LocalStream]) -> SessionDescription:
        """Our next offer; see `negotiation.offer`. Raises LocalError."""
        # The m= lines are those in force (a refused offer has added none), the version that of what was sent last.
        description = offer(local, self._origin, self.local, self.policy, self._payload_types)
        description = versioned(description, self._sent)
        self._payload_types.observe(description)
        self._pending = (description, tuple(local))
        self._sent = description
        return description

    def answer(
        self, offer: SessionDescription, local: Sequence[LocalStream]
    ) -> tuple[SessionDescription, list[Agreed]]:
        """The answer to their offer; it is in force from now on. Raises SdpError, and then nothing has changed."""
        local = [self._with_role(index, stream) for index, stream in enumerate(local)]
        description, streams = answer(offer, local, self._origin, self.policy, self._sent)
        self._payload_types.observe(offer)
        self._payload_types.observe(description)
        self.local, self.remote, self.streams = description, offer, streams
        self._sent = description
        self._pending = None
        return description, streams

    def accept(self, answer: SessionDescription) -> list[Agreed]:
        """Their answer to our last offer; it is in force from now on.

        Raises SdpError when it cannot be used, and LocalError when there is no offer; then nothing has changed.
        """
        if self._pending is None:
            raise LocalError("there is no offer that this could be the answer to")
        description, local = self._pending
        streams = agreed(description, answer, local, self.policy)
        self._payload_types.observe(answer)
        self.local, self.remote, self.streams = description, answer, streams
        self._pending = None
        return streams

    def reject(self) -> None:
        """Our last offer was refused: what was in force before remains (RFC 3264 section 4)."""
        self._pending = None

    def fork(self) -> OfferAnswer:
        """Another exchange with the same offer pending, for another dialog that the same INVITE has made."""
        other = OfferAnswer(self._origin, self.policy)
        other.local, other.remote, other.streams = self.local, self.remote, list(self.streams)
        other._payload_types = self._payload_types.copy()
        other._sent, other._pending = self._sent, self._pending
        return other

    def _with_role(self, index: int, stream: LocalStream) -> LocalStream:
        """The stream with the DTLS role that it has, as long as the other side's end of the association stays.

        RFC 8842 5.3: without a new one the answer's setup "does not change the previously negotiated DTLS roles".
        """
        before = next((agreed for agreed in self.streams if agreed.local_index == index), None)
        if stream.setup != "actpass" or before is None or before.dtls_role not in ("active", "passive"):
            return stream
        if before.dtls_role == "passive":
            return replace(stream, setup="passive")
        return replace(stream, setup="active")
