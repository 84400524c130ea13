"""Answers to OPTIONS, read and made."""

from __future__ import annotations

import json

import pytest

from ringback.media.backend import MediaPreferences
from ringback.media.io.backend import InProcessMedia
from ringback.sdp.capability import capability_of
from ringback.sdp.description import parse
from ringback.sip.message import Headers, build_response
from ringback.ua.capabilities import Capabilities, describe_media, read_capabilities

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nc=IN IP4 192.0.2.1\r\n"
    b"m=audio 0 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def answer(status: int = 200, *headers: tuple[str, str], body: bytes = b"", reason: str = "") -> Capabilities:
    given: Headers = list(headers)
    return read_capabilities(build_response(status, reason, given, body), 0.0123)


def test_all_that_it_may_say() -> None:
    found = answer(
        200,
        ("Allow", "INVITE, ACK"),
        ("Allow", "BYE, INVITE"),
        ("Accept", "application/sdp, application/pidf+xml"),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "en, de"),
        ("Supported", "100rel, replaces"),
        ("Allow-Events", "refer"),
        ("Server", "Phone 1.0"),
        ("Contact", "<sip:bob@192.0.2.1>"),
        ("Content-Type", "application/sdp"),
        body=SDP,
    )
    assert (found.status, found.reason, found.seconds) == (200, "OK", 0.0123)
    assert found.methods == ("INVITE", "ACK", "BYE")
    assert found.accept == ("application/sdp", "application/pidf+xml")
    assert (found.encodings, found.languages) == (("identity",), ("en", "de"))
    assert (found.extensions, found.events, found.software) == (("100rel", "replaces"), ("refer",), "Phone 1.0")
    assert found.contacts == ("<sip:bob@192.0.2.1>",)
    assert found.media is not None and found.media.codec_names("audio") == ("PCMA",) and found.media.dtmf
    lines = found.text().splitlines()
    assert lines[:3] == [
        "answer        200 OK after 12 ms", "software      Phone 1.0", "methods       INVITE, ACK, BYE"
    ]  # fmt: skip
    assert any("PCMA" in line for line in lines)


def test_as_json() -> None:
    found = answer(200, ("Allow", "INVITE"), ("Content-Type", "application/sdp"), body=SDP)
    read = json.loads(json.dumps(found.as_dict()))
    assert read["status"] == 200 and read["methods"] == ["INVITE"]
    assert read["media"]["media"][0]["codecs"][0]["name"] == "PCMA"


def test_a_bare_answer() -> None:
    found = answer(486)
    assert found == Capabilities(486, "Busy Here", seconds=0.0123)
    assert found.text().splitlines() == [
        "answer        486 Busy Here after 12 ms", "media         it does not say"
    ]  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"hello", b"v=0\r\n", b"\xff" * 100])
def test_descriptions_that_are_none(body: bytes) -> None:
    assert answer(200, ("Content-Type", "application/sdp"), body=body).media is None


def test_other_bodies_are_no_descriptions() -> None:
    assert answer(200, ("Content-Type", "text/plain"), body=SDP).media is None


def test_what_would_steer_a_terminal_is_not_shown() -> None:
    found = answer(200, ("Server", "a\x1b[2Jb"), ("Allow", "\x1b]0;x\x07, BYE"), reason="O\x1bK")
    assert (found.software, found.methods, found.reason) == ("a?[2Jb", ("?]0;x?", "BYE"), "O?K")


def test_long_lists_and_words_are_cut() -> None:
    found = answer(200, ("Allow", ", ".join(f"M{number}" for number in range(500))), ("Server", "x" * 1000))
    assert len(found.methods) == 100 and found.software == "x" * 200 + "…"


def test_lists_that_cannot_be_split_are_left_out() -> None:
    assert answer(200, ("Supported", '"open, x'), ("Supported", "timer")).extensions == ("timer",)


async def test_our_own_media() -> None:
    media = InProcessMedia()
    body = await describe_media(media, MediaPreferences(codecs=("PCMU", "G722"), address="127.0.0.1"))
    assert len(media) == 0
    description = parse(body)
    found = capability_of(description)
    assert found.codec_names("audio") == ("PCMU", "G722") and found.dtmf
    # RFC 3264 section 9: no port; and nothing that belongs to one call.
    assert [stream.port for stream in description.media] == [0]
    for secret in (b"a=crypto", b"a=candidate", b"a=ice-pwd", b"a=rtcp:"):
        assert secret not in body
    await media.close()


async def test_that_it_takes_dtls_is_said() -> None:
    media = InProcessMedia()
    body = await describe_media(media, MediaPreferences(codecs=("PCMU",), address="127.0.0.1", encryption="require"))
    found = capability_of(parse(body))
    assert found.encryption == "required" and found.media[0].keying == ("dtls",)
    await media.close()
