"""Answers (RFC 3264 section 6): for every stream of an offer, one of ours that fits, or a port of zero.

The streams are decided on one by one: which of ours it is, which formats, which keys. Then the bundles are formed of
those that were accepted (RFC 8843 7.3), and all is written; what has been agreed is read from the answer itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from ringback.sdp.agreement import agreement, usable
from ringback.sdp.attributes import (
    Direction,
    ExtensionMap,
    Group,
    direction_of,
    readable,
    receives,
    sends,
)
from ringback.sdp.description import Attribute, MediaDescription, Origin, SessionDescription
from ringback.sdp.errors import NOT_ACCEPTABLE_HERE, SdpError
from ringback.sdp.formats import Codec
from ringback.sdp.ice import destination_matches
from ringback.sdp.matching import answered_codecs
from ringback.sdp.security import Crypto, Fingerprint, Setup, canonical_suite
from ringback.sdp.streams import Agreed, Keying, LocalStream, Policy
from ringback.sdp.view import MediaView, bundles, is_rtp, is_secure, views
from ringback.sdp.writing import Part, assemble, disabled_part, versioned

__all__ = ["answer"]

_DEFAULT_POLICY: Final = Policy()

# RFC 3261 section 20.43.
_TRANSPORT: Final = 302
_MEDIA_TYPE: Final = 304
_FORMAT: Final = 305
_MULTICAST: Final = 330


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of an accepted stream: a crypto line, or our certificate and role, or nothing."""

    crypto: tuple[Crypto, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup | None = None
    tls_id: str = ""


@dataclass(frozen=True, slots=True)
class _Accepted:
    """An offered stream that one of ours fits."""

    view: MediaView
    at: int
    stream: LocalStream
    keys: _Keys
    codecs: tuple[Codec, ...] = ()
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Refused:
    """An offered stream that none of ours fits, and why; `error` is None when it was not wanted by the offer itself."""

    view: MediaView
    error: SdpError | None = None


def answer(
    offer: SessionDescription,
    local: Sequence[LocalStream],
    origin: Origin,
    policy: Policy = _DEFAULT_POLICY,
    previous: SessionDescription | None = None,
) -> tuple[SessionDescription, list[Agreed]]:
    """The answer to an offer, and what it agrees on: one `Agreed` for each m= line.

    local     what we can do and want. A stream takes the m= line of its own place if it fits there (so streams stay
              where they are in later offers), else the first one that it fits
    previous  what we have sent last in this session, which the version follows on; None in the first exchange

    Raises SdpError: 488 with the reason of the first refusal when no stream at all can be accepted, 400 for an offer
    that makes no sense.
    """
    found = _decide(offer, local, policy)
    groups, tagged = _bundle(offer, found)
    if not any(isinstance(decision, _Accepted) for decision in found):
        for decision in found:
            if isinstance(decision, _Refused) and decision.error is not None:
                # "If there are no media formats in common for all streams, the entire offered session is rejected."
                raise decision.error
    media = []
    for index, decision in enumerate(found):
        if isinstance(decision, _Accepted):
            first = found[tagged.get(index, index)]
            media.append(_write(decision, first if isinstance(first, _Accepted) else decision))
        else:
            part = decision.view.media
            media.append(disabled_part(part.kind, part.protocol, part.formats, decision.view.mid))
    accepted = [decision for decision in found if isinstance(decision, _Accepted)]
    lite = any(part.has("ice-ufrag") for part in media) and any(
        decision.stream.ice is not None and decision.stream.ice.lite for decision in accepted
    )
    description = assemble(origin, media, groups, lite)
    # Section 6: "The "t=" line in the answer MUST equal that of the offer."
    description.times = list(offer.times)
    description = versioned(description, previous)
    streams = {decision.view.index: (decision.at, decision.stream) for decision in accepted}
    return description, agreement(description, offer, False, policy, streams)


def _decide(offer: SessionDescription, local: Sequence[LocalStream], policy: Policy) -> list[_Accepted | _Refused]:
    """Which offered streams are accepted, each with a stream of ours that no other one has."""
    offered = views(offer)
    # What stands in its own place is kept for it at first.
    kept = {view.index for view in offered if _in_place(view, local)}
    used: set[int] = set()
    found: list[_Accepted | _Refused] = [_Refused(view) for view in offered]
    # Then whoever was refused has what is left.
    for _ in range(2):
        for view in offered:
            if not view.disabled and isinstance(found[view.index], _Refused):
                decision = _choose(view, local, used, kept, policy)
                found[view.index] = decision
                if isinstance(decision, _Accepted):
                    used.add(decision.at)
            kept.discard(view.index)
    return found


def _in_place(view: MediaView, local: Sequence[LocalStream]) -> bool:
    if view.disabled or view.index >= len(local):
        return False
    stream = local[view.index]
    return stream.port != 0 and stream.kind.lower() == view.media.kind.lower()


def _choose(
    view: MediaView, local: Sequence[LocalStream], used: set[int], kept: set[int], policy: Policy
) -> _Accepted | _Refused:
    refusal: SdpError | None = None
    for at in _candidates(view, local, used, kept):
        try:
            return _accept(view, at, local[at], policy)
        except SdpError as error:
            if error.status != NOT_ACCEPTABLE_HERE:
                raise
            refusal = refusal or error
    if refusal is None:
        refusal = SdpError(f"there is no {view.media.kind[:20]} here", NOT_ACCEPTABLE_HERE, _MEDIA_TYPE)
    return _Refused(view, refusal)


def _candidates(view: MediaView, local: Sequence[LocalStream], used: set[int], kept: set[int]) -> Iterator[int]:
    """The streams of ours that may be tried for an offered one: that in its place first."""
    if view.index in kept and view.index not in used:
        yield view.index
    for at, stream in enumerate(local):
        if at not in used and at not in kept:
            if stream.port and stream.kind.lower() == view.media.kind.lower():
                yield at


def _accept(view: MediaView, at: int, stream: LocalStream, policy: Policy) -> _Accepted:
    """The offered stream with ours. SdpError (488): they do not fit."""
    kind = view.media.kind
    if view.is_multicast:
        raise SdpError(f"the {kind} stream is multicast", NOT_ACCEPTABLE_HERE, _MULTICAST)
    protocol = view.media.protocol
    if not is_rtp(protocol):
        return _accept_other(view, at, stream)
    if stream.protocol and not is_rtp(stream.protocol):
        raise SdpError(f"{kind} over {protocol} is not available", NOT_ACCEPTABLE_HERE, _TRANSPORT)
    if protocol.upper().startswith("TCP"):
        raise SdpError(f"{kind} over {protocol} is not available", NOT_ACCEPTABLE_HERE, _TRANSPORT)
    # Read for their bounds; what they say is read again from the description.
    _ = view.ptime
    codecs = answered_codecs(view.codecs, stream, policy)
    if not codecs:
        raise SdpError(f"no {kind} format of the offer is available", NOT_ACCEPTABLE_HERE, _FORMAT)
    return _Accepted(view, at, stream, _keys(view, stream, policy), tuple(codecs))


def _accept_other(view: MediaView, at: int, stream: LocalStream) -> _Accepted:
    """A stream that is not RTP: the protocol has to be the same, and a format in common."""
    protocol, kind = view.media.protocol, view.media.kind
    if stream.protocol.upper() != protocol.upper():
        raise SdpError(f"{kind} over {protocol} is not available", NOT_ACCEPTABLE_HERE, _TRANSPORT)
    formats = tuple(view.media.formats)
    if stream.formats and "*" not in stream.formats and "*" not in formats:
        wanted = {name.lower() for name in stream.formats}
        formats = tuple(name for name in formats if name.lower() in wanted)
    if not formats:
        raise SdpError(f"no {kind} format of the offer is available", NOT_ACCEPTABLE_HERE, _FORMAT)
    keys = _Keys()
    if view.setup is not None or view.fingerprints or protocol.upper().startswith("TCP"):
        certificates = tuple(stream.fingerprints) if view.fingerprints else ()
        keys = _Keys((), certificates, _setup(view, stream), stream.tls_id if view.tls_id else "")
    return _Accepted(view, at, stream, keys, (), formats)


def _keys(view: MediaView, stream: LocalStream, policy: Policy) -> _Keys:
    """The keys for an RTP stream as the policy wants them. SdpError (488): none that are needed, or unwanted ones."""
    kind, protocol = view.media.kind, view.media.protocol
    if policy.encryption == "none":
        if is_secure(protocol):
            raise SdpError(f"encrypted {kind} is not available", NOT_ACCEPTABLE_HERE, _TRANSPORT)
        # RFC 8643 3.2: "To decline OSRTP, the answerer generates an SDP answer omitting SRTP keying attributes".
        return _Keys()
    for keying in policy.keying:
        keys = _keyed(keying, view, stream, policy)
        if keys is not None:
            return keys
    if is_secure(protocol):
        raise SdpError(f"the keys offered for the {kind} stream cannot be used", NOT_ACCEPTABLE_HERE, _TRANSPORT)
    if policy.encryption == "require":
        raise SdpError(f"{kind} is available only encrypted", NOT_ACCEPTABLE_HERE, _TRANSPORT)
    return _Keys()


def _keyed(keying: Keying, view: MediaView, stream: LocalStream, policy: Policy) -> _Keys | None:
    """The answer's side of this keying, or None when one of the two cannot do it."""
    if keying == "sdes":
        for suite, offered in _common_suites(view, stream, policy):
            # RFC 4568 5.1.2: the tag and the suite of the accepted line, with a key of our own.
            return _Keys((replace(suite, suite=offered.suite, tag=offered.tag),))
        return None
    if not stream.fingerprints or not view.fingerprints:
        return None
    setup = _setup(view, stream)
    # RFC 8842 5.3: "If the answerer receives an offer that does not contain an SDP "tls-id" attribute, the answerer
    # MUST NOT insert a "tls-id" attribute in the answer."
    return _Keys((), tuple(stream.fingerprints), setup, stream.tls_id if view.tls_id else "")


def _common_suites(view: MediaView, stream: LocalStream, policy: Policy) -> Iterator[tuple[Crypto, Crypto]]:
    """Our line and theirs for each suite that both have, in the offer's order of preference (RFC 4568 5.1.2)."""
    ours = {canonical_suite(crypto.suite): crypto for crypto in reversed(stream.crypto)}
    couples = []
    for offered in view.cryptos:
        found = ours.get(canonical_suite(offered.suite))
        # 7.1.2: "the master key(s) included in the answer MUST be different from those in the offer".
        if found is not None and usable(offered, policy) and found.key != offered.key:
            couples.append((found, offered))
    if policy.own_order:
        places = [canonical_suite(crypto.suite) for crypto in stream.crypto]
        couples.sort(key=lambda couple: places.index(canonical_suite(couple[0].suite)))
    yield from couples


def _setup(view: MediaView, stream: LocalStream) -> Literal["active", "passive", "holdconn"]:
    """Who connects (RFC 4145 4.1); RFC 5763 section 5 recommends that the answerer does."""
    offered = view.setup or "active"
    if offered == "holdconn":
        return "holdconn"
    if offered == "actpass":
        return "passive" if stream.setup == "passive" else "active"
    return "passive" if offered == "active" else "active"


def _bundle(offer: SessionDescription, found: list[_Accepted | _Refused]) -> tuple[list[Group], dict[int, int]]:
    """The BUNDLE groups of the answer, and for each stream that shares a transport the one whose it is.

    Streams that the offer has only within a bundle, and that are not to be in one, become refusals in `found`.
    """
    groups: list[Group] = []
    tagged: dict[int, int] = {}
    for members in bundles(offer):
        inside = []
        for index in members:
            decision = found[index]
            # RFC 8843 9.3.1.2: RTP and RTCP have to share the port, so both sides have to be able to.
            if isinstance(decision, _Accepted) and decision.stream.bundle:
                if not decision.codecs or (decision.view.rtcp_mux and decision.stream.rtcp_mux):
                    inside.append(index)
        # 7.3.1: the first that is neither refused nor without a port; without one there is no group.
        first = next((index for index in inside if offer.media[index].port), None)
        if first is None:
            inside = []
        for index in members:
            if index not in inside and not offer.media[index].port and isinstance(found[index], _Accepted):
                # 7.3.2: a bundle-only stream cannot be moved out of its group.
                error = SdpError("the stream is only to be had in a bundle", NOT_ACCEPTABLE_HERE, _TRANSPORT)
                found[index] = _Refused(found[index].view, error)
        if first is not None:
            tagged.update({index: first for index in inside if index != first})
            groups.append(Group("BUNDLE", tuple(found[index].view.mid for index in inside)))
    return groups, tagged


def _write(decision: _Accepted, tagged: _Accepted) -> MediaDescription:
    """The media part of an accepted stream; `tagged` is the one whose transport it uses, itself outside of a bundle.

    Within a bundle each part has the same port and the same keys, as RFC 8829 5.3.1 and the browsers have it: they read
    a port of zero in an answer as a refusal, whatever RFC 8843 7.3 says (see its section 1.4).
    """
    view, stream = decision.view, decision.stream
    ice, mismatch = tagged.stream.ice, False
    offered_ice = tagged.view.ice
    if offered_ice is None:
        # RFC 8839 4.3.2: "the answerer MUST NOT include any ICE-related SDP attributes in the answer".
        ice = None
    elif ice is not None and not destination_matches(offered_ice, tagged.view.address, tagged.view.port):
        ice, mismatch = None, True
    stream = replace(stream, attributes=_attributes(view, stream))
    return Part(
        stream,
        tagged.stream,
        view.media.protocol,
        _direction(view.direction, stream.direction),
        decision.codecs,
        decision.formats,
        view.mid,
        tagged.keys.crypto,
        tagged.keys.fingerprints,
        tagged.keys.setup,
        tagged.keys.tls_id,
        ice,
        mismatch,
        view.rtcp_mux and tagged.stream.rtcp_mux,
    ).write()


def _direction(offered: Direction, wanted: Direction) -> Direction:
    """6.1: we send only what they receive, and the other way round.

    A connection address of 0.0.0.0 changes nothing of it: the answer "must still be based on direction attribute of the
    offered stream" (RFC 6337 5.4).
    """
    return direction_of(sends(wanted) and receives(offered), receives(wanted) and sends(offered))


def _attributes(view: MediaView, stream: LocalStream) -> list[Attribute]:
    """Our further attributes. Header extensions only if they were offered, with the offer's numbers (RFC 8285 6)."""
    offered: Mapping[str, ExtensionMap] = {
        extension.uri: extension for extension in readable(ExtensionMap.parse, view.media.values("extmap"))
    }
    attributes = []
    for attribute in stream.attributes:
        if attribute.name == "extmap":
            for extension in readable(ExtensionMap.parse, [attribute.value or ""]):
                if extension.uri in offered:
                    number = offered[extension.uri].id
                    attributes.append(Attribute("extmap", str(replace(extension, id=number))))
        else:
            attributes.append(attribute)
    return attributes
