"""URIs: reading, comparing by RFC 3261 19.1.4, RFC 5954 and RFC 3966, writing."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import ParseError
from ringback.sip.uri import (
    LONGEST_URI,
    build_uri,
    escape_user,
    parse_host_port,
    parse_uri,
    written_parameters,
)
from tests.sip.inputs import finishes, hostile, steps


class TestReading:
    @pytest.mark.parametrize(
        ("text", "scheme", "user", "password", "host", "port", "parameters", "headers"),
        [
            ("sip:example.com", "sip", "", None, "example.com", None, {}, ""),
            ("SIP:Alice@AtLanTa.CoM", "sip", "Alice", None, "atlanta.com", None, {}, ""),
            ("sips:alice@atlanta.com:5061", "sips", "alice", None, "atlanta.com", 5061, {}, ""),
            ("sip:alice:secretword@atlanta.com", "sip", "alice", "secretword", "atlanta.com", None, {}, ""),
            ("sip:alice:@atlanta.com", "sip", "alice", "", "atlanta.com", None, {}, ""),
            (
                "sip:a@b;Transport=TCP;lr;maddr=239.255.255.1;ttl=15",
                "sip",
                "a",
                None,
                "b",
                None,
                {"transport": "TCP", "lr": None, "maddr": "239.255.255.1", "ttl": "15"},
                "",
            ),
            (
                "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sips",
                "alice",
                None,
                "atlanta.com",
                None,
                {},
                "subject=project%20x&priority=urgent",
            ),
            (
                "sip:+1-212-555-1212:1234@gateway.com;user=phone",
                "sip",
                "+1-212-555-1212",
                "1234",
                "gateway.com",
                None,
                {"user": "phone"},
                "",
            ),
            (
                "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
                "sip",
                "",
                None,
                "atlanta.com",
                None,
                {"method": "REGISTER"},
                "to=alice%40atlanta.com",
            ),
            # RFC 3261 19.1.3: "the user part is 'alice;day=tuesday'".
            ("sip:alice;day=tuesday@atlanta.com", "sip", "alice;day=tuesday", None, "atlanta.com", None, {}, ""),
            # RFC 4475 3.1.1.2, 3.1.1.3 and 3.1.1.9.
            (
                "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
                "sip",
                "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
                "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
                "example.com",
                None,
                {},
                "",
            ),
            (
                "sip:sips%3Auser%40example.com@example.net",
                "sip",
                "sips%3Auser%40example.com",
                None,
                "example.net",
                None,
                {},
                "",
            ),
            (
                "sip:user;par=u%40example.net@example.com",
                "sip",
                "user;par=u%40example.net",
                None,
                "example.com",
                None,
                {},
                "",
            ),
            (
                "sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31",
                "sip",
                "cal%6Cer",
                None,
                "host5.example.net",
                None,
                {"lr": None, "name": "v%61lue%25%34%31"},
                "",
            ),
            ("sip:%00%00@host5.example.com", "sip", "%00%00", None, "host5.example.com", None, {}, ""),
            ("sip:*21#@pbx", "sip", "*21#", None, "pbx", None, {}, ""),
            ("sip:j\u00fcrgen@example.com", "sip", "j\u00fcrgen", None, "example.com", None, {}, ""),
            ("sip:[2001:DB8::10]", "sip", "", None, "[2001:db8::10]", None, {}, ""),
            ("sip:[2001:db8::10:5070]", "sip", "", None, "[2001:db8::10:5070]", None, {}, ""),
            ("sip:a@[2001:db8::10]:5070;lr", "sip", "a", None, "[2001:db8::10]", 5070, {"lr": None}, ""),
            ("sip:ted@[::ffff:192.0.2.2]", "sip", "ted", None, "[::ffff:192.0.2.2]", None, {}, ""),
            # RFC 5118 4.10: tolerated, and read as it was meant.
            ("sip:user@[2001:db8:::192.0.2.1]", "sip", "user", None, "[2001:db8::192.0.2.1]", None, {}, ""),
            ("sip:a@b:05060", "sip", "a", None, "b", 5060, {}, ""),
            ("tel:+1-201-555-0123", "tel", "+1-201-555-0123", None, "", None, {}, ""),
            (
                "tel:7042;phone-context=example.com",
                "tel",
                "7042",
                None,
                "",
                None,
                {"phone-context": "example.com"},
                "",
            ),
            (
                "tel:863-1234;Phone-Context=+1-914-555",
                "tel",
                "863-1234",
                None,
                "",
                None,
                {"phone-context": "+1-914-555"},
                "",
            ),
            ("tel:*21#", "tel", "*21#", None, "", None, {}, ""),
            (
                "nobodyKnowsThisScheme:totallyopaquecontent",
                "nobodyknowsthisscheme",
                "totallyopaquecontent",
                None,
                "",
                None,
                {},
                "",
            ),
            ("soap.beep://192.0.2.103:3002", "soap.beep", "//192.0.2.103:3002", None, "", None, {}, ""),
            ("urn:service:sos", "urn", "service:sos", None, "", None, {}, ""),
        ],
    )
    def test_the_parts(
        self,
        text: str,
        scheme: str,
        user: str,
        password: str | None,
        host: str,
        port: int | None,
        parameters: dict[str, str | None],
        headers: str,
    ) -> None:
        uri = parse_uri(text)
        assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (scheme, user, password, host, port)
        assert uri.parameters == parameters
        assert uri.headers == headers
        assert str(uri) == uri.text == text
        assert repr(uri) == f"Uri({text!r})"
        assert uri.is_sip is (scheme in ("sip", "sips"))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ":",
            "sip",
            "sip:",
            "sips:",
            "alice@example.com",
            "1sip:a",
            "s\u00edp:a@b",
            ":sip:a@b",
            "sip:@b",
            "sip::secret@b",
            "sip:a@",
            "sip:a@b@c",
            "sip:a b@c",
            "sip:a@b c",
            " sip:a@b",
            "sip:a@b ",
            "sip:a@b\t",
            "sip:a@b\r\nX: y",
            "sip:a\0@b",
            "sip:a@b;",
            "sip:a@b;;lr",
            "sip:a@b;=x",
            "sip:a@b;x=",
            "sip:a@b;lr;LR",
            "sip:a@b;lr;%6Cr",
            "sip:a@b;x=y=z",
            "sip:a@b;x=%4",
            "sip:a@b;x y",
            'sip:a@b;x="y"',
            "<sip:a@b>",
            "sip:<a>@b",
            'sip:"a"@b',
            "sip:a\\b@c",
            "sip:a%@b",
            "sip:a%4@b",
            "sip:a%zz@b",
            "sip:a:b:c@d",
            "sip:a:b;c@d",
            "sip:a:b%@d",
            "sip:a@b:",
            "sip:a@b:0",
            "sip:a@b:65536",
            "sip:a@b:-1",
            "sip:a@b:5060x",
            "sip:a@b:5060:5061",
            "sip:a@-b",
            "sip:a@1.2.3",
            "sip:bob@444.555.666.777",
            "sip:2001:db8::10",
            "sip:a@[2001:db8::10",
            "sip:a@2001:db8::10]",
            "sip:a@[2001:db8::10]5060",
            "sip:a@[2001:db8:::10]",
            "sip:a@[1:::2::192.0.2.1]",
            "sip:a@[2001:db8:::192.0.2.256]",
            "tel:",
            "tel:+",
            "tel:+-",
            "tel:-",
            "tel:+1a",
            "tel:alice",
            "tel:+1;",
            "tel:+1;a=1;a=2",
            "mailto:",
            "http://a b",
            "sip:a\ud800@b",
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ParseError) as caught:
            parse_uri(text)
        assert caught.value.status == 400

    def test_how_long_it_may_be(self) -> None:
        text = f"sip:{'a' * (LONGEST_URI - 6)}@b"
        assert len(parse_uri(text).text) == LONGEST_URI
        with pytest.raises(ParseError) as caught:
            parse_uri(text + "c")
        assert caught.value.status == 414

    def test_the_address_is_the_host_without_brackets(self) -> None:
        assert parse_uri("sip:a@[::1]:5060").address == "::1"
        assert parse_uri("sip:a@Example.com").address == "example.com"

    @pytest.mark.parametrize(
        ("text", "transport"),
        [
            ("sip:a@b", None),
            ("sip:a@b;transport", None),
            ("sip:a@b;transport=udp", "UDP"),
            ("sip:a@b;Transport=Tcp", "TCP"),
            ("sip:a@b;transport=tls", "TLS"),
            ("sip:a@b;transport=ws", "WS"),
            ("sips:a@b;transport=tcp", "TLS"),
            ("sips:a@b;transport=ws", "WSS"),
            ("sips:a@b;transport=sctp", "SCTP"),
            ("tel:+1", None),
        ],
    )
    def test_the_transport(self, text: str, transport: str | None) -> None:
        assert parse_uri(text).transport == transport

    @pytest.mark.parametrize(
        ("text", "host", "port"),
        [("example.COM", "example.com", None), ("[::1]:5060", "[::1]", 5060), ("192.0.2.1:1", "192.0.2.1", 1)],
    )
    def test_host_and_port(self, text: str, host: str, port: int | None) -> None:
        assert parse_host_port(text, text) == (host, port)


# RFC 3261 19.1.4: "The URIs within each of the following sets are equivalent".
EQUIVALENT = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=off"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    # RFC 5954 4.2.
    ("sip:bob@[::ffff:192.0.2.128]", "sip:bob@[::ffff:c000:280]"),
    ("sip:bob@[2001:db8::9:1]", "sip:bob@[2001:db8::9:01]"),
    ("sip:bob@[0:0:0:0:0:FFFF:129.144.52.38]", "sip:bob@[::FFFF:129.144.52.38]"),
    # The rules, one by one.
    ("sip:a%2Cb@c", "sip:a%2cb@c"),
    ("sip:a%23@c", "sip:a#@c"),
    ("sip:j%C3%BCrgen@c", "sip:j\u00fcrgen@c"),
    ("sip:a:%62@c", "sip:a:b@c"),
    ("sip:a@c;x=%41b", "sip:a@c;x=aB"),
    ("sip:a@c;%6Cr", "sip:a@c;lr"),
    ("sip:a@c?Subject=x", "sip:a@c?subject=x"),
    ("sip:a@c?x=%zz", "sip:a@c?x=%zz"),
    ("SIP:a@c", "sip:a@c"),
    ("mailto:a@b", "MAILTO:a@b"),
]

# "The URIs within each of the following sets are not equivalent".
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    # The rules, one by one.
    ("sip:a@c", "sips:a@c"),
    ("sip:a@c", "sip:c"),
    ("sip:a@c", "sip:A@c"),
    ("sip:a:b@c", "sip:a@c"),
    ("sip:a:@c", "sip:a@c"),
    ("sip:a:b@c", "sip:a:B@c"),
    ("sip:a@c", "sip:a@d"),
    ("sip:a@c:1", "sip:a@c:2"),
    ("sip:a@c", "sip:a@c;user=ip"),
    ("sip:a@c", "sip:a@c;ttl=1"),
    ("sip:a@c", "sip:a@c;method=INVITE"),
    ("sip:a@c", "sip:a@c;maddr=192.0.2.1"),
    ("sip:a@c;transport=tcp", "sip:a@c;transport=udp"),
    ("sip:a%2Cb@c", "sip:a,b@c"),
    ("sip:a%25%34%31@c", "sip:aA@c"),
    ("sip:a@[::1]", "sip:a@[::2]"),
    ("sip:a@[::ffff:192.0.2.1]", "sip:a@192.0.2.1"),
    ("sip:a@c?x=1", "sip:a@c?x=2"),
    ("sip:a@c?x=1", "sip:a@c?x=1&x=1"),
    ("mailto:a@b", "mailto:A@b"),
    ("sip:1@c", "tel:1"),
]

# RFC 3966 section 4.
EQUIVALENT_NUMBERS = [
    ("tel:+1-201-555-0123", "tel:+12015550123"),
    ("tel:+1(201)555.0123", "TEL:+1-201-555-0123"),
    ("tel:7042;phone-context=example.com", "tel:70-42;Phone-Context=EXAMPLE.com"),
    ("tel:863-1234;phone-context=+1-914-555", "tel:8631234;phone-context=+1(914)555"),
    ("tel:1a;ext=1-2", "tel:1A;ext=12"),
    ("tel:1;a=1;b=2", "tel:1;b=2;a=1"),
]
DIFFERENT_NUMBERS = [
    ("tel:+12015550123", "tel:12015550123"),
    ("tel:+1", "tel:+2"),
    ("tel:+1;ext=1", "tel:+1"),
    ("tel:+1;ext=1", "tel:+1;ext=2"),
    ("tel:+1;a=1", "tel:+1;b=1"),
    ("tel:7042;phone-context=example.com", "tel:7042;phone-context=examplecom"),
    ("tel:7042;phone-context=+1", "tel:7042;phone-context=1"),
    ("tel:*1", "tel:#1"),
]


class TestComparing:
    @pytest.mark.parametrize(("one", "other"), EQUIVALENT + EQUIVALENT_NUMBERS)
    def test_equivalent(self, one: str, other: str) -> None:
        assert parse_uri(one).equivalent(parse_uri(other))
        assert parse_uri(other).equivalent(parse_uri(one))

    @pytest.mark.parametrize(("one", "other"), DIFFERENT + DIFFERENT_NUMBERS)
    def test_not_equivalent(self, one: str, other: str) -> None:
        assert not parse_uri(one).equivalent(parse_uri(other))
        assert not parse_uri(other).equivalent(parse_uri(one))

    @pytest.mark.parametrize("text", sorted({text for pair in EQUIVALENT + DIFFERENT for text in pair}))
    def test_each_is_equivalent_to_itself(self, text: str) -> None:
        assert parse_uri(text).equivalent(parse_uri(text))

    def test_none_of_a_crowd_is_equivalent_to_another(self) -> None:
        crowd = ["sip:a@b", "sip:a@b:5060", "sip:a@b;transport=udp", "sip:a@b;user=phone", "sips:a@b", "sip:b", "tel:1"]
        for one, other in combinations(crowd, 2):
            assert not parse_uri(one).equivalent(parse_uri(other)), (one, other)


class TestAddressOfRecord:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("sip:alice@example.com", "alice@example.com"),
            ("sips:alice@Example.COM", "alice@example.com"),
            ("sip:Alice@example.com", "Alice@example.com"),
            ("sip:%61lice@example.com;transport=tcp?subject=x", "alice@example.com"),
            ("sip:alice:secret@example.com;user=phone", "alice@example.com"),
            ("sip:null-%00-null@example.com", "null-\0-null@example.com"),
            ("sip:a%40b@example.com", "a@b@example.com"),
            ("sip:alice@example.com.", "alice@example.com"),
            ("sip:alice@example.com:5060", "alice@example.com"),
            ("sip:alice@example.com:5061", "alice@example.com:5061"),
            ("sips:alice@example.com:5061", "alice@example.com"),
            ("sips:alice@example.com:5060", "alice@example.com:5060"),
            ("sip:example.com", "example.com"),
            ("sip:a@[2001:DB8::01]", "a@[2001:db8:0:0:0:0:0:1]"),
            ("tel:+1-201-555-0123;ext=5", "+12015550123"),
            ("tel:1A", "1a"),
            ("mailto:alice@example.com", "mailto:alice@example.com"),
        ],
    )
    def test_the_canonical_form(self, text: str, address: str) -> None:
        assert parse_uri(text).aor() == address


class TestWriting:
    @pytest.mark.parametrize(
        ("scheme", "user", "host", "port", "parameters", "password", "text"),
        [
            ("sip", "", "example.com", None, None, None, "sip:example.com"),
            ("sips", "alice", "example.com", 5061, {}, None, "sips:alice@example.com:5061"),
            ("sip", "a", "::1", 5060, {"lr": None, "x": "1"}, "pw", "sip:a:pw@[::1]:5060;lr;x=1"),
            ("sip", "a", "[::1]", None, None, "", "sip:a:@[::1]"),
        ],
    )
    def test_from_parts(
        self,
        scheme: str,
        user: str,
        host: str,
        port: int | None,
        parameters: dict[str, str | None] | None,
        password: str | None,
        text: str,
    ) -> None:
        assert build_uri(scheme, user, host, port, parameters, password).text == text

    @pytest.mark.parametrize(
        ("user", "host", "parameters"),
        [("a b", "h", {}), ("a@b", "h", {}), ("a", "h h", {}), ("a", "", {}), ("a", "h", {"x": "a;b=\r\n"})],
    )
    def test_parts_that_cannot_be_written(self, user: str, host: str, parameters: dict[str, str | None]) -> None:
        with pytest.raises(ParseError):
            build_uri("sip", user, host, None, parameters)

    def test_parameters(self) -> None:
        assert written_parameters({}) == ""
        assert written_parameters({"lr": None, "a": "b"}) == ";lr;a=b"

    @pytest.mark.parametrize(
        ("text", "names", "left"),
        [
            ("sip:a:b@c:1;lr;x=1?y=2", ("lr",), "sip:a:b@c:1;x=1"),
            ("sip:c;lr;x=1", ("lr", "x", "z"), "sip:c"),
            ("sip:a@[::1];lr", (), "sip:a@[::1];lr"),
            ("tel:+1-2;ext=3;a=b", ("ext",), "tel:+1-2;a=b"),
            ("urn:service:sos", ("lr",), "urn:service:sos"),
        ],
    )
    def test_without(self, text: str, names: tuple[str, ...], left: str) -> None:
        assert parse_uri(text).without(*names).text == left

    @pytest.mark.parametrize(
        ("user", "escaped"),
        [
            ("alice", "alice"),
            ("-_.!~*'()&=+$,;?/", "-_.!~*'()&=+$,;?/"),
            ("a b@c:d%#", "a%20b%40c%3Ad%25%23"),
            ("\u00fc\0", "%C3%BC%00"),
            ("\udcff", "%FF"),
        ],
    )
    def test_escaped_users(self, user: str, escaped: str) -> None:
        assert escape_user(user) == escaped

    @given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
    def test_any_user_survives(self, user: str) -> None:
        uri = build_uri("sip", escape_user(user), "example.com")
        assert uri.aor() == f"{user}@example.com"
        assert uri.equivalent(parse_uri(uri.text))


@given(st.text('sip:sa@.;=?%41[]lr<>"\\ &\u00e9\udcff\t,+-()', max_size=60))
def test_any_text_is_a_uri_or_a_parse_error(text: str) -> None:
    for candidate in (text, f"sip:{text}", f"tel:{text}", f"sip:a@b{text}"):
        try:
            uri = parse_uri(candidate)
        except ParseError:
            continue
        assert uri.text == candidate
        assert uri.equivalent(uri)
        assert uri.without("lr").scheme == uri.scheme
        uri.aor().encode("utf-8", "surrogateescape")


def test_hostile_text_takes_time_in_proportion_to_its_length() -> None:
    with finishes():
        for _, text in hostile(LONGEST_URI - 100):
            for candidate in (text, f"sip:{text}", f"sip:a@b;{text}", f"sip:a@b?{text}", f"tel:{text}"):
                try:
                    uri = parse_uri(candidate)
                except ParseError:
                    continue
                assert uri.equivalent(uri)
                uri.aor()


def test_hostile_text_takes_steps_in_proportion_to_its_length() -> None:
    for (name, short), (_, long) in zip(hostile(250), hostile(1000), strict=True):
        few = steps(lambda short=short: parse_uri(f"sip:a@b?{short}").equivalent(parse_uri(f"sip:a@b?x&{short}")))
        many = steps(lambda long=long: parse_uri(f"sip:a@b?{long}").equivalent(parse_uri(f"sip:a@b?x&{long}")))
        assert many <= 5 * few + 50, name
