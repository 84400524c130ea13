"""What the interop tests of user agents are to prove: the rows and the peers of docs/interop.md, in their order.

A test says what it proves: `@pytest.mark.proves("baresip", "codec PCMU", OURS)`. OURS: Ringback's user agent calls, or
does it (holds, transfers, presses keys); THEIRS: the peer does. What no test proves stays visible as not tested.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from tests.interop.peers.program import PATH

OURS: Final = "ours"
THEIRS: Final = "theirs"


class Feature(NamedTuple):
    """A row of the table."""

    name: str
    meaning: str
    peers: tuple[str, ...]
    """The peers with which it is to be proved."""


PHONES: Final = ("baresip", "linphone")
FEATURES: Final = (
    Feature("call", "answered, tones heard on both sides, ended by either", PHONES),
    Feature("call over TCP", "the same with signalling over TCP", PHONES),
    Feature("call over IPv6", "signalling and sound over IPv6", PHONES),
    Feature("busy", "486 and 603 are told to the caller", PHONES),
    Feature("cancelled", "the caller gives up while it rings", PHONES),
    Feature("early media", "183 with sound before the answer", PHONES),
    *(
        Feature(f"codec {codec}", f"speech said in {codec} is understood (STOI), tones are whole", PHONES)
        for codec in ("PCMU", "PCMA", "G722", "L16", "opus")
    ),
    Feature("SDES", "SRTP with keys in SDP (RFC 4568)", PHONES),
    Feature("DTLS-SRTP", "SRTP with keys by DTLS (RFC 5764)", PHONES),
    Feature("ICE", "a pair found by connectivity checks (RFC 8445)", PHONES),
    Feature("ICE and DTLS-SRTP", "both together", PHONES),
    Feature("DTMF", "telephone-events (RFC 4733), every key once", PHONES),
    Feature("hold and resume", "silence while held, sound after it (RFC 3264 8.4)", PHONES),
    Feature("re-INVITE", "a new offer within the call, sound goes on", PHONES),
    Feature("quality repair", "under 8 % loss the sound is made more robust; restored later", ("baresip",)),
    Feature("blind transfer", "REFER; the other side talks to a third one (RFC 5589 6)", PHONES),
    Feature("attended transfer", "REFER with Replaces (RFC 5589 7)", PHONES),
    Feature("RFC 3665 2.1 registration", "REGISTER, challenged", ("sipp",)),
    Feature("RFC 3665 2.4 cancellation of registration", "REGISTER with Expires 0", ("sipp",)),
    Feature("RFC 3665 2.5 unsuccessful registration", "wrong password", ("sipp",)),
    Feature("RFC 3665 3.1 session", "INVITE, 180, 200, ACK, sound, BYE", ("sipp",)),
    Feature("RFC 3665 3.3 challenges of two proxies", "407 twice, both answered", ("sipp",)),
    Feature("RFC 3665 3.6 offer in the 200", "INVITE without SDP, SDP in the ACK", ("sipp",)),
    Feature("RFC 3665 3.6 redirection", "302, the contact is called", ("sipp",)),
    Feature("RFC 3665 3.7 re-INVITE", "the address of the media changes", ("sipp",)),
    Feature("RFC 3665 3.8 no answer", "CANCEL, 487", ("sipp",)),
    Feature("RFC 3665 3.9 busy", "486", ("sipp",)),
    Feature("RFC 3665 3.11 temporarily unavailable", "480", ("sipp",)),
    Feature("RFC 3261 forked call", "two early dialogs, the second is answered", ("sipp",)),
    Feature("RFC 3261 lost ACK", "the 200 is repeated until the ACK comes", ("sipp",)),
    Feature("RFC 3261 glare", "491, and offered again", ("sipp",)),
    Feature("RFC 3262 reliable 180", "100rel required, PRACK", ("sipp",)),
    Feature("RFC 3262 reliable early media", "183 with SDP, PRACK, sound before the answer", ("sipp",)),
    Feature("RFC 3262 lost PRACK", "the 180 is repeated until the PRACK comes", ("sipp",)),
    Feature("RFC 3262 refused by 420", "the peer does not support 100rel", ("sipp",)),
    Feature("RFC 3311 UPDATE before the answer", "a new offer in the early dialog", ("sipp",)),
    Feature("RFC 3311 UPDATE in the call", "a new offer in the confirmed dialog", ("sipp",)),
    Feature("RFC 4028 session timer, refresher is the caller", "the session is refreshed in time", ("sipp",)),
    Feature("RFC 4028 session timer, refresher is the callee", "the session is refreshed in time", ("sipp",)),
    Feature("RFC 4028 422", "Session Interval Too Small, asked again with Min-SE", ("sipp",)),
    Feature("RFC 4028 no refresh", "the call is ended when the other side does not refresh", ("sipp",)),
    Feature("RFC 3891 Replaces", "a call takes the place of another", ("sipp",)),
    Feature("RFC 3891 Replaces without a call", "481", ("sipp",)),
    Feature("RFC 5359 2.1 hold", "held and resumed by re-INVITE", ("sipp",)),
    Feature("RFC 5359 2.4 blind transfer", "REFER, NOTIFY with sipfrag, BYE", ("sipp",)),
    Feature("RFC 5359 2.5 attended transfer", "REFER with Replaces", ("sipp",)),
    Feature("transfer that fails", "the sipfrag tells 486; the first call goes on", ("sipp",)),
    Feature("registered", "REGISTER with digest, refreshed, taken back", ("kamailio", "ringback")),
    Feature("call through the server", "between two registered user agents, with sound", ("kamailio", "ringback")),
    Feature("call with baresip through the server", "each registered there, with sound", ("kamailio", "ringback")),
    Feature("transfer through the server", "a registered phone is sent to another", ("kamailio", "ringback")),
    Feature("call over TLS through the server", "signalling over TLS, keys by SDES", ("ringback",)),
    Feature("STUN", "coturn is asked where we are seen (RFC 8445 5.1.1)", ("coturn",)),
    Feature("TURN", "sound through a relay (RFC 8656)", ("coturn",)),
)

IMPOSSIBLE: Final = {
    ("baresip", "quality repair", THEIRS): "it is Ringback that repairs",
    ("baresip", "early media", OURS): "baresip 1.0 sends no sound with its 183",
    ("baresip", "attended transfer", OURS): "baresip 1.0 neither sends nor takes Replaces",
    ("baresip", "attended transfer", THEIRS): "baresip 1.0 has no command for it",
    (
        "linphone",
        "codec L16",
        OURS,
    ): "Linphone 5.1 takes L16 in the wrong order of octets, and falls silent now and then",
    (
        "linphone",
        "codec L16",
        THEIRS,
    ): "Linphone 5.1 takes L16 in the wrong order of octets, and falls silent now and then",
    ("linphone", "re-INVITE", THEIRS): "linphonec has no command but pause and resume",
    ("sipp", "RFC 3262 refused by 420", THEIRS): "our user agents know 100rel",
    ("sipp", "RFC 3891 Replaces without a call", OURS): "Ringback is the one that is called",
    ("sipp", "RFC 3311 UPDATE in the call", OURS): "in a confirmed dialog it offers by re-INVITE (RFC 3311 5.1)",
    **{
        ("sipp", name, THEIRS): "the user agent is the client here"
        for name in (
            "RFC 3665 2.1 registration",
            "RFC 3665 2.4 cancellation of registration",
            "RFC 3665 2.5 unsuccessful registration",
            "RFC 3665 3.3 challenges of two proxies",
            "RFC 3665 3.6 redirection",
            "RFC 3261 forked call",
        )
    },
    **{
        (peer, name, THEIRS): "the user agent is the client here"
        for peer, names in (("kamailio", ("registered",)), ("ringback", ("registered",)), ("coturn", ("STUN", "TURN")))
        for name in names
    },
}
"""What cannot be proved, and why."""

_VERSIONS: Final = {
    "baresip": (("baresip", "-h"), r"baresip v([\d.]+)"),
    "linphone": (("linphonec", "-v"), r"version: ([\d.]+)"),
    "sipp": (("sipp", "-v"), r"SIPp v([\w.-]+)"),
    "kamailio": (("kamailio", "-v"), r"kamailio ([\d.]+)"),
    "coturn": (("turnserver", "--version"), r"([\d.]{3,})"),
    "ringback": ((str(Path(sys.executable).parent / "ringback"), "version"), r"([\d.]{3,}\S*)"),
}
PEERS: Final = tuple(_VERSIONS)


def version(peer: str) -> str:
    """The version of a peer that is installed here, or ""."""
    command, pattern = _VERSIONS[peer]
    program = shutil.which(command[0], path=PATH)
    if program is None:
        return ""
    said = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(pattern, said.stdout + said.stderr)
    return found[1].rstrip(".") if found else "unknown"
