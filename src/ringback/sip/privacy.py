"""Who we say that we are, and whom we believe (RFC 3323, RFC 3325).

A user agent that asks for privacy makes From anonymous and names itself in P-Preferred-Identity to a proxy that it
trusts, which asserts it to others. What others assert in P-Asserted-Identity is believed only from a peer that is
trusted: RFC 3325 section 8: "If a UA … receives a message from … [an] element that it does not trust, it MUST NOT use
the P-Asserted-Identity header field in any way."
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.headers import NameAddr
from ringback.sip.message import Headers, Message
from ringback.sip.profile import Profile

#: RFC 3323 4.1.1.1: "It is RECOMMENDED that user agents seeking anonymity use a display-name of "Anonymous""; 4.1.1.3:
#: "the hostname value 'anonymous.invalid' SHOULD be used for anonymous URIs".
ANONYMOUS: Final = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def is_anonymous(profile: Profile) -> bool:
    """Whether From has to hide who sends: for privacy at the level of "user" and, by RFC 3325 10.2, "id"."""
    tokens = privacy_tokens(profile.privacy)
    return "user" in tokens or "id" in tokens


def privacy_tokens(value: str) -> list[str]:
    """The priv-values of a Privacy header, in lower case."""
    return [token for token in value.lower().replace(" ", "").split(";") if token]


def from_value(profile: Profile, tag: str) -> str:
    """From for a request of this profile."""
    return f"{ANONYMOUS if is_anonymous(profile) else profile.aor};tag={tag}"


def identity_headers(profile: Profile) -> Headers:
    """Privacy, and the identity that is preferred or asserted."""
    headers: Headers = []
    if profile.privacy:
        headers.append(("Privacy", profile.privacy))
    identity = profile.identity
    if not identity and is_anonymous(profile) and profile.trusted:
        identity = profile.aor
    if identity:
        headers.append(("P-Asserted-Identity" if profile.trusted else "P-Preferred-Identity", identity))
    return headers


def asserted_identities(message: Message, profile: Profile) -> list[NameAddr]:
    """Who the sender is by P-Asserted-Identity: [] unless the peer is trusted, or when nothing readable is there.

    RFC 3325 9.1: "There may be one or two P-Asserted-Identity values. If there is one value, it MUST be a sip, sips, or
    tel URI. If there are two values, one value MUST be a sip or sips URI and the other MUST be a tel URI."
    """
    if not profile.trusted or "p-asserted-identity" not in message.names:
        return []
    try:
        return message.addresses("p-asserted-identity")[:2]
    except ParseError:
        return []


def asks_for_privacy(message: Message) -> list[str]:
    """The priv-values that a received message asks for; "none" is one of them."""
    return privacy_tokens(message.header("privacy") or "")
