"""Session descriptions in bodies (RFC 3261 8.2.3, RFC 5621, RFC 2046)."""

import pytest

from ringback.sip.description import DEEPEST, MOST_PARTS, description_of, is_acceptable, media_type, refusal_of_body
from ringback.sip.message import Request, build_request

SDP = b"v=0\r\ns=-\r\n"


def message(body: bytes, *headers: tuple[str, str]) -> Request:
    return build_request("INVITE", "sip:a@b", list(headers), body)


def multipart(*parts: bytes, boundary: str = "unique", kind: str = "mixed") -> Request:
    lines = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return message(
        lines + b"--" + boundary.encode() + b"--\r\n", ("Content-Type", f"multipart/{kind};boundary={boundary}")
    )


PART = b"Content-Type: application/sdp\r\n\r\n" + SDP
OTHER = b"Content-Type: application/isup\r\n\r\n\x00\x01"


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (message(b"", ("Content-Type", "application/sdp")), b""),
        (message(SDP), SDP),
        (message(SDP, ("Content-Type", "application/sdp")), SDP),
        (message(SDP, ("Content-Type", "Application / SDP ;charset=x")), SDP),
        (message(SDP, ("Content-Type", "text/plain")), b""),
        (message(SDP, ("Content-Type", "application/sdp"), ("Content-Disposition", "early-session")), b""),
        (message(SDP, ("Content-Type", "application/sdp"), ("Content-Disposition", "Session;handling=required")), SDP),
        (multipart(OTHER, PART), SDP),
        (multipart(PART, OTHER, kind="alternative"), SDP),
        (multipart(OTHER), b""),
        (multipart(b"\r\n" + SDP), b""),
        (multipart(b"Content-Disposition: icon\r\n" + PART, PART.replace(b"s=-", b"s=x")), SDP.replace(b"s=-", b"s=x")),
    ],
)
def test_where_the_description_is(request_: Request, found: bytes) -> None:
    assert description_of(request_) == found


def test_parts_within_parts() -> None:
    body = PART
    for depth in range(DEEPEST + 1):
        wrapped = multipart(body, boundary=f"b{depth}")
        assert (description_of(wrapped) == SDP) is (depth < DEEPEST)
        body = b"Content-Type: " + wrapped.required("content-type").encode() + b"\r\n\r\n" + wrapped.body


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/mixed",
        "multipart/mixed;boundary=",
        'multipart/mixed;boundary="x',
        f"multipart/mixed;boundary={'x' * 71}",
    ],
)
def test_a_multipart_without_a_boundary_holds_nothing(kind: str) -> None:
    assert description_of(message(b"--x\r\n" + PART + b"\r\n--x--", ("Content-Type", kind))) == b""


def test_a_quoted_boundary_and_no_more_parts_than_anybody_needs() -> None:
    quoted = message(b"--a b\r\n" + PART + b"\r\n--a b--", ("Content-Type", 'multipart/mixed; Boundary="a b"'))
    assert description_of(quoted) == SDP
    assert description_of(multipart(*[OTHER] * (MOST_PARTS - 1), PART)) == SDP
    assert description_of(multipart(*[OTHER] * MOST_PARTS, PART)) == b""


def test_bodies_that_are_refused() -> None:
    accepted = ["application/sdp", "application/x"]
    assert refusal_of_body(message(b""), accepted) is None
    assert refusal_of_body(message(SDP), accepted) is None
    assert refusal_of_body(message(b"x", ("Content-Type", "application/X;y=z")), accepted) is None
    assert refusal_of_body(multipart(OTHER, PART), accepted) is None
    refused = (415, [("Accept", "application/sdp, application/x")])
    assert refusal_of_body(message(b"x", ("Content-Type", "text/plain")), accepted) == refused
    assert refusal_of_body(multipart(OTHER), accepted) == refused
    assert refusal_of_body(multipart(PART), ["application/x"]) == (415, [("Accept", "application/x")])
    optional = ("Content-Disposition", "render; handling = optional")
    assert refusal_of_body(message(b"x", ("Content-Type", "text/plain"), optional), accepted) is None
    assert refusal_of_body(message(SDP, ("Content-Encoding", "gzip")), accepted) == (
        415,
        [("Accept-Encoding", "identity")],
    )
    assert refusal_of_body(message(SDP, ("Content-Encoding", "Identity")), accepted) is None


@pytest.mark.parametrize(
    ("accept", "kind", "acceptable"),
    [
        (None, "application/sdp", True),
        (None, "text/plain", False),
        ("", "application/sdp", False),
        ("application/sdp;level=1", "application/sdp", True),
        ("text/*, application/*", "application/sdp", True),
        ("text/*", "application/sdp", False),
        ("*/*", "text/plain", True),
    ],
)
def test_what_may_come_back(accept: str | None, kind: str, acceptable: bool) -> None:
    request = message(b"") if accept is None else message(b"", ("Accept", accept))
    assert is_acceptable(request, kind) is acceptable


def test_a_type_without_its_parameters() -> None:
    assert media_type(" Text / Plain ; charset=utf-8") == "text/plain"
