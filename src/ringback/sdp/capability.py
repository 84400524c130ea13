"""What a description says that the other side can do: as data, and as text for people.

    capability = capability_of(description)      of an offer, an answer, or the 200 to an OPTIONS request
    capability.text()

In what answers OPTIONS every port is zero (RFC 3264 section 9), so a port says nothing here of whether a medium is to
be had. Nothing of what a peer writes is trusted to be short or printable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ringback.sdp.attributes import contents, msrp_path, sctp_port
from ringback.sdp.description import SessionDescription
from ringback.sdp.formats import Codec
from ringback.sdp.security import canonical_suite
from ringback.sdp.view import MediaView, bundles, is_dtls, is_rtp, is_secure, views

__all__ = ["Capability", "MediaCapability", "capability_of"]

#: The longest word of a peer that is shown, and the most words in a row.
_LONGEST: Final = 60
_MOST: Final = 40


@dataclass(frozen=True, slots=True)
class MediaCapability:
    """One kind of stream that the other side can have.

    kind        "audio", "video", "text", "message", "application", "image" …
    protocol    as in the m= line
    offered     whether it has a port: in an offer or an answer, that it is there and not refused
    codecs      RTP formats, best first, without events, noise and repair
    formats     of a stream that is not RTP: its formats; for messages the media types that are accepted
    dtmf        the clock rates at which it takes telephone-event
    other       comfort noise, repair and redundancy, by name
    encryption  "none", "optional" (RFC 8643), or "required"
    keying      "sdes", "dtls": how keys may be agreed
    suites      crypto suites of SDES, best first
    ice         "none", "full" or "lite"
    rtcp_mux    RTP and RTCP may share a port
    bundle      may share the transport of others
    direction   from its point of view
    contents    what it shows (RFC 4796): "slides", "speaker" …
    """

    kind: str
    protocol: str
    offered: bool
    codecs: tuple[Codec, ...] = ()
    formats: tuple[str, ...] = ()
    dtmf: tuple[int, ...] = ()
    other: tuple[str, ...] = ()
    encryption: str = "none"
    keying: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    ice: str = "none"
    rtcp_mux: bool = False
    bundle: bool = False
    direction: str = "sendrecv"
    contents: tuple[str, ...] = ()

    @property
    def purpose(self) -> str:
        """What a person would call it."""
        protocol, kind = self.protocol.upper(), self.kind.lower()
        if kind == "text":
            return "real-time text"
        if "MSRP" in protocol:
            return "files or pictures" if kind == "image" else "messages"
        if "SCTP" in protocol:
            return "data channels"
        if "BFCP" in protocol:
            return "floor control"
        if protocol == "UDPTL" or "t38" in self.formats:
            return "fax"
        if kind == "application":
            return "application (such as a whiteboard)"
        return kind

    def lines(self) -> list[str]:
        """What a person reads, the first line a heading."""
        lines = [f"{_shown(self.purpose)} over {_shown(self.protocol)}"]
        details = (
            ("codecs", [_codec_text(codec) for codec in self.codecs]),
            ("formats", self.formats),
            ("shows", self.contents),
            ("DTMF", [f"telephone-event at {rate} Hz" for rate in self.dtmf]),
            ("also", self.other),
            ("encryption", self._encryption_texts() if is_rtp(self.protocol) or self.keying else []),
            ("ICE", [self.ice] if self.ice != "none" else []),
            ("ports", self._port_texts()),
            ("direction", [self.direction] if self.direction != "sendrecv" else []),
        )
        for title, words in details:
            if words:
                lines.append(f"  {title}: {_listed(words)}")
        return lines

    def _encryption_texts(self) -> list[str]:
        if self.encryption == "none":
            return ["none"]
        ways = {"sdes": "SDES", "dtls": "DTLS-SRTP" if is_rtp(self.protocol) else "TLS"}
        named = " or ".join(ways[keying] for keying in self.keying) or "keys that are not known"
        return [self.encryption, f"by {named}", *self.suites]

    def _port_texts(self) -> list[str]:
        texts = ["RTP and RTCP on one"] if self.rtcp_mux else []
        return [*texts, "shared with others (BUNDLE)"] if self.bundle else texts


@dataclass(frozen=True, slots=True)
class Capability:
    """All that a description tells. `media` has one entry for each m= line, in order."""

    media: tuple[MediaCapability, ...] = ()

    def of_kind(self, kind: str) -> tuple[MediaCapability, ...]:
        """The streams of one kind."""
        return tuple(media for media in self.media if media.kind.lower() == kind)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds there are, each once."""
        return tuple(dict.fromkeys(media.kind.lower() for media in self.media))

    @property
    def dtmf(self) -> bool:
        """Whether digits can be sent as events (RFC 4733)."""
        return any(media.dtmf for media in self.media)

    @property
    def encryption(self) -> str:
        """The best that any stream can: "required", "optional" or "none"."""
        found = {media.encryption for media in self.media}
        return "required" if "required" in found else "optional" if "optional" in found else "none"

    def codec_names(self, kind: str) -> tuple[str, ...]:
        """The names of the codecs for one kind, best first, each once."""
        return tuple(dict.fromkeys(codec.name for media in self.of_kind(kind) for codec in media.codecs))

    def text(self) -> str:
        """The whole as lines for a person; one line when there is nothing."""
        if not self.media:
            return "no media"
        # Where nothing has a port, the description is no session but the answer to OPTIONS.
        session = any(media.offered for media in self.media)
        lines = []
        for media in self.media:
            heading, *details = media.lines()
            lines.append(heading if media.offered or not session else f"{heading} (not in this session)")
            lines.extend(details)
        return "\n".join(lines)


def capability_of(description: SessionDescription) -> Capability:
    """What the writer of the description can do. Raises nothing: what cannot be read is left out."""
    bundled = {index for members in bundles(description) for index in members}
    return Capability(tuple(_media_capability(view, view.index in bundled) for view in views(description)))


def _media_capability(view: MediaView, bundle: bool) -> MediaCapability:
    media, codecs = view.media, view.codecs
    encryption, keying = _encryption(view)
    ice = view.ice
    auxiliary = (codec for codec in codecs if codec.is_auxiliary and not codec.is_event)
    return MediaCapability(
        media.kind,
        media.protocol,
        not view.disabled,
        tuple(codec for codec in codecs if not codec.is_auxiliary),
        () if is_rtp(media.protocol) else _formats(view),
        tuple(dict.fromkeys(codec.clock_rate for codec in codecs if codec.is_event)),
        tuple(dict.fromkeys(codec.name for codec in auxiliary)),
        encryption,
        keying,
        tuple(dict.fromkeys(canonical_suite(crypto.suite) for crypto in view.cryptos)),
        "none" if ice is None else "lite" if ice.lite else "full",
        view.rtcp_mux and is_rtp(media.protocol),
        bundle,
        view.direction,
        contents(media),
    )


def _encryption(view: MediaView) -> tuple[str, tuple[str, ...]]:
    protocol = view.media.protocol
    keying = []
    if is_dtls(protocol) or view.fingerprints or "TLS" in protocol.upper():
        keying.append("dtls")
    if view.cryptos:
        keying.append("sdes")
    if is_secure(protocol) or (not is_rtp(protocol) and "TLS" in protocol.upper()):
        return "required", tuple(keying)
    return ("optional" if keying else "none"), tuple(keying)


def _formats(view: MediaView) -> tuple[str, ...]:
    media = view.media
    # RFC 4975 8.6: the format of MSRP is always "*", and accept-types says what may come.
    types = (media.value("accept-types") or "").split()
    if types:
        return tuple(types)
    if msrp_path(media):
        return ("any",)
    port = sctp_port(media)
    return (f"{' '.join(media.formats[:_MOST])} (SCTP port {port})",) if port else tuple(media.formats)


def _codec_text(codec: Codec) -> str:
    return codec.rtpmap + (f" ({codec.fmtp})" if codec.parameters else "")


def _listed(words: Iterable[str]) -> str:
    words = list(words)
    shown = [_shown(word) for word in words[:_MOST]]
    if len(words) > _MOST:
        shown.append(f"and {len(words) - _MOST} more")
    return ", ".join(shown)


def _shown(text: str) -> str:
    """The text in one line that can be printed, and not too long."""
    text = "".join(character if character.isprintable() else "?" for character in text[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
