"""The grammar of Digest header values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import LocalError, ParseError
from ringback.sip.digest import (
    AuthenticationInfo,
    Challenge,
    Credentials,
    parse_authentication_info,
    parse_challenge,
    parse_credentials,
)

CHALLENGE = ("realm", "nonce", "algorithm", "known", "qop", "stale", "opaque", "domain", "charset", "userhash", "other")
CREDENTIALS = (
    "username", "realm", "nonce", "uri", "response", "algorithm", "known", "cnonce", "nc", "qop", "opaque", "userhash",
    "other",
)  # fmt: skip
INFO = ("nextnonce", "qop", "rspauth", "cnonce", "nc", "other")

TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+.^_`|~-"


def shape(value: object, names: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(value, name) for name in names}


def challenge(value: str) -> Challenge:
    found = parse_challenge(value)
    assert found is not None
    return found


def credentials(value: str) -> Credentials:
    found = parse_credentials(value)
    assert found is not None
    return found


# Challenges -----------------------------------------------------------------------------------------------------------


def test_the_challenge_of_rfc_3261_22_2() -> None:
    value = (
        'Digest realm="biloxi.com", qop="auth,auth-int",\r\n nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
        ' opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    assert shape(challenge(value), CHALLENGE) == {
        "realm": "biloxi.com",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "algorithm": None,
        "known": "MD5",
        "qop": ("auth", "auth-int"),
        "stale": False,
        "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
        "domain": None,
        "charset": None,
        "userhash": False,
        "other": {},
    }


def test_the_challenge_of_rfc_7616_3_9_2() -> None:
    value = (
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQ+/VvkK", opaque="HRPC",'
        " charset=UTF-8, userhash=true"
    )
    found = challenge(value)
    assert (found.known, found.charset, found.userhash, found.qop) == ("SHA-512-256", "UTF-8", True, ("auth",))


def test_how_a_challenge_is_written() -> None:
    written = Challenge("a.org", "abc", "SHA-256", ("auth", "auth-int"), True, "o", "sip:a.org", "UTF-8", True).write()
    assert written == (
        'Digest realm="a.org", nonce="abc", domain="sip:a.org", opaque="o", algorithm=SHA-256, qop="auth,auth-int",'
        " charset=UTF-8, userhash=true, stale=true"
    )
    assert Challenge("a.org", "abc").write() == 'Digest realm="a.org", nonce="abc"'


@pytest.mark.parametrize(("written", "stale"), [("TRUE", True), ("false", False), ("yes", False)])
def test_stale(written: str, stale: bool) -> None:
    assert challenge(f'Digest realm="r", nonce="n", stale={written}').stale is stale


@pytest.mark.parametrize(
    "value", ['Basic realm="x"', "Bearer", 'Bearer authz_server="https://a/"', "NTLM abc==", "Digestive a=b"]
)
def test_another_scheme_is_not_ours(value: str) -> None:
    assert parse_challenge(value) is None
    assert parse_credentials(value) is None


@pytest.mark.parametrize("value", ['digest realm="r",nonce="n"', ' DIGEST\trealm = "r" ,\r\n nonce= "n" '])
def test_case_and_white_space_do_not_matter(value: str) -> None:
    found = challenge(value)
    assert (found.realm, found.nonce) == ("r", "n")


def test_what_should_not_be_quoted_may_be_and_the_reverse() -> None:
    found = challenge('Digest realm=r, nonce=n, algorithm="SHA-256", stale="true", qop=auth')
    assert (found.realm, found.algorithm, found.stale, found.qop) == ("r", "SHA-256", True, ("auth",))


def test_unknown_parameters_are_kept() -> None:
    found = challenge('Digest realm="r", nonce="n", X-Id=7, note="a, \\"b\\""')
    assert found.other == {"x-id": "7", "note": 'a, "b"'}
    assert found.write() == 'Digest realm="r", nonce="n", x-id=7, note="a, \\"b\\""'


BROKEN = [
    ("", "not an authentication scheme"),
    ('"Digest" realm="r"', "not an authentication scheme"),
    ("Digest", "a parameter is expected"),
    ("Digest ", "a parameter is expected"),
    ('Digest realm="r"', "nonce is missing"),
    ('Digest nonce="n"', "realm is missing"),
    ('Digest realm="r", nonce="n", realm="r"', "'realm' stands twice"),
    ('Digest realm="r", nonce="n", x=1, X=2', "'x' stands twice"),
    ('Digest realm="r", nonce="n", x="\\1", X=2', "'x' stands twice"),
    ('Digest realm="r", nonce="n", x=1, X="\\2"', "'x' stands twice"),
    ('Digest realm="r", nonce="n",', "a parameter is expected"),
    ('Digest realm="r",, nonce="n"', "a parameter is expected"),
    ('Digest realm="r" nonce="n"', "a comma is expected"),
    ('Digest realm="r", nonce', "'=' is expected"),
    ('Digest realm="r", nonce=', "has no value"),
    ('Digest realm="r", nonce="n', "does not end"),
    ('Digest realm="r", nonce="n\\"', "does not end"),
    ('Digest realm="r", nonce="a\r\nb"', "control character"),
    ('Digest realm="r", nonce="a\\\nb"', "control character"),
    ('Digest realm="r", nonce="a\\\0b"', "control character"),
    ('Digest realm="r", nonce="a\x01b"', "control character"),
    ('Digest realm="r", nonce="n", algorithm="M D"', "algorithm is not a token"),
    ('Digest realm="r", nonce="n", qop="auth,a b"', "qop is not a token"),
    ('Digest realm="r", nonce="n", Digest realm="s", nonce="m"', "'=' is expected"),
]


def test_values_with_and_without_escapes_stand_together() -> None:
    challenge = parse_challenge('Digest a="1\\,", realm="r=\\"q", B="", nonce = "n" , c="2\\\\",d=3')
    assert challenge is not None
    assert (challenge.realm, challenge.nonce) == ('r="q', "n")
    assert list(challenge.other.items()) == [("a", "1,"), ("b", ""), ("c", "2\\"), ("d", "3")]


@pytest.mark.parametrize(("value", "message"), BROKEN)
def test_a_broken_challenge(value: str, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        parse_challenge(value)
    assert caught.value.status == 400


def test_at_most_64_parameters() -> None:
    some = "".join(f", p{n}=1" for n in range(62))
    assert len(challenge(f'Digest realm="r", nonce="n"{some}').other) == 62
    with pytest.raises(ParseError, match="more than 64"):
        challenge(f'Digest realm="r", nonce="n"{some}, last=1')


@pytest.mark.parametrize(
    "value",
    [
        "Digest " + "," * 65536,
        'Digest a="' + "\\" * 65535,
        "Digest " + " " * 65536,
        "Digest " + "a" * 65536 + "=",
        '"' * 65536,
    ],
    ids=["commas", "backslashes", "spaces", "letters", "quotes"],
)
def test_64_kilobytes_of_nonsense_are_refused(value: str) -> None:
    with pytest.raises(ParseError):
        parse_challenge(value)


# Credentials ----------------------------------------------------------------------------------------------------------

BOB = (
    'Digest username="bob", realm="biloxi.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="sip:bob@biloxi.com",'
    ' response="6629FAE49393a05397450978507c4ef1", cnonce="0a4f113b", opaque="5ccc069c403ebaf9f0171e9517f40e41",'
    " qop=auth, nc=00000001"
)


def test_the_credentials_of_rfc_3261_22_2() -> None:
    found = credentials(BOB)
    assert shape(found, CREDENTIALS) == {
        "username": "bob",
        "realm": "biloxi.com",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "uri": "sip:bob@biloxi.com",
        "response": "6629fae49393a05397450978507c4ef1",
        "algorithm": None,
        "known": "MD5",
        "cnonce": "0a4f113b",
        "nc": "00000001",
        "qop": "auth",
        "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
        "userhash": False,
        "other": {},
    }
    assert found.write() == BOB.replace("6629FAE", "6629fae")


def test_credentials_before_the_first_challenge_have_an_empty_nonce_and_response() -> None:
    found = credentials('Digest username="a", realm="r", nonce="", uri="sip:r", response=""')
    assert (found.nonce, found.response, found.nc, found.cnonce) == ("", "", "", None)


def test_a_name_in_the_extended_notation() -> None:
    rest = 'realm="r", nonce="n", uri="sip:r", response="00"'
    assert credentials(f"Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, {rest}").username == "Jäsøn Doe"
    assert credentials(f"Digest username*=utf-8'en'a%ff, {rest}").username == "a\udcff"
    for value, message in [
        ("username*=ISO-8859-1''a", "not UTF-8"),
        ("username*=UTF-8a", "not UTF-8"),
        ("username*=UTF-8''a%0d%0ab", "line break"),
        ("username*=UTF-8''a%zz", "hexadecimal"),
        ("username*=UTF-8''a, username=\"a\"", "stand together"),
        ("x=1", "username is missing"),
    ]:
        with pytest.raises(ParseError, match=message):
            credentials(f"Digest {value}, {rest}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nc=00000001", "nc=1", "eight hexadecimal"),
        ("nc=00000001", "nc=0000000g", "eight hexadecimal"),
        ("nc=00000001", "nc=000000001", "eight hexadecimal"),
        (", nc=00000001", "", "need nc and cnonce"),
        ('cnonce="0a4f113b", ', "", "need nc and cnonce"),
        ("6629FAE4", "6629FAEx", "not hexadecimal"),
        ('response="6629FAE49393a05397450978507c4ef1", ', "", "response is missing"),
        ('uri="sip:bob@biloxi.com", ', "", "uri is missing"),
        ('username="bob", ', "", "username is missing"),
        ("qop=auth", 'qop="a b"', "qop is not a token"),
    ],
)
def test_broken_credentials(old: str, new: str, message: str) -> None:
    assert old in BOB
    with pytest.raises(ParseError, match=message):
        parse_credentials(BOB.replace(old, new))


def test_quotes_and_backslashes_in_a_name() -> None:
    name = 'o"brien\\ "\\'
    written = Credentials(name, "r", "n", "sip:r", "00").write()
    assert 'username="o\\"brien\\\\ \\"\\\\"' in written
    assert credentials(written).username == name


def test_an_escaped_control_character_comes_back() -> None:
    assert credentials('Digest username="a\\\x07b", realm="r", nonce="n", uri="u", response=""').username == "a\x07b"
    assert 'username="a\\\x07b"' in Credentials("a\x07b", "r", "n", "u", "").write()


@pytest.mark.parametrize("bad", ["a\rb", "a\nb", "a\0b"])
def test_what_no_header_holds_is_refused_at_writing(bad: str) -> None:
    with pytest.raises(LocalError, match="line break or NUL"):
        Credentials(bad, "r", "n", "u", "").write()
    with pytest.raises(LocalError, match="line break or NUL"):
        Challenge("r", bad).write()


@pytest.mark.parametrize("bad", ["", "a b", "a\r\nb", 'a"'])
def test_a_token_that_is_none_is_refused_at_writing(bad: str) -> None:
    with pytest.raises(LocalError, match="not a token"):
        Challenge("r", "n", algorithm=bad).write()
    with pytest.raises(LocalError, match="not a token"):
        Challenge("r", "n", other={bad: "x"}).write()


# Authentication-Info --------------------------------------------------------------------------------------------------


def test_authentication_info() -> None:
    value = 'nextnonce="47364c23", qop=auth, rspauth="6629FAE4", cnonce="c", nc=00000001, x=1'
    found = parse_authentication_info(value)
    assert shape(found, INFO) == {
        "nextnonce": "47364c23", "qop": "auth", "rspauth": "6629fae4", "cnonce": "c", "nc": "00000001",
        "other": {"x": "1"},
    }  # fmt: skip
    assert found.write() == value.replace("FAE", "fae")
    assert AuthenticationInfo().write() == ""
    with pytest.raises(ParseError):
        parse_authentication_info("")


# Round trips ----------------------------------------------------------------------------------------------------------

# What a quoted string can hold: anything but CR, LF and NUL; bytes that are no UTF-8 arrive as surrogates.
quotable = st.text(
    st.one_of(
        st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]),
        st.sampled_from('"\\ ,=\t\x01\x7f\udc80\udcff'),
    )
)
tokens = st.text(st.sampled_from(TOKEN), min_size=1, max_size=12)
maybe = st.none() | quotable
others = st.dictionaries(st.sampled_from(["x", "y-z", "auts"]), quotable)


@given(quotable, quotable, st.none() | tokens, st.lists(tokens, max_size=3), st.booleans(), maybe, maybe, others)
def test_a_challenge_survives_writing_and_reading(
    realm: str,
    nonce: str,
    algorithm: str | None,
    qop: list[str],
    flag: bool,
    opaque: str | None,
    domain: str | None,
    other: dict[str, str],
) -> None:
    options = tuple(option.lower() for option in qop)
    made = Challenge(realm, nonce, algorithm, options, flag, opaque, domain, None, not flag, other)
    assert shape(challenge(made.write()), CHALLENGE) == shape(made, CHALLENGE)


@given(
    quotable, quotable, quotable, quotable, st.text("0123456789abcdef"), st.none() | tokens, quotable,
    st.from_regex(r"[0-9a-fA-F]{8}", fullmatch=True), tokens, maybe, st.booleans(), others,
)  # fmt: skip
def test_credentials_survive_writing_and_reading(
    username: str,
    realm: str,
    nonce: str,
    uri: str,
    response: str,
    algorithm: str | None,
    cnonce: str,
    nc: str,
    qop: str,
    opaque: str | None,
    userhash: bool,
    other: dict[str, str],
) -> None:
    made = Credentials(
        username, realm, nonce, uri, response, algorithm, cnonce, nc, qop.lower(), opaque, userhash, other
    )
    assert shape(credentials(made.write()), CREDENTIALS) == shape(made, CREDENTIALS)


@given(st.text(st.sampled_from('Digest realmnoc="\\,= \t\r\n\0aé*\'%')) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for value in (text, "Digest " + text, f'Digest username="a", realm="r", nonce="n", uri="u", response="", {text}'):
        for parse in (parse_challenge, parse_credentials):
            try:
                found = parse(value)
            except ParseError as error:
                assert error.status == 400
            else:
                if found is not None:
                    again = parse(found.write())
                    assert again is not None
                    assert again.write() == found.write()
