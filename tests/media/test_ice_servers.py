"""URIs of STUN and TURN servers, and what is none."""

import pytest

from ringback.errors import LocalError
from ringback.media.ice_servers import IceServer, parse_server


@pytest.mark.parametrize(
    ("uri", "server"),
    [
        ("stun:stun.example.org", IceServer("stun", "stun.example.org", 3478)),
        ("stun:192.0.2.1:3479", IceServer("stun", "192.0.2.1", 3479)),
        ("stun:[2001:db8::3]:99", IceServer("stun", "2001:db8::3", 99)),
        ("stun:[2001:db8::3]", IceServer("stun", "2001:db8::3", 3478)),
        ("turn:alice:secret@turn.example.org", IceServer("turn", "turn.example.org", 3478, "udp", "alice", "secret")),
        ("turn:a:b@t:5?transport=udp", IceServer("turn", "t", 5, "udp", "a", "b")),
        ("turn:a:b@t:5?transport=tcp", IceServer("turn", "t", 5, "tcp", "a", "b")),
        ("turns:a:b@t", IceServer("turn", "t", 5349, "tls", "a", "b")),
        ("turns:a:b@t:443?transport=tcp", IceServer("turn", "t", 443, "tls", "a", "b")),
        ("turn:a%40b:c%3Ad:e@[::1]:7", IceServer("turn", "::1", 7, "udp", "a@b", "c:d:e")),
        ("turn://a:b@t", IceServer("turn", "t", 3478, "udp", "a", "b")),
    ],
)
def test_servers(uri: str, server: IceServer) -> None:
    assert parse_server(uri) == server


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "a URI that begins with ''"),
        ("http://example.org", "a URI that begins with 'http'"),
        ("stun:", "a URI that begins with 'stun'"),
        ("turn:alice:secret@", "a URI that begins with 'turn'"),
        ("turn:a:b@host?transport=sctp", "a URI that begins with 'turn'"),
        ("stun:host:99999", "99999 is no port"),
        ("stun:host:0", "0 is no port"),
        ("stun:a:b@host", "stun: takes neither credentials"),
        ("stun:host?transport=tcp", "stun: takes neither credentials nor another transport"),
        ("turn:host", "turn: needs credentials"),
        ("turns:a:b@host?transport=udp", "turns: goes over TCP"),
    ],
)
def test_what_is_none(uri: str, message: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse_server(uri)
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(parse_server("turn:alice:secret@host"))
