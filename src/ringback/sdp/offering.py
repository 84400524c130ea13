"""Offers (RFC 3264 sections 5 and 8): our streams, written for the other side to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ringback.errors import LocalError
from ringback.sdp.attributes import Group
from ringback.sdp.description import MediaDescription, Origin, SessionDescription
from ringback.sdp.formats import TELEPHONE_EVENT, Codec
from ringback.sdp.payload_types import PayloadTypes
from ringback.sdp.security import Crypto, Fingerprint
from ringback.sdp.streams import LocalStream, Policy
from ringback.sdp.view import is_dtls, is_rtp, is_secure, views
from ringback.sdp.writing import Part, assemble, disabled_part, versioned

__all__ = ["all_codecs", "capabilities", "free_slot", "offer"]

_DEFAULT_POLICY = Policy()

#: The events that are offered: the sixteen digits and the hook flash (RFC 4733 3.2).
_EVENTS = {"0-16": ""}


def offer(
    local: Sequence[LocalStream],
    origin: Origin,
    previous: SessionDescription | None = None,
    policy: Policy = _DEFAULT_POLICY,
    payload_types: PayloadTypes | None = None,
) -> SessionDescription:
    """An offer of these streams, the i-th on the i-th m= line.

    previous       what we have sent last in this session, offer or answer: its m= lines that `local` does not reach are
                   kept as removed, its payload types are kept, and the version follows on it. None for the first offer
    payload_types  the memory of the session (`OfferAnswer` keeps one); without it only `previous` is remembered

    A stream whose port is 0 is written as removed; another stream may take its place later (8.1; `free_slot` finds it).
    Raises LocalError for streams that cannot be written.
    """
    numbers = payload_types or PayloadTypes()
    before = [] if previous is None else previous.media
    if previous is not None:
        numbers.observe(previous)
    mids = _mids(local, before)
    media: list[MediaDescription] = []
    for index, stream in enumerate(local):
        old = before[index] if index < len(before) else None
        media.append(_write(stream, mids[index], old, policy, numbers))
    # 8: "Deleted media streams from a previous SDP MUST NOT be removed in a new SDP".
    for old in before[len(local) :]:
        media.append(disabled_part(old.kind, old.protocol, old.formats))
    tags = tuple(mid for mid, stream in zip(mids, local, strict=True) if stream.bundle and stream.port)
    groups = [Group("BUNDLE", tags)] if tags else []
    lite = any(stream.ice is not None and stream.ice.lite and stream.port for stream in local)
    return versioned(assemble(origin, media, groups, lite), previous)


def free_slot(previous: SessionDescription) -> int:
    """Where a new stream goes: the first m= line that is no longer in use, or one after the last (RFC 3264 8.1)."""
    return next((view.index for view in views(previous) if view.disabled), len(previous.media))


def capabilities(local: Sequence[LocalStream], origin: Origin, policy: Policy = _DEFAULT_POLICY) -> SessionDescription:
    """What we can do, for the answer to an OPTIONS request (RFC 3264 section 9).

    "The port MUST be set to zero", which keeps it from making streams; no keys and no candidates are told.
    """
    numbers = PayloadTypes()
    media = []
    for stream in local:
        # Ports and keys need not be there yet.
        protocol = stream.protocol or _profile(policy, policy.keying[0] if policy.keying else "dtls", stream.feedback)
        part = _write(replace(stream, port=stream.port or 9, protocol=protocol), "", None, policy, numbers)
        part.port = 0
        secret = ("crypto", "candidate", "ice-ufrag", "ice-pwd", "rtcp")
        part.attributes = [attribute for attribute in part.attributes if attribute.name not in secret]
        media.append(part)
    return assemble(origin, media)


def all_codecs(stream: LocalStream) -> list[Codec]:
    """The codecs of a stream, with telephone-event for each of their clock rates if it wants that and has none.

    RFC 4733 2.1 wants events on the clock of the audio that they stand in; each clock rate needs a format of its own.
    """
    codecs = list(stream.codecs)
    if stream.kind != "audio" or not stream.dtmf or any(codec.is_event for codec in codecs):
        return codecs
    rates = dict.fromkeys(codec.clock_rate for codec in codecs if not codec.is_auxiliary)
    return [*codecs, *(Codec(TELEPHONE_EVENT, rate, parameters=_EVENTS) for rate in rates)]


def _mids(local: Sequence[LocalStream], before: Sequence[MediaDescription]) -> list[str]:
    """The tag of each stream: its own; the one before it in its place; or for bundles, one that nobody has."""
    mids = [stream.mid for stream in local]
    used = set(mids)
    once = {media.value("mid") for media in before}
    for index, stream in enumerate(local):
        old = before[index].value("mid") if index < len(before) and before[index].kind == stream.kind else None
        if not mids[index] and old and old not in used:
            mids[index] = old
        elif not mids[index] and stream.bundle:
            number = index
            while str(number) in used or str(number) in once:
                number += len(local)
            mids[index] = str(number)
        used.add(mids[index])
    return mids


def _write(
    stream: LocalStream, mid: str, old: MediaDescription | None, policy: Policy, numbers: PayloadTypes
) -> MediaDescription:
    if not stream.port:
        protocol = stream.protocol or (old.protocol if old is not None else "RTP/AVP")
        formats = old.formats if old is not None and old.kind == stream.kind else stream.formats
        return disabled_part(stream.kind, protocol, formats, mid)
    protocol = stream.protocol or _kept_profile(stream, old, policy)
    protocol = protocol or _profile(policy, _keying(stream, policy), stream.feedback)
    if not is_rtp(protocol):
        if not stream.formats:
            raise LocalError(f"a stream of {protocol} needs its formats")
        tls = bool(stream.fingerprints)
        connected = tls or protocol.upper().startswith("TCP")
        return Part(
            stream,
            stream,
            protocol,
            stream.direction,
            formats=stream.formats,
            mid=mid,
            fingerprints=stream.fingerprints,
            setup=stream.setup if connected else None,
            tls_id=stream.tls_id,
            ice=stream.ice,
        ).write()
    codecs = numbers.number(all_codecs(stream))
    if not codecs:
        raise LocalError(f"a stream of {stream.kind} needs codecs")
    crypto, fingerprints = _keys(stream, protocol, policy)
    return Part(
        stream,
        stream,
        protocol,
        stream.direction,
        codecs,
        mid=mid,
        crypto=crypto,
        fingerprints=fingerprints,
        setup=stream.setup if fingerprints else None,
        tls_id=stream.tls_id if fingerprints else "",
        ice=stream.ice,
        rtcp_mux=stream.rtcp_mux,
    ).write()


def _keying(stream: LocalStream, policy: Policy) -> str:
    """The best keying that the stream has the material for. LocalError: none, and there must be one."""
    material = {"sdes": stream.crypto, "dtls": stream.fingerprints}
    for keying in policy.keying:
        if material[keying]:
            return keying
    if policy.encryption == "require":
        raise LocalError("encryption is required, and there is no key to offer")
    return ""


def _kept_profile(stream: LocalStream, old: MediaDescription | None, policy: Policy) -> str:
    """The profile that the stream has had so far, as the other side may have chosen it; "" if it cannot stay.

    A browser that has offered UDP/TLS/RTP/SAVPF would refuse anything else.
    """
    if old is None or not old.port or old.kind != stream.kind or not is_rtp(old.protocol):
        return ""
    if not is_secure(old.protocol):
        return "" if policy.encryption == "require" else old.protocol
    if policy.encryption == "none":
        return ""
    dtls = bool(stream.fingerprints) and "dtls" in policy.keying
    sdes = bool(stream.crypto) and "sdes" in policy.keying and not is_dtls(old.protocol)
    return old.protocol if dtls or sdes else ""


def _profile(policy: Policy, keying: str, feedback: bool) -> str:
    """The profile that says what the policy asks.

    "offer" keeps the plain profile and adds keys: "OSRTP allows SRTP to be negotiated with the RTP/AVP profile, with
    fallback to RTP if SRTP is not supported" (RFC 8643). "require" names the secure one, so that whoever does not know
    SRTP refuses instead of answering in the clear.
    """
    early = "F" if feedback else ""
    if policy.encryption != "require":
        return f"RTP/AVP{early}"
    return f"UDP/TLS/RTP/SAVP{early}" if keying == "dtls" else f"RTP/SAVP{early}"


def _keys(stream: LocalStream, protocol: str, policy: Policy) -> tuple[list[Crypto], Sequence[Fingerprint]]:
    """What is written of keys: all that the policy allows and the profile can mean."""
    if policy.encryption == "none" and not is_secure(protocol):
        return [], ()
    crypto: list[Crypto] = []
    if "sdes" in policy.keying and not is_dtls(protocol):
        # RFC 4568 4.1: the tag is unique among the lines of a stream; "The crypto attributes are listed in order of
        # preference" (5.1.1).
        crypto = [line.tagged(tag) for tag, line in enumerate(stream.crypto, 1)]
    # RTP/SAVP with a fingerprint is for peers older than RFC 5764: written only where there is nothing better to write.
    with_dtls = "dtls" in policy.keying and (is_dtls(protocol) or not is_secure(protocol) or not crypto)
    return crypto, stream.fingerprints if with_dtls else ()
