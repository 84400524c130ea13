"""Header fields in URIs (RFC 3261 19.1.1 and 19.1.5)."""

import pytest

from ringback.errors import ParseError
from ringback.sip.uri import parse_uri
from ringback.sip.uri_headers import escape_header, honoured_headers, method_of, with_header, without_headers


def test_writing() -> None:
    value = "a84b4c76e66710@pc33;to-tag=1;from-tag=2, ü"
    assert escape_header(value) == "a84b4c76e66710%40pc33%3Bto-tag%3D1%3Bfrom-tag%3D2%2C%20%C3%BC"
    uri = with_header("sip:a@b", "Replaces", value)
    assert uri == f"sip:a@b?Replaces={escape_header(value)}"
    assert with_header(uri, "Subject", "x y") == f"{uri}&Subject=x%20y"
    assert honoured_headers(parse_uri(uri)) == [("Replaces", value)]


@pytest.mark.parametrize(
    "name",
    ["From", "Call-ID", "CSeq", "Via", "Record-Route", "Route", "Contact", "Allow", "Supported", "Require", "body"],
)
def test_what_is_not_honoured(name: str) -> None:
    assert honoured_headers(parse_uri(f"sip:a@b?{name}=x&Subject=y")) == [("Subject", "y")]


def test_reading() -> None:
    assert honoured_headers(parse_uri("sip:a@b")) == []
    assert honoured_headers(parse_uri("sip:a@b?subject=1&SUBJECT=2")) == [("Subject", "1"), ("Subject", "2")]
    assert len(honoured_headers(parse_uri("sip:a@b?" + "&".join(["Subject=x"] * 99)))) == 16
    for wrong in ("sip:a@b?=x", "sip:a@b?a b=x".replace(" ", "%20"), "sip:a@b?Subject=x%0D%0AEvil:%20y"):
        with pytest.raises(ParseError):
            honoured_headers(parse_uri(wrong))


def test_what_stands_in_a_request_uri() -> None:
    assert without_headers(parse_uri("sip:a@b;x=y;method=BYE?Subject=z")) == "sip:a@b;x=y"
    assert without_headers(parse_uri("sip:a@b;x=y")) == "sip:a@b;x=y"
    assert without_headers(parse_uri("tel:+1;x=y")) == "tel:+1;x=y"
    assert (method_of("sip:a@b;method=MESSAGE"), method_of("sip:a@b")) == ("MESSAGE", "INVITE")
