from __future__ import annotations

from ringback.sdp.description import MediaDescription
from ringback.sdp.formats import Codec
from ringback.sdp.security import Crypto, Fingerprint
from ringback.sdp.streams import Agreed, AgreedCrypto, LocalStream, Policy


def test_a_refused_stream_has_nothing() -> None:
    refused = Agreed(1, "video", False)
    assert (refused.codec, refused.fingerprint, refused.direction, refused.local_index) == (None, None, "inactive", -1)
    assert (refused.protection, refused.bundled_with, dict(refused.receive)) == ("none", None, {})


def test_the_first_codec_and_the_first_fingerprint_are_at_hand() -> None:
    pcmu, pcma = Codec("PCMU", 8000, payload_type=0), Codec("PCMA", 8000, payload_type=8)
    prints = (Fingerprint("sha-256", "AA"), Fingerprint("sha-1", "BB"))
    agreed = Agreed(0, "audio", True, codecs=(pcma, pcmu), fingerprints=prints)
    assert (agreed.codec, agreed.fingerprint) == (pcma, prints[0])


def test_keys_are_not_shown_by_accident() -> None:
    crypto = Crypto("AES_CM_128_HMAC_SHA1_80", b"secret" * 5, 1)
    media = MediaDescription("audio", 1, "RTP/SAVP", ["0"])
    media.add("crypto", str(crypto))
    stream = LocalStream("audio", 1, "192.0.2.1", crypto=[crypto])
    keys = AgreedCrypto(crypto.suite, crypto.key, crypto.key)
    shown = repr(Agreed(0, "audio", True, stream, crypto=keys, remote=media)) + repr(stream) + repr(keys)
    assert "secret" not in shown and "c2VjcmV0" not in shown


def test_encryption_is_offered_unless_something_else_is_said() -> None:
    assert (Policy().encryption, Policy().keying) == ("offer", ("dtls", "sdes"))
