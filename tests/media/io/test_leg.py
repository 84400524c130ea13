"""One m-line's transports: when one serves on, when another is opened, and when it takes over."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ringback.media.backend import MediaError, MediaPreferences
from ringback.media.io.certificate import Certificate
from ringback.media.io.leg import Leg, Wanted
from ringback.sdp.description import SessionDescription, parse
from ringback.sdp.negotiation import Agreed, Codec
from ringback.sdp.view import MediaView, views
from tests.media.io.virtual import VirtualLoop, run

PREFERENCES = MediaPreferences(encryption="none", address="127.0.0.1", ice="none")
CERTIFICATE = Certificate.generate()
ICE = "a=ice-ufrag:{0}{0}{0}{0}\na=ice-pwd:{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}\n"


def wanted(preferences: MediaPreferences = PREFERENCES, **changes: Any) -> Wanted:
    return Wanted(preferences, CERTIFICATE, **changes)


def described(attributes: str = "", host: str = "127.0.0.1") -> SessionDescription:
    text = f"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 {host}\nt=0 0\nm=audio 9000 RTP/AVP 0\n{attributes}"
    return parse(text.replace("\n", "\r\n").encode())


def remote(attributes: str = "", host: str = "127.0.0.1") -> MediaView:
    return views(described(attributes, host))[0]


def agreed(**changes: Any) -> Agreed:
    return replace(
        Agreed(
            0,
            "audio",
            True,
            direction="sendrecv",
            remote_address="127.0.0.1",
            remote_port=9000,
            remote_rtcp=("127.0.0.1", 9001),
            codecs=(Codec("PCMU", 8000, 1, 0),),
        ),
        **changes,
    )


class Told(Leg):
    """Notes what it opens."""

    def __init__(self) -> None:
        super().__init__("audio", (Codec("PCMU", 8000, 1, 0),))
        self.transports: list[Any] = []

    def opened(self, transport: Any) -> None:
        self.transports.append(transport)


def legs(test: Any) -> None:
    async def with_leg() -> None:
        leg = Told()
        try:
            await test(leg)
        finally:
            leg.close()
            leg.close()

    run(with_leg())


def test_what_our_description_says() -> None:
    async def test(leg: Told) -> None:
        preferences = replace(
            PREFERENCES,
            encryption="offer",
            keying=("sdes", "dtls"),
            advertised="192.0.2.7",
            frame=30,
            direction="recvonly",
        )
        await leg.prepare(wanted(preferences))
        stream = leg.local(preferences)
        parameters = leg.transports[0].parameters()
        assert (stream.kind, stream.port, stream.address) == ("audio", parameters.port, "192.0.2.7")
        assert (stream.direction, stream.ptime, stream.rtcp_mux) == ("recvonly", 30, True)
        assert [(crypto.suite, crypto.key) for crypto in stream.crypto] == list(parameters.crypto) != []
        assert [str(one) for one in stream.fingerprints] == [" ".join(CERTIFICATE.fingerprint())]
        assert stream.rtcp_port == 0 and stream.ice is None
        plain = leg.local(replace(preferences, encryption="none"))
        assert (list(plain.crypto), list(plain.fingerprints)) == ([], [])
        assert list(leg.local(replace(preferences, keying=("sdes",))).fingerprints) == []

    legs(test)


def test_one_transport_serves_all_offers_of_the_same_address() -> None:
    async def test(leg: Told) -> None:
        for _ in range(3):
            await leg.prepare(wanted())
        assert leg.transport is None
        await leg.agree(agreed())
        leg.agreed = agreed()
        for preferences in (PREFERENCES, replace(PREFERENCES, address=""), replace(PREFERENCES, direction="sendonly")):
            await leg.prepare(wanted(preferences))
            await leg.prepare(wanted(preferences, remote=remote()))
        assert leg.transports == [leg.transport]

    legs(test)


@pytest.mark.parametrize(
    "changes",
    [{"address": "127.0.0.2"}, {"ports": (25000, 25100)}],
)
def test_another_address_needs_another_transport_which_takes_over_when_agreed(changes: dict[str, Any]) -> None:
    async def test(leg: Told) -> None:
        await leg.prepare(wanted())
        await leg.agree(agreed())
        leg.agreed = agreed()
        first = leg.transport
        other = replace(PREFERENCES, **changes)
        await leg.prepare(wanted(other))
        assert leg.transport is first and len(leg.transports) == 2
        assert leg.local(other).port == leg.transports[1].parameters().port
        # Offered again, it is the same; given up, its ports are given back.
        await leg.prepare(wanted(other))
        assert len(leg.transports) == 2
        await leg.prepare(wanted())
        assert not leg.transports[1].send_rtp(bytes(12)) and leg.local(PREFERENCES).port == first.parameters().port
        await leg.prepare(wanted(other))
        await leg.agree(agreed(remote_port=9002))
        assert leg.transport is leg.transports[2] and not first.send_rtp(bytes(12))

    legs(test)


def test_a_restart_begins_anew_unless_dtls_holds_the_transport() -> None:
    async def test(leg: Told) -> None:
        full = replace(PREFERENCES, ice="full")
        await leg.prepare(wanted(full))
        leg._way, leg._next = leg._next, None
        leg.agreed = agreed()
        await leg.prepare(wanted(full, restart=True))
        assert len(leg.transports) == 2
        leg.agreed = agreed(protection="dtls")
        before = leg._way.transport.parameters().ice  # type: ignore[union-attr]
        await leg.prepare(wanted(full, restart=True))
        after = leg._way.transport.parameters().ice  # type: ignore[union-attr]
        assert len(leg.transports) == 2 and leg._next is None
        assert before is not None and after is not None and before.ufrag != after.ufrag

    legs(test)


def test_ice_begins_in_the_middle_of_a_call_only_when_they_bring_it() -> None:
    async def test(leg: Told) -> None:
        await leg.prepare(wanted())
        await leg.agree(agreed())
        leg.agreed = agreed()
        full = replace(PREFERENCES, ice="full")
        await leg.prepare(wanted(full))
        await leg.prepare(wanted(full, remote=remote()))
        assert len(leg.transports) == 1
        await leg.prepare(wanted(full, remote=remote(ICE.format("a"))))
        assert len(leg.transports) == 2 and leg.local(full).ice is not None

    legs(test)


def test_their_restart_gives_new_credentials_and_keeps_the_ports() -> None:
    async def test(leg: Told) -> None:
        full = replace(PREFERENCES, ice="full")
        first = remote(ICE.format("a"))
        await leg.prepare(wanted(full, remote=first))
        leg._way, leg._next = leg._next, None
        leg.agreed = agreed(ice=first.ice)
        before = leg.local(full)
        await leg.prepare(wanted(full, remote=first))
        same = leg.local(full)
        await leg.prepare(wanted(full, remote=remote(ICE.format("b"))))
        after = leg.local(full)
        assert before.ice is not None and same.ice is not None and after.ice is not None
        assert before.ice.ufrag == same.ice.ufrag != after.ice.ufrag
        assert before.port == after.port and len(leg.transports) == 1

    legs(test)


def test_another_certificate_of_theirs_needs_another_transport() -> None:
    async def test(leg: Told) -> None:
        dtls = replace(PREFERENCES, encryption="offer", keying=("dtls",))
        prints = [f"a=setup:actpass\na=fingerprint:sha-256 {':'.join([digit * 2] * 32)}\n" for digit in "AB"]
        first, second = (remote(text) for text in prints)
        await leg.prepare(wanted(dtls, remote=first))
        leg._way, leg._next = leg._next, None
        leg.agreed = agreed(protection="dtls", fingerprints=tuple(first.fingerprints))
        await leg.prepare(wanted(dtls, remote=first))
        assert len(leg.transports) == 1
        await leg.prepare(wanted(dtls, remote=second))
        assert len(leg.transports) == 2

    legs(test)


def test_the_local_address_is_the_one_towards_them() -> None:
    anywhere = replace(PREFERENCES, address="")
    assert Wanted(anywhere, CERTIFICATE, remote()).address == "127.0.0.1"
    assert Wanted(anywhere, CERTIFICATE, remote(host="phone.invalid")).address
    assert Wanted(PREFERENCES, CERTIFICATE, remote(host="192.0.2.1")).address == "127.0.0.1"


@pytest.mark.parametrize(
    ("ours", "theirs", "ice"),
    [
        ("none", True, "none"),
        ("accept", True, "full"),
        ("accept", False, "none"),
        ("accept", None, "none"),
        ("full", None, "full"),
        ("full", False, "none"),
        ("lite", True, "lite"),
    ],
)
def test_which_ice_is_done(ours: Any, theirs: bool | None, ice: str) -> None:
    offered = None if theirs is None else remote(ICE.format("a") if theirs else "")
    assert Wanted(replace(PREFERENCES, ice=ours), CERTIFICATE, offered).ice == ice


def test_names_are_looked_up_and_unknown_ones_are_media_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def lookup(self: VirtualLoop, host: str, port: Any, **options: Any) -> list[Any]:
        asked.append(host)
        if host == "phone.invalid":
            raise OSError("no such name")
        if host == "slow.invalid":
            await asyncio.sleep(60)
        return [(2, 2, 17, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(VirtualLoop, "getaddrinfo", lookup)

    async def test(leg: Told) -> None:
        await leg.prepare(wanted())
        for host in ("phone.invalid", "slow.invalid"):
            with pytest.raises(MediaError, match=host):
                await leg.agree(agreed(remote_address=host, remote_rtcp=(host, 9001)))
        await leg.agree(agreed(remote_address="phone.example", remote_rtcp=("phone.example", 9001)))
        assert asked == ["phone.invalid", "slow.invalid", "phone.example"]
        assert leg.transport is not None and leg.transport.send_rtp(bytes((0x80, 0)) + bytes(30))

    legs(test)


def test_a_closed_leg_opens_and_starts_nothing() -> None:
    async def test(leg: Told) -> None:
        await leg.prepare(wanted())
        leg.close()
        with pytest.raises(MediaError, match="closed"):
            await leg.prepare(wanted(replace(PREFERENCES, address="127.0.0.2")))
        with pytest.raises(MediaError, match="closed"):
            await leg.agree(agreed())
        assert all(not transport.send_rtp(bytes(12)) for transport in leg.transports)

    legs(test)


def test_a_way_that_cannot_start_leaves_the_one_in_use() -> None:
    async def test(leg: Told) -> None:
        await leg.prepare(wanted())
        await leg.agree(agreed())
        first = leg.transport
        await leg.prepare(wanted(replace(PREFERENCES, address="127.0.0.2", encryption="require", keying=("sdes",))))
        with pytest.raises(MediaError):
            await leg.agree(agreed())
        assert leg.transport is first and first is not None and first.send_rtp(bytes((0x80, 0)) + bytes(30))

    legs(test)
