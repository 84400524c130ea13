"""What an offer and its answer come to (RFC 3264 section 7), stream by stream, seen from either side.

Both sides compute the same from the same two descriptions: whoever wrote the answer does not keep another truth than
the one that the answer tells. So the two agreements mirror each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from ringback.sdp.attributes import direction_of, receives, sends
from ringback.sdp.description import SessionDescription
from ringback.sdp.errors import NOT_ACCEPTABLE_HERE, SdpError
from ringback.sdp.formats import Codec, codecs_of, matches, same_encoding
from ringback.sdp.ice import IceParameters
from ringback.sdp.security import Crypto, canonical_suite
from ringback.sdp.streams import Agreed, AgreedCrypto, LocalStream, Policy
from ringback.sdp.view import MediaView, bundles, is_dtls, is_rtp, is_secure, views

__all__ = ["agreement"]

# RFC 3261 section 20.43.
_TRANSPORT: Final = 302
_MEDIA_TYPE: Final = 304
_FORMAT: Final = 305


@dataclass(frozen=True, slots=True)
class _Pair:
    """One stream: our view, theirs, and which of them is the offer's."""

    ours: MediaView
    theirs: MediaView
    we_offered: bool

    @property
    def offered(self) -> MediaView:
        return self.ours if self.we_offered else self.theirs

    @property
    def answered(self) -> MediaView:
        return self.theirs if self.we_offered else self.ours


def agreement(
    ours: SessionDescription,
    theirs: SessionDescription,
    we_offered: bool,
    policy: Policy,
    local: Mapping[int, tuple[int, LocalStream]],
) -> list[Agreed]:
    """One `Agreed` for each m= line of the offer; `local` says for the m= lines which stream of ours it is.

    A stream that cannot be had as answered is inactive with a `problem`. Raises SdpError when the two do not belong
    together, or when no stream is left and one has a problem.
    """
    pairs = _pairs(ours, theirs, we_offered)
    tagged = _tagged(ours if we_offered else theirs, theirs if we_offered else ours)
    found: list[Agreed] = []
    problem: SdpError | None = None
    for index, pair in enumerate(pairs):
        at, stream = local.get(index, (-1, None))
        transport = pairs[tagged.get(index, index)]
        media = pair.offered.media
        base = Agreed(index, media.kind, False, stream, at, protocol=media.protocol, mid=pair.offered.mid)
        if pair.ours.disabled or pair.theirs.disabled:
            found.append(base)
            continue
        try:
            found.append(_agree(base, pair, transport, tagged.get(index), policy))
        except SdpError as error:
            problem = problem or error
            found.append(replace(base, problem=error.reason))
    if problem is not None and not any(agreed.active for agreed in found):
        raise problem
    return found


def _pairs(ours: SessionDescription, theirs: SessionDescription, we_offered: bool) -> list[_Pair]:
    offered, answered = (ours, theirs) if we_offered else (theirs, ours)
    # "The answer MUST contain exactly the same number of "m=" lines as the offer" (section 6). Some leave out those at
    # the end that they refuse; those that nobody offered are another matter.
    if len(answered.media) > len(offered.media):
        message = f"the answer has {len(answered.media)} m= lines, the offer {len(offered.media)}"
        raise SdpError(message, NOT_ACCEPTABLE_HERE)
    if len(answered.media) < len(offered.media):
        missing = [
            replace(part, port=0, attributes=[], connections=[]) for part in offered.media[len(answered.media) :]
        ]
        filled = replace(answered, media=[*answered.media, *missing])
        ours, theirs = (ours, filled) if we_offered else (filled, theirs)
    pairs = []
    for our, their in zip(views(ours), views(theirs), strict=True):
        if our.media.kind.lower() != their.media.kind.lower():
            # "The media type of the stream in the answer MUST match that of the offer" (6.1).
            message = f"stream {our.index + 1} is {our.media.kind} on one side and {their.media.kind} on the other"
            raise SdpError(message, NOT_ACCEPTABLE_HERE, _MEDIA_TYPE)
        pairs.append(_Pair(our, their, we_offered))
    return pairs


def _tagged(offered: SessionDescription, answered: SessionDescription) -> dict[int, int]:
    """For each m= line that shares a transport, the one whose transport it is.

    RFC 8843 7.4: "the offerer MUST check that any bundled "m=" section in the answer was indicated as bundled in the
    corresponding offer".
    """
    groups = [set(members) for members in bundles(offered)]
    found: dict[int, int] = {}
    for members in bundles(answered):
        accepted = [
            index for index in members if answered.media[index].port or answered.media[index].has("bundle-only")
        ]
        first = next((index for index in accepted if answered.media[index].port), None)
        if first is None:
            continue
        group = next((group for group in groups if first in group), set[int]())
        found.update({index: first for index in accepted if index != first and index in group})
    return found


def _agree(base: Agreed, pair: _Pair, transport: _Pair, bundled_with: int | None, policy: Policy) -> Agreed:
    agreed = replace(
        base,
        active=True,
        remote=pair.theirs.media,
        bundled_with=bundled_with,
        bandwidths=tuple(pair.theirs.bandwidths),
    )
    agreed = _with_direction(agreed, pair, transport)
    agreed = _with_transport(agreed, transport)
    offered, answered = pair.offered.media.protocol, pair.answered.media.protocol
    # Profiles of RTP are mixed up (AVPF is answered with AVP), other protocols are not.
    if not (is_rtp(offered) and is_rtp(answered)) and offered.upper() != answered.upper():
        message = f"the {agreed.kind} stream is {offered} on one side and {answered[:40]} on the other"
        raise SdpError(message, NOT_ACCEPTABLE_HERE, _TRANSPORT)
    if not is_rtp(offered):
        theirs = set(pair.theirs.media.formats)
        formats = tuple(name for name in pair.ours.media.formats if name in theirs)
        if "*" in (*pair.ours.media.formats, *theirs):
            formats = tuple(pair.answered.media.formats)
        return replace(_with_certificates(agreed, transport), formats=formats)
    agreed = _with_codecs(agreed, pair)
    return _with_keys(agreed, transport, policy)


def _with_direction(agreed: Agreed, pair: _Pair, transport: _Pair) -> Agreed:
    ours, theirs = pair.ours.direction, pair.theirs.direction
    blackholed = transport.theirs.is_null
    # RFC 3264 8.4 on 0.0.0.0: "neither RTP nor RTCP should be sent to the peer".
    send = sends(ours) and receives(theirs) and not blackholed
    receive = receives(ours) and sends(theirs) and not transport.ours.is_null
    return replace(
        agreed,
        direction=direction_of(send, receive),
        hold=blackholed or (not receives(theirs) and not (pair.we_offered and not sends(ours))),
    )


def _with_transport(agreed: Agreed, transport: _Pair) -> Agreed:
    theirs = transport.theirs
    mux = transport.ours.rtcp_mux and theirs.rtcp_mux
    # RFC 8843 9.3.1.2: within a bundle RTP and RTCP share the port in any case.
    mux = mux or agreed.bundled_with is not None
    ice, ours = theirs.ice, transport.ours.ice
    if ice is None or ours is None:
        ice = None
    return replace(
        agreed,
        remote_address=theirs.address,
        remote_port=theirs.port,
        remote_rtcp=(theirs.address, theirs.port) if mux else theirs.rtcp,
        rtcp_mux=mux,
        ice=ice,
        ice_controlling=ice is not None and ours is not None and _controls(ours, ice, transport.we_offered),
    )


def _controls(ours: IceParameters, theirs: IceParameters, we_offered: bool) -> bool:
    """RFC 8445 6.1.1: of a full and a lite agent the full one controls; otherwise who began."""
    if ours.lite != theirs.lite:
        return theirs.lite
    return we_offered


def _with_codecs(agreed: Agreed, pair: _Pair) -> Agreed:
    ours = pair.ours.codecs
    theirs = codecs_of(pair.theirs.media, known=ours if pair.we_offered else ())
    common = _common(ours, theirs)
    if not common:
        raise SdpError(f"the {agreed.kind} stream has no format that both sides know", NOT_ACCEPTABLE_HERE, _FORMAT)
    # The order of the answer counts for both: 7 says so for the offerer, and in 6.1 the answerer may choose it.
    if not pair.we_offered:
        places = {codec.payload_type: place for place, codec in enumerate(ours)}
        common.sort(key=lambda couple: places[couple[0].payload_type])
    receive = {our.payload_type: our for our, _ in common}
    if pair.we_offered:
        # 6.1: the answerer "MUST use the payload type numbers from the offer", but some send with those of the answer.
        known = {codec.payload_type for codec in ours}
        for our, their in common:
            if their.payload_type not in known:
                receive.setdefault(their.payload_type, our.numbered(their.payload_type))
    send = [their for _, their in common]
    return replace(
        agreed,
        codecs=tuple(codec for codec in send if not codec.is_auxiliary),
        auxiliary=tuple(codec for codec in send if codec.is_auxiliary),
        receive=receive,
        dtmf=_by_clock([codec for codec in send if codec.is_event]),
        comfort_noise=_by_clock([codec for codec in send if codec.is_comfort_noise]),
        ptime=pair.theirs.ptime,
        maxptime=pair.theirs.maxptime,
    )


def _by_clock(codecs: Sequence[Codec]) -> dict[int, int]:
    found: dict[int, int] = {}
    for codec in codecs:
        found.setdefault(codec.clock_rate, codec.payload_type)
    return found


def _common(ours: Sequence[Codec], theirs: Sequence[Codec]) -> list[tuple[Codec, Codec]]:
    """Which of our formats is which of theirs, in their order.

    Of several that would do it is the one with the same number: formats for repair differ in nothing else.
    """
    by_number = {codec.payload_type: codec for codec in ours}
    by_name: dict[str, list[Codec]] = {}
    for codec in ours:
        by_name.setdefault(codec.name.lower(), []).append(codec)
    common = []
    for their in theirs:
        our = by_number.get(their.payload_type)
        if our is None or not _same(our, their):
            our = next((codec for codec in by_name.get(their.name.lower(), []) if _same(codec, their)), None)
        if our is not None:
            common.append((our, their))
    return common


def _same(our: Codec, their: Codec) -> bool:
    return same_encoding(our, their) if our.is_auxiliary else matches(our, their)


def _with_keys(agreed: Agreed, transport: _Pair, policy: Policy) -> Agreed:
    """The protection that both descriptions come to. SdpError: they come to none, and one is needed."""
    ways = {}
    offered, answered = transport.offered.media, transport.answered.media
    # Where the profile names DTLS, crypto lines mean nothing.
    if offered.has("crypto") and answered.has("crypto") and not is_dtls(offered.protocol):
        ways["sdes"] = _with_crypto
    if transport.offered.fingerprints and transport.answered.fingerprints:
        ways["dtls"] = _with_dtls
    # RFC 8643 3.2: the answer "MUST NOT contain attributes from more than one keying method"; where it does, we choose.
    for keying in (*policy.keying, *ways):
        if keying in ways:
            return ways[keying](agreed, transport, policy)
    if is_secure(offered.protocol) or is_secure(answered.protocol) or policy.encryption == "require":
        message = f"the {agreed.kind} stream must be encrypted, and there are no keys for it"
        raise SdpError(message, NOT_ACCEPTABLE_HERE, _TRANSPORT)
    return agreed


def _with_crypto(agreed: Agreed, transport: _Pair, policy: Policy) -> Agreed:
    answered = [crypto for crypto in transport.answered.cryptos if usable(crypto, policy)]
    for chosen in answered[:1]:
        for offered in transport.offered.cryptos:
            same_suite = canonical_suite(offered.suite) == canonical_suite(chosen.suite)
            # RFC 4568 5.1.3: the offerer finds by the tag which of its crypto attributes was accepted.
            if offered.tag == chosen.tag and same_suite:
                ours, theirs = (offered, chosen) if transport.we_offered else (chosen, offered)
                keys = AgreedCrypto(
                    canonical_suite(chosen.suite), ours.key, theirs.key, ours.mki, theirs.mki, _window(theirs)
                )
                return replace(agreed, protection="sdes", crypto=keys)
    # 7.1.3: otherwise "the SRTP security negotiation MUST be deemed to have failed".
    message = f"the keys for the {agreed.kind} stream do not fit what was offered"
    raise SdpError(message, NOT_ACCEPTABLE_HERE, _TRANSPORT)


def usable(crypto: Crypto, policy: Policy) -> bool:
    """Whether we can do what a crypto line asks."""
    return crypto.usable and (policy.mki or not crypto.mki)


def _window(crypto: Crypto) -> int:
    """The size of the replay window that the other side recommends for what it sends (RFC 4568 6.3.6)."""
    for parameter in crypto.parameters:
        if parameter.startswith("WSH="):
            return int(parameter[4:])
    return 64


def _with_dtls(agreed: Agreed, transport: _Pair, policy: Policy) -> Agreed:
    agreed = _with_certificates(agreed, transport)
    if agreed.dtls_role == "holdconn":
        # RFC 4145 4.1: "the connection should not be established for the time being".
        return replace(agreed, protection="dtls", direction="inactive")
    return replace(agreed, protection="dtls")


def _with_certificates(agreed: Agreed, transport: _Pair) -> Agreed:
    """The other side's certificate and who connects to whom: DTLS, and TCP with or without TLS."""
    theirs = transport.theirs
    connected = transport.answered.setup is not None or bool(theirs.fingerprints)
    return replace(
        agreed,
        fingerprints=tuple(theirs.fingerprints),
        dtls_role=_role(transport) if connected else "",
        tls_id=theirs.tls_id,
    )


def _role(transport: _Pair) -> Literal["active", "passive", "holdconn"]:
    # RFC 4145 4.1: "The default value of the setup attribute in an offer/answer exchange is 'active' in the offer and
    # 'passive' in the answer."
    setup = transport.answered.setup or "passive"
    if setup == "holdconn":
        return "holdconn"
    if setup == "actpass":
        # No answer may say so. Whoever does leaves the choice to the offerer, who was ready for both: RFC 5763 section
        # 5 makes the answerer the client then.
        setup = "active"
    if transport.we_offered:
        return "passive" if setup == "active" else "active"
    return setup
