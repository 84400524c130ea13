"""The hashes, by the examples of the RFCs."""

import hashlib

import pytest

from ringback.errors import LocalError
from ringback.sip import digest_hash
from ringback.sip.digest_hash import (
    ALGORITHMS,
    AVAILABLE,
    algorithm_name,
    base_algorithm,
    ha1,
    hash_hex,
    hashed_username,
    octets,
    request_digest,
    strength,
)

with_sha_512_256 = pytest.mark.skipif("SHA-512-256" not in AVAILABLE, reason="this OpenSSL has no SHA-512/256")


def test_the_example_of_rfc_2617() -> None:
    key = ha1("Mufasa", "testrealm@host.com", "Circle Of Life", "MD5")
    assert key == "939e7578ed9e3c518a452acee763bce9"
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    digest = request_digest(key, "MD5", "GET", "/dir/index.html", nonce, "00000001", "0a4f113b", "auth", b"")
    assert digest == "6629fae49393a05397450978507c4ef1"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_3_9_1(algorithm: str, expected: str) -> None:
    key = ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
    digest = request_digest(
        key,
        algorithm,
        "GET",
        "/dir/index.html",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "00000001",
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "auth",
        b"",
    )
    assert digest == expected


# RFC 7616 3.9.2 prints the values of SHA-512 cut to 256 bits, which is not SHA-512/256 (FIPS 180-4 gives that one other
# initial values); erratum 4897 has the values for the algorithm that the example names.
USER, REALM, PASSWORD = "J\u00e4s\u00f8n Doe", "api@example.org", "Secret, or not?"
NONCE, CNONCE = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"


@with_sha_512_256
def test_the_example_of_rfc_7616_3_9_2_with_its_erratum() -> None:
    assert hashed_username(USER, REALM, "SHA-512-256") == (
        "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    )
    key = ha1(USER, REALM, PASSWORD, "SHA-512-256")
    digest = request_digest(key, "SHA-512-256", "GET", "/doe.json", NONCE, "00000001", CNONCE, "auth", b"")
    assert digest == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


def test_rfc_7616_3_9_2_as_printed_is_a_truncated_sha_512() -> None:
    def cut(text: str) -> str:
        return hashlib.sha512(text.encode()).hexdigest()[:64]

    assert cut(f"{USER}:{REALM}") == "488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec"
    key, second = cut(f"{USER}:{REALM}:{PASSWORD}"), cut("GET:/doe.json")
    assert cut(f"{key}:{NONCE}:00000001:{CNONCE}:auth:{second}") == (
        "ae66e67d6b427bd3f120414a82e4acff38e8ecd9101d6c861229025f607a79dd"
    )


@pytest.mark.parametrize(
    ("algorithm", "empty"),
    [
        # RFC 3261 22.4 item 7 and RFC 8760 2.6 item 7.
        ("MD5", "d41d8cd98f00b204e9800998ecf8427e"),
        ("SHA-256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        # FIPS 180-4.
        pytest.param(
            "SHA-512-256",
            "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a",
            marks=with_sha_512_256,
        ),
    ],
)
def test_the_hash_of_an_empty_body(algorithm: str, empty: str) -> None:
    assert hash_hex(algorithm, b"") == empty
    key = "0" * 32
    with_body = request_digest(key, algorithm, "INVITE", "sip:b@c", "n", "00000001", "c", "auth-int", b"")
    by_hand = hash_hex(algorithm, f"INVITE:sip:b@c:{empty}".encode())
    assert with_body == hash_hex(algorithm, f"{key}:n:00000001:c:auth-int:{by_hand}".encode())


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_without_qop_neither_count_nor_cnonce_is_hashed() -> None:
    expected = md5(f"{'a' * 32}:n:{md5('INVITE:sip:b@c')}")
    for nc, cnonce in (("", ""), ("00000001", "c")):
        assert request_digest("a" * 32, "MD5", "INVITE", "sip:b@c", "n", nc, cnonce, "", b"body") == expected


def test_the_session_variant_hashes_the_key_with_nonce_and_cnonce() -> None:
    session = md5(f"{'a' * 32}:n:c")
    expected = md5(f"{session}:n:00000002:c:auth:{md5('INVITE:sip:b@c')}")
    assert request_digest("a" * 32, "MD5-sess", "INVITE", "sip:b@c", "n", "00000002", "c", "auth", b"") == expected
    assert ha1("u", "r", "p", "MD5-sess") == ha1("u", "r", "p", "MD5") == md5("u:r:p")


def test_auth_int_covers_the_body_and_auth_does_not() -> None:
    def digest(qop: str, body: bytes) -> str:
        return request_digest("a" * 32, "MD5", "INVITE", "sip:b@c", "n", "00000001", "c", qop, body)

    assert digest("auth", b"one") == digest("auth", b"two")
    assert digest("auth-int", b"one") != digest("auth-int", b"two")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (None, "MD5"),
        ("MD5", "MD5"),
        ("md5", "MD5"),
        ("md5-SESS", "MD5-sess"),
        ("sha-256", "SHA-256"),
        ("SHA-256-sess", "SHA-256-sess"),
        ("SHA-512-256", "SHA-512-256"),
        ("SHA-512-256-sess", "SHA-512-256-sess"),
        ("SHA-512", ""),
        ("AKAv1-MD5", ""),
        ("-sess", ""),
        ("", ""),
    ],
)
def test_names_of_algorithms(written: str | None, name: str) -> None:
    assert algorithm_name(written) == name


def test_strengths() -> None:
    assert [strength(name) for name in ALGORITHMS] == [3, 2, 1]
    assert strength("MD5-sess") == 1
    assert strength("") == 0
    assert base_algorithm("SHA-256-sess") == "SHA-256"


def test_bytes_that_are_no_utf_8_are_hashed_as_they_came() -> None:
    text = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert octets(text) == b"caf\xe9"
    assert ha1(text, "r", "p", "SHA-256") == hashlib.sha256(b"caf\xe9:r:p").hexdigest()


def test_text_that_stands_for_no_bytes_is_a_local_error() -> None:
    with pytest.raises(LocalError, match="UTF-8"):
        octets("\ud800")


def test_an_algorithm_that_openssl_lacks_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = hashlib.new

    def new(name: str, data: bytes = b"", *, usedforsecurity: bool = True) -> "hashlib._Hash":
        if name != "sha256":
            raise ValueError(f"unsupported hash type {name}")
        return real(name, data, usedforsecurity=usedforsecurity)

    monkeypatch.setattr(hashlib, "new", new)
    assert digest_hash._find_available() == ("SHA-256",)


def test_an_algorithm_that_cannot_be_computed_is_a_local_error() -> None:
    with pytest.raises(LocalError, match="SHA-1"):
        hash_hex("SHA-1", b"")
