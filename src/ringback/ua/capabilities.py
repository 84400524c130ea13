"""What the other side can do, asked with OPTIONS (RFC 3261 section 11); and what we answer when we are asked."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from ringback.errors import ParseError
from ringback.media.backend import MediaBackend, MediaPreferences
from ringback.sdp.capability import Capability, capability_of
from ringback.sdp.description import parse as parse_description
from ringback.sip.grammar import split_commas
from ringback.sip.message import Response
from ringback.sip.status import reason_phrase

__all__ = ["Capabilities", "describe_media", "read_capabilities"]

#: The most words of one list that are kept of what a peer says, and how long a word may be.
_MOST: Final = 100
_LONGEST: Final = 200
_PORT: Final = re.compile(rb"(?m)^(m=\S+) \d+")
_KEY: Final = re.compile(rb"(?m)^a=(?:crypto|ice-ufrag|ice-pwd|candidate|rtcp):[^\n]*\n")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The answer to OPTIONS, as data.

    status, reason  of the response: "The response code chosen MUST be the same that would have been chosen had the
                    request been an INVITE" (11.2), so 200 means that a call would be taken, 486 that the user is busy
    methods         Allow; empty when it does not say
    accept          content types of bodies
    encodings, languages   Accept-Encoding and Accept-Language
    extensions      Supported
    events          Allow-Events
    software        Server or User-Agent
    contacts        the addresses that it gives
    media           what its session description says, None when it has sent none
    seconds         the round trip
    """

    status: int
    reason: str
    methods: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    encodings: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    software: str = ""
    contacts: tuple[str, ...] = ()
    media: Capability | None = None
    seconds: float = 0.0

    def text(self) -> str:
        """What a person reads."""
        lines = [f"{'answer':<14}{self.status} {self.reason} after {self.seconds * 1000:.0f} ms"]
        for title, words in (
            ("software", (self.software,)),
            ("methods", self.methods),
            ("extensions", self.extensions),
            ("events", self.events),
            ("bodies", self.accept),
            ("encodings", self.encodings),
            ("languages", self.languages),
            ("contacts", self.contacts),
        ):
            said = ", ".join(word for word in words if word)
            if said:
                lines.append(f"{title:<14}{said}")
        if self.media is None:
            lines.append(f"{'media':<14}it does not say")
        else:
            first, *rest = self.media.text().splitlines()
            lines.append(f"{'media':<14}{first}")
            lines += [f"{'':<14}{line}" for line in rest]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


def read_capabilities(response: Response, seconds: float) -> Capabilities:
    """What a response to OPTIONS says; what cannot be read of it is left out."""
    media: Capability | None = None
    if response.body and "sdp" in (response.header("content-type") or "").lower():
        try:
            media = capability_of(parse_description(response.body))
        except ParseError:
            media = None
    return Capabilities(
        status=response.status,
        reason=_shown(response.reason) or reason_phrase(response.status),
        methods=_words(response, "allow"),
        accept=_words(response, "accept"),
        encodings=_words(response, "accept-encoding"),
        languages=_words(response, "accept-language"),
        extensions=_words(response, "supported"),
        events=_words(response, "allow-events"),
        software=_shown(response.header("server") or response.header("user-agent") or ""),
        contacts=_words(response, "contact"),
        media=media,
        seconds=seconds,
    )


def _words(response: Response, key: str) -> tuple[str, ...]:
    words: list[str] = []
    for line in response.all(key):
        try:
            words += split_commas(line)
        except ParseError:
            continue
    return tuple(dict.fromkeys(_shown(word) for word in words[:_MOST] if word))


def _shown(text: str) -> str:
    """Text of a peer without what would steer a terminal."""
    plain = "".join(character if character.isprintable() else "?" for character in text[:_LONGEST])
    return plain + ("…" if len(text) > _LONGEST else "")


async def describe_media(media: MediaBackend, preferences: MediaPreferences) -> bytes:
    """The session description for an answer to OPTIONS: what a call could have.

    RFC 3264 section 9: "The port MUST be set to zero …. The usage of port zero makes sure that an SDP formatted for
    capabilities does not cause media streams to be established if it is interpreted as an offer or answer." Keys and
    candidates are those of one call, so there are none.
    """
    session = media.open(replace(preferences, keying=("dtls",), ice="none"))
    try:
        offer = await session.offer()
    finally:
        await session.close()
    return _KEY.sub(b"", _PORT.sub(rb"\1 0", offer))
