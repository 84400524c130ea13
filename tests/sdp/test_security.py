from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.errors import SdpError
from ringback.sdp.security import SUITES, Crypto, Fingerprint, MasterKey, canonical_suite, setup_of

# RFC 4568 6.1.
KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
OTHER_KEY = "YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2"
SUITE = "AES_CM_128_HMAC_SHA1_80"


def test_the_suites_have_keys_and_salts_of_their_length() -> None:
    assert {name: (suite.key_length, suite.salt_length) for name, suite in SUITES.items()} == {
        "AES_CM_128_HMAC_SHA1_80": (16, 14),
        "AES_CM_128_HMAC_SHA1_32": (16, 14),
        "AES_256_CM_HMAC_SHA1_80": (32, 14),
        "AES_256_CM_HMAC_SHA1_32": (32, 14),
        "AEAD_AES_128_GCM": (16, 12),
        "AEAD_AES_256_GCM": (32, 12),
    }


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_is_read_and_written(name: str) -> None:
    crypto = Crypto(name, bytes(range(SUITES[name].length)), 7)
    assert Crypto.parse(str(crypto)) == crypto
    # "padding characters … are discarded": they may be missing.
    assert Crypto.parse(str(crypto).rstrip("=")) == crypto


def test_the_examples_of_rfc_4568() -> None:
    crypto = Crypto.parse(f"1 {SUITE} inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP")
    assert (crypto.tag, crypto.suite, crypto.lifetime, crypto.mki) == (1, SUITE, 2**20, b"\0\0\0\1")
    assert crypto.key == b"wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#"
    assert crypto.parameters == ("FEC_ORDER=FEC_SRTP",)
    assert str(crypto) == f"1 {SUITE} inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP"
    assert Crypto.parse(f"1 {SUITE} inline:{OTHER_KEY}|1066:4").mki == (1066).to_bytes(4, "big")
    assert Crypto.parse(f"1 {SUITE} inline:{KEY}|1:128").mki == (1).to_bytes(128, "big")
    assert Crypto.parse(f"1 {SUITE} inline:{KEY}|255:1").mki == b"\xff"
    assert Crypto.parse(f"1 {SUITE} inline:{KEY}|1000").lifetime == 1000
    assert Crypto.parse(f"1 {SUITE} inline:{KEY}|2^48").lifetime == 2**48
    two = Crypto.parse(f"1 {SUITE} inline:{KEY}|2^20|1:4;inline:{OTHER_KEY}|2^20|2:4")
    assert [key.mki[-1] for key in two.keys] == [1, 2]
    assert Crypto.parse(str(two)) == two


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"1 {SUITE}",
        f"x {SUITE} inline:{KEY}",
        f"1234567890 {SUITE} inline:{KEY}",
        f"1 F8_128_HMAC_SHA1_80 inline:{KEY}",
        f"1 {SUITE} uri:{KEY}",
        f"1 {SUITE} {KEY}",
        f"1 {SUITE} inline:{KEY[:-4]}",
        f"1 {SUITE} inline:{KEY}AAAA",
        f"1 {SUITE} inline:{KEY[:-1]}!",
        f"1 {SUITE} inline:{KEY}===",
        f"1 {SUITE} inline:",
        f"1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}",
        f"1 {SUITE} inline:{KEY}|2^49",
        f"1 {SUITE} inline:{KEY}|0",
        f"1 {SUITE} inline:{KEY}|020",
        f"1 {SUITE} inline:{KEY}|2^",
        f"1 {SUITE} inline:{KEY}|" + "9" * 5000,
        f"1 {SUITE} inline:{KEY}|2^20|1",
        f"1 {SUITE} inline:{KEY}|1:4|2^20",
        f"1 {SUITE} inline:{KEY}|2^20|1:129",
        f"1 {SUITE} inline:{KEY}|2^20|1:0",
        f"1 {SUITE} inline:{KEY}|2^20|256:1",
        f"1 {SUITE} inline:{KEY}|2^20|01:4",
        f"1 {SUITE} inline:{KEY}|2^20|1:4|2:4",
        f"1 {SUITE} inline:{KEY};inline:{OTHER_KEY}",
        f"1 {SUITE} inline:{KEY}|1:4;inline:{OTHER_KEY}|2:2",
        f"1 {SUITE} inline:{KEY}|1:4;",
        f"1 {SUITE} " + ";".join([f"inline:{KEY}|1:4"] * 17),
    ],
)
def test_crypto_lines_that_are_invalid(text: str) -> None:
    with pytest.raises(SdpError):
        Crypto.parse(text)


@pytest.mark.parametrize(
    ("parameters", "usable"),
    [
        ((), True),
        (("WSH=64",), True),
        (("WSH=1024", "KDR=0", "FEC_ORDER=FEC_SRTP", "-optional"), True),
        (("WSH=63",), False),
        (("WSH=064",), False),
        (("KDR=1",), False),
        (("UNENCRYPTED_SRTP",), False),
        (("UNENCRYPTED_SRTCP",), False),
        (("UNAUTHENTICATED_SRTP",), False),
        (("FEC_ORDER=SRTP_FEC",), False),
        ((f"FEC_KEY=inline:{KEY}",), False),
        (("unknown",), False),
    ],
)
def test_session_parameters_that_weaken_or_are_unknown_are_not_taken(parameters: tuple[str, ...], usable: bool) -> None:
    crypto = Crypto.parse(" ".join([f"1 {SUITE} inline:{KEY}", *parameters]))
    assert (crypto.parameters, crypto.usable) == (parameters, usable)


def test_old_names_of_suites_are_known_and_kept() -> None:
    name = "AES_CM_256_HMAC_SHA1_80"
    crypto = Crypto(name, bytes(46), 2)
    assert canonical_suite(name) == "AES_256_CM_HMAC_SHA1_80"
    assert Crypto.parse(str(crypto)).suite == name
    assert canonical_suite("unknown") == "unknown"


def test_keys_are_not_shown_by_accident() -> None:
    assert "secret" not in repr(Crypto(SUITE, b"secret" * 5, 1)) + repr(MasterKey(b"secret" * 5))


def test_lifetimes_are_written_as_powers_where_they_are() -> None:
    assert str(MasterKey(b"a", 2**31)).endswith("|2^31")
    assert str(MasterKey(b"a", 3)).endswith("|3")
    assert str(MasterKey(b"a", 1)).endswith("|1")


DIGEST = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"


def test_fingerprints_are_compared_without_regard_to_case() -> None:
    expected = Fingerprint("sha-1", DIGEST)
    assert Fingerprint.parse(f"SHA-1 {DIGEST}") == Fingerprint.parse(f"sha-1  {DIGEST.lower()}") == expected
    assert Fingerprint.of("sha-1", bytes.fromhex(DIGEST.replace(":", ""))) == expected
    assert str(expected) == f"sha-1 {DIGEST}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha-1",
        DIGEST,
        f"sha-256 {DIGEST}",
        f"md5 {DIGEST[:47]}",
        f"sha-1 {DIGEST}:00",
        f"sha-1 {DIGEST.replace(':', '')}",
        f"sha-1 {DIGEST[:-1]}G",
        f"sha-1 {DIGEST} x",
        f"sha-1 {DIGEST[:-3]}",
    ],
)
def test_fingerprints_that_are_none(text: str) -> None:
    with pytest.raises(SdpError):
        Fingerprint.parse(text)


def test_setup() -> None:
    assert [setup_of(text) for text in ("active", "passive", "actpass", "holdconn")] == [
        "active",
        "passive",
        "actpass",
        "holdconn",
    ]
    assert setup_of(" ACTIVE ") == "active"
    assert setup_of(None) is setup_of("") is setup_of("both") is None


@given(st.text(max_size=80))
def test_random_text_raises_nothing_but_sdp_errors(text: str) -> None:
    for value in (text, f"1 {SUITE} inline:{text}", f"1 {SUITE} inline:{KEY}|{text}", f"sha-1 {text}"):
        for parser in (Crypto, Fingerprint):
            try:
                found = parser.parse(value)
            except SdpError:
                continue
            assert parser.parse(str(found)) == found
