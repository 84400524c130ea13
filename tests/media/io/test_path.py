"""The direct way: what SDP names, what authenticated packets prove, and what strictness forbids."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ringback.media.backend import MediaError
from ringback.media.io.path import RTCP_COMPONENT, RTP_COMPONENT, DirectPath, ExactSource, literal
from ringback.media.io.sockets import Address, MediaSocket, bind

NAMED = ("127.0.0.1", 4000)
ELSEWHERE = ("127.0.0.1", 5000)


def nobody(data: bytes, source: Address, arrival: float) -> None:
    raise AssertionError("nothing reads here")


@contextmanager
def path(*, strict: bool = False, single: bool = False) -> Iterator[DirectPath]:
    rtp = MediaSocket(bind("127.0.0.1", 0), nobody)
    rtcp = None if single else MediaSocket(bind("127.0.0.1", 0), nobody)
    direct = DirectPath(rtp, rtcp, strict=strict)
    yield direct
    direct.close()
    direct.close()
    assert all(sock.closed for sock in (rtp, rtcp) if sock is not None)


def test_before_sdp_names_an_address_nothing_is_sent_or_taken() -> None:
    with path() as direct:
        assert direct.destination(RTP_COMPONENT) is None
        assert direct.send(RTP_COMPONENT, b"packet") is False
        assert direct.admits(RTP_COMPONENT, NAMED, b"", 0) is False
        assert direct.chosen(RTP_COMPONENT, NAMED) is False
        assert direct.may_roam(RTP_COMPONENT, NAMED) is False
        direct.authenticated(RTP_COMPONENT, NAMED)
        assert direct.destination(RTP_COMPONENT) is None


@pytest.mark.parametrize("address", [("0.0.0.0", 4000), ("::", 4000), ("127.0.0.1", 0)])
def test_an_address_that_is_none_is_not_sent_to(address: Address) -> None:
    with path() as direct:
        direct.aim(RTP_COMPONENT, address, ExactSource)
        assert direct.destination(RTP_COMPONENT) is None
        assert direct.send(RTP_COMPONENT, b"packet") is False


async def test_each_component_has_its_own_address() -> None:
    loop = asyncio.get_running_loop()
    with path() as direct, bind("127.0.0.1", 0) as first, bind("127.0.0.1", 0) as second:
        direct.aim(RTP_COMPONENT, first.getsockname(), ExactSource)
        direct.aim(RTCP_COMPONENT, second.getsockname(), ExactSource)
        assert direct.send(RTP_COMPONENT, b"sound")
        assert direct.send(RTCP_COMPONENT, b"report")
        assert direct.send(RTP_COMPONENT, b"handshake", second.getsockname())
        async with asyncio.timeout(5):
            assert await loop.sock_recv(first, 100) == b"sound"
            assert await loop.sock_recv(second, 100) == b"report"
            assert await loop.sock_recv(second, 100) == b"handshake"
        assert [sock.sent for sock in direct.sockets()] == [2, 1]


def test_what_is_authenticated_is_followed() -> None:
    with path() as direct:
        direct.aim(RTP_COMPONENT, NAMED, ExactSource)
        direct.aim(RTCP_COMPONENT, NAMED, ExactSource)
        assert direct.chosen(RTP_COMPONENT, NAMED)
        assert direct.may_roam(RTP_COMPONENT, ELSEWHERE)
        direct.authenticated(RTP_COMPONENT, ELSEWHERE)
        assert direct.destination(RTP_COMPONENT) == ELSEWHERE
        assert direct.chosen(RTP_COMPONENT, ELSEWHERE)
        assert not direct.chosen(RTP_COMPONENT, NAMED)
        assert direct.destination(RTCP_COMPONENT) == NAMED
        # The same address again, as a refresh of the session says it, is no news; another one is.
        direct.aim(RTP_COMPONENT, NAMED, ExactSource)
        assert direct.destination(RTP_COMPONENT) == ELSEWHERE
        direct.aim(RTP_COMPONENT, ("127.0.0.1", 4002), ExactSource)
        assert direct.destination(RTP_COMPONENT) == ("127.0.0.1", 4002)


def test_strictly_only_what_sdp_names_counts() -> None:
    with path(strict=True) as direct:
        direct.aim(RTP_COMPONENT, NAMED, ExactSource)
        assert direct.may_roam(RTP_COMPONENT, ELSEWHERE) is False
        direct.authenticated(RTP_COMPONENT, ELSEWHERE)
        assert direct.destination(RTP_COMPONENT) == NAMED
        assert direct.admits(RTP_COMPONENT, NAMED, b"", 0)
        assert not direct.admits(RTP_COMPONENT, ELSEWHERE, b"", 0)


class Latched:
    """A filter that takes the first source."""

    def __init__(self, destination: Address) -> None:
        self.destination = destination
        self.taken = False

    def accept(self, source: Address, data: bytes, now: float) -> bool:
        if not self.taken:
            self.destination, self.taken = source, True
        return source == self.destination


def test_the_filter_decides_on_plain_packets_and_where_they_go() -> None:
    with path() as direct:
        direct.aim(RTP_COMPONENT, NAMED, Latched)
        assert direct.destination(RTP_COMPONENT) == NAMED
        assert direct.admits(RTP_COMPONENT, ELSEWHERE, b"", 0)
        assert direct.destination(RTP_COMPONENT) == ELSEWHERE
        assert not direct.admits(RTP_COMPONENT, NAMED, b"", 0)


def test_a_dropped_component_gives_its_port_back() -> None:
    with path() as direct:
        direct.aim(RTCP_COMPONENT, NAMED, ExactSource)
        [_, rtcp] = direct.sockets()
        direct.drop(RTCP_COMPONENT)
        direct.drop(RTCP_COMPONENT)
        assert rtcp.closed
        assert direct.send(RTCP_COMPONENT, b"report") is False
        assert len(direct.sockets()) == 1
    with path(single=True) as direct:
        assert direct.send(RTCP_COMPONENT, b"report", NAMED) is False


def test_ip_literals() -> None:
    assert literal("192.0.2.1") == "192.0.2.1"
    assert literal("2001:DB8:0::1") == "2001:db8::1"
    for wrong in ("example.org", "", "192.0.2.256", "192.0.2.1 "):
        with pytest.raises(MediaError, match=r"is no IP address$"):
            literal(wrong)
