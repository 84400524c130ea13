"""Whom a handshake is held with: the named far end, one behind a NAT, strangers, and nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ringback.media.backend import MediaError
from ringback.media.io import handshake as module
from ringback.media.io.certificate import Certificate, Fingerprint
from ringback.media.io.dtls import Association, Role
from ringback.media.io.handshake import STRANGERS, Handshake
from ringback.media.io.sockets import Address

PATIENCE = 10.0
HERE = Certificate.generate()
THERE = Certificate.generate()
OTHER = Certificate.generate()
NAMED: Address = ("192.0.2.1", 4000)


class Side:
    """A handshake whose datagrams are carried by hand: by where they go, None is to the named far end."""

    def __init__(
        self, role: Role, patience: float = PATIENCE, said: Fingerprint | None = None, secret: bytes = b""
    ) -> None:
        self.sent: list[tuple[bytes, Address | None]] = []
        certificate, far = (HERE, THERE) if role == "client" else (THERE, HERE)
        said = said or far.fingerprint()
        self.handshake = Handshake(role, certificate, [said], self._send, patience=patience, secret=secret)
        self.deliver: Callable[[bytes, Address | None], None] | None = None

    def _send(self, data: bytes, to: Address | None) -> None:
        if self.deliver is None:
            self.sent.append((data, to))
        else:
            self.deliver(data, to)

    def take(self, to: Address | None = None) -> list[bytes]:
        """What was sent to `to`."""
        taken = [data for data, where in self.sent if where == to]
        self.sent = [(data, where) for data, where in self.sent if where != to]
        return taken

    def named(self, data: bytes) -> bool:
        return self.handshake.receive(data, NAMED, True, True)

    def stranger(self, data: bytes, source: Address) -> bool:
        return self.handshake.receive(data, source, False, True)


@asynccontextmanager
async def side(role: Role, **options: Any) -> AsyncIterator[Side]:
    made = Side(role, **options)
    made.handshake.start()
    try:
        yield made
    finally:
        made.handshake.close()


def carry(server: Side, caller: Association, source: Address, named: bool = False) -> None:
    """Let `caller` at `source` talk to `server` until both are silent."""
    for _ in range(10):
        flight = caller.take()
        for datagram in flight:
            if named:
                server.named(datagram)
            else:
                server.stranger(datagram, source)
        answer = server.take(None if named else source)
        for datagram in answer:
            caller.receive(datagram)
        if not flight and not answer:
            return


def caller(certificate: Certificate = HERE) -> Association:
    """A client that would talk to THERE."""
    association = Association("client", certificate, [THERE.fingerprint()])
    association.start()
    return association


async def test_with_the_named_far_end() -> None:
    async with side("client") as here, side("server") as there:
        for _ in range(4):
            for data in here.take():
                assert there.named(data)
            for data in there.take():
                assert here.named(data)
        ours, theirs = await here.handshake.done, await there.handshake.done
        assert (ours.local, ours.remote) == (theirs.remote, theirs.local)
        assert here.handshake.source is there.handshake.source is None


async def test_a_lost_flight_is_sent_again_by_the_timer() -> None:
    """The first flight of all, and the last, which the server sends when it is done."""
    async with side("client") as here, side("server") as there:
        lost = {"client": {0}, "server": {1}}
        sent = {"client": 0, "server": 0}

        def carry_to(sender: str, other: Side) -> Callable[[bytes, Address | None], None]:
            def deliver(data: bytes, to: Address | None) -> None:
                number, sent[sender] = sent[sender], sent[sender] + 1
                if number not in lost[sender]:
                    asyncio.get_running_loop().call_soon(other.named, data)

            return deliver

        [_] = here.take()
        sent["client"] = 1
        here.deliver, there.deliver = carry_to("client", there), carry_to("server", here)
        async with asyncio.timeout(PATIENCE):
            ours, theirs = await here.handshake.done, await there.handshake.done
        assert ours.local == theirs.remote
        assert sent["server"] >= 3


async def test_the_far_end_is_found_elsewhere_by_its_certificate() -> None:
    async with side("server") as there:
        source = ("198.51.100.9", 1024)
        association = caller()
        carry(there, association, source)
        keys = await there.handshake.done
        assert association.keys is not None
        assert keys.remote == association.keys.local
        assert there.handshake.source == source
        # Everybody else is nobody from now on.
        assert there.stranger(caller().take()[0], ("198.51.100.10", 9)) is False
        assert there.sent == []


async def test_a_stranger_is_sent_a_cookie_and_nothing_is_kept() -> None:
    """RFC 6347 section 4.2.1: until it is returned nothing larger than what came goes out, and once."""
    async with side("server") as there:
        for port in range(1, 200):
            source = ("198.51.100.9", port)
            [hello] = caller().take()
            assert there.stranger(hello, source)
            [answer] = there.take(source)
            assert len(answer) < len(hello)
            # HelloVerifyRequest.
            assert answer[13] == 3
        assert list(there.handshake._associations) == [None]
        assert there.handshake._timer is None


async def test_the_cookie_of_another_address_does_not_help() -> None:
    async with side("server") as there:
        association = caller()
        there.stranger(association.take()[0], ("198.51.100.9", 1))
        association.receive(there.take(("198.51.100.9", 1))[0])
        [second] = association.take()
        there.stranger(second, ("198.51.100.9", 2))
        [answer] = there.take(("198.51.100.9", 2))
        assert answer[13] == 3
        assert list(there.handshake._associations) == [None]


async def test_the_race_of_hellos_is_won_by_the_right_certificate() -> None:
    """A27: strangers are first, with sound handshakes of their own; the call goes on with whom SDP vouches for."""
    async with side("server") as there:
        for port in range(1, 20):
            carry(there, caller(OTHER), ("198.51.100.66", port))
        assert not there.handshake.done.done()
        association = caller()
        carry(there, association, NAMED, named=True)
        keys = await there.handshake.done
        assert association.keys is not None
        assert keys.remote == association.keys.local
        assert there.handshake.source is None


async def test_strangers_who_do_not_come_to_an_end_are_bounded() -> None:
    async with side("server") as there:
        for port in range(1, 30):
            source = ("198.51.100.9", port)
            association = caller(OTHER)
            there.stranger(association.take()[0], source)
            association.receive(there.take(source)[0])
            there.stranger(association.take()[0], source)
        assert len(there.handshake._associations) == STRANGERS + 1
        assert ("198.51.100.9", 29) in there.handshake._associations
        carry(there, caller(), ("198.51.100.10", 1))
        await there.handshake.done


NOISE = [b"\x16", b"\x16" * 200, bytes(range(20, 64)) * 10, bytes([21, 254, 253]) + bytes(8) + b"\0\2\2\x28"]


@pytest.mark.parametrize("noise", NOISE, ids=range(len(NOISE)))
async def test_noise_of_strangers(noise: bytes) -> None:
    async with side("server") as there:
        there.stranger(noise, ("198.51.100.9", 1))
        assert there.sent == []
        carry(there, caller(), ("198.51.100.9", 1))
        await there.handshake.done


async def test_a_client_talks_to_the_named_far_end_only() -> None:
    async with side("client") as here:
        [hello] = here.take()
        assert here.stranger(hello, ("198.51.100.9", 1)) is False
        assert here.handshake.receive(hello, ("198.51.100.9", 1), False, False) is False
        assert here.sent == []


async def test_a_far_end_that_may_not_roam_does_not() -> None:
    async with side("server") as there:
        [hello] = caller().take()
        assert there.handshake.receive(hello, ("198.51.100.9", 1), False, False) is False
        assert there.sent == []


async def test_the_wrong_certificate_of_the_named_far_end_is_the_end() -> None:
    async with side("server") as there:
        carry(there, caller(OTHER), NAMED, named=True)
        with pytest.raises(MediaError, match=r"^the certificate of the far end's DTLS handshake is not the one"):
            await there.handshake.done
        assert there.named(caller().take()[0]) in (True, False)


async def test_when_nobody_answers() -> None:
    async with side("client", patience=0.01) as here:
        with pytest.raises(MediaError, match=r"^no DTLS handshake came about$"):
            await here.handshake.done


async def test_after_an_alert_less_patience_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AFTER_ALERT", 0.01)
    async with side("client") as here:
        here.named(NOISE[3])
        here.named(NOISE[3])
        with pytest.raises(MediaError, match=r"without proof who it was, somebody sent the alert 40$"):
            await here.handshake.done


async def test_an_alert_does_not_stop_a_handshake_that_comes_about() -> None:
    async with side("server") as there:
        there.named(NOISE[3])
        carry(there, caller(), NAMED, named=True)
        await there.handshake.done


async def test_closing_ends_the_waiting_and_the_timers() -> None:
    async with side("client") as here:
        waiting = asyncio.ensure_future(asyncio.shield(here.handshake.done))
        here.handshake.close()
        with pytest.raises(MediaError, match=r"^the DTLS handshake was given up$"):
            await waiting
        assert here.handshake._timer is here.handshake._limit is None
        here.handshake.close()
        assert here.named(b"\x16" * 100) is False


async def test_after_the_end_of_a_handshake_no_timer_runs() -> None:
    async with side("server") as there:
        association = caller()
        carry(there, association, NAMED, named=True)
        await there.handshake.done
        assert there.handshake._timer is None
        assert there.named(b"\x17\xfe\xfd" + b"\0\1" + bytes(6) + b"\0\x10" + bytes(16))


async def test_a_cookie_of_an_earlier_handshake_of_the_stream_is_good() -> None:
    """A forked call: the second phone begins while the first handshake runs, and is named by the answer after it."""
    association = caller()
    async with side("server", secret=b"of the stream") as first:
        first.stranger(association.take()[0], NAMED)
        association.receive(first.take(NAMED)[0])
    async with side("server", secret=b"of the stream") as second:
        carry(second, association, NAMED, named=True)
        keys = await second.handshake.done
        assert association.keys is not None
        assert keys.remote == association.keys.local
        assert second.handshake.source is None


async def test_a_cookie_that_is_not_good_is_no_beginning() -> None:
    association = caller()
    async with side("server", secret=b"of another stream") as first:
        first.stranger(association.take()[0], NAMED)
        association.receive(first.take(NAMED)[0])
    async with side("server", secret=b"of the stream") as second:
        second.named(association.take()[0])
        [answer] = second.take()
        assert answer[13] == 3
        assert not second.handshake.done.done()
        carry(second, caller(), NAMED, named=True)
        await second.handshake.done
