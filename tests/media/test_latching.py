"""Where a stream comes from: NATs, sprays (A25), moves and secured streams, on a virtual clock."""

import random

import pytest

from ringback.media.latching import Address, Latch

SIGNALLED: Address = ("192.0.2.1", 4000)
NAT: Address = ("203.0.113.9", 61000)
STRANGER: Address = ("198.51.100.66", 7)
SSRC = 0xA


def latch(signalled: Address | None = SIGNALLED, **options: object) -> Latch:
    return Latch(signalled, 0.0, **options)  # type: ignore[arg-type]


def send(
    found: Latch,
    source: Address,
    count: int,
    start: float = 1.0,
    first: int = 100,
    ssrc: int = SSRC,
    authenticated: bool = False,
) -> list[bool]:
    """A stream of `count` packets, 20 ms apart."""
    return [
        found.accept(source, ssrc, first + number & 0xFFFF, start + number * 0.02, authenticated)
        for number in range(count)
    ]


class TestPlain:
    def test_the_signalled_address_is_latched_at_once(self) -> None:
        found = latch()
        assert found.destination == SIGNALLED
        assert send(found, SIGNALLED, 3) == [True] * 3
        assert (found.latched, found.destination, found.moves, found.reason) == (
            SIGNALLED,
            SIGNALLED,
            0,
            "it was signalled",
        )

    def test_a_nat_is_learnt_and_answered(self) -> None:
        found = latch()
        assert send(found, NAT, 50) == [True] * 50
        assert (found.latched, found.destination, found.provisional) == (NAT, NAT, 4)
        assert found.reason == "5 packets followed each other"

    def test_until_then_nothing_is_sent_there(self) -> None:
        found = latch()
        send(found, NAT, 4)
        assert found.destination == SIGNALLED

    @pytest.mark.parametrize("trusted", [{NAT[0]}, set()])
    def test_a_host_that_is_known_is_learnt_sooner(self, trusted: set[str]) -> None:
        found = latch(trusted=trusted)
        source = NAT if trusted else (SIGNALLED[0], 5004)
        assert send(found, source, 2, start=0.0) == [True, True]
        assert found.latched == source

    def test_one_that_becomes_known(self) -> None:
        found = latch()
        found.trust(NAT[0])
        send(found, NAT, 2)
        assert found.latched == NAT

    def test_without_any_signalled_address(self) -> None:
        found = latch(None)
        assert found.destination is None
        send(found, NAT, 5)
        assert found.destination == NAT

    def test_lost_packets_do_not_hinder_it(self) -> None:
        found = latch()
        for number in (1, 3, 4, 14, 15):
            assert found.accept(NAT, SSRC, number, 1.0)
        assert found.latched == NAT

    def test_runs_that_break_do_not_add_up(self) -> None:
        found = latch()
        for number in range(0, 60000, 3000):
            for ahead in range(4):
                found.accept(NAT, SSRC, number + ahead, 1.0)
        assert found.latched is None
        # An eleventh number behind is no continuation either, nor the same one again.
        for number in (60001, 60012, 60023, 60034, 60045, 60056, 60056, 60056):
            found.accept(NAT, SSRC, number, 1.0)
        assert found.latched is None

    def test_a_run_is_of_one_source(self) -> None:
        found = latch()
        for number in range(100):
            found.accept(NAT, number % 2, number, 1.0)
        assert found.latched is None
        assert found.refused == 95

    def test_the_signalled_address_has_the_first_half_second(self) -> None:
        found = latch()
        send(found, STRANGER, 20, start=0.0)
        assert found.latched is None
        assert (found.provisional, found.refused) == (5, 15)
        assert send(found, SIGNALLED, 1, start=0.45) == [True]
        assert found.latched == SIGNALLED

    def test_strict(self) -> None:
        found = latch(strict=True)
        assert send(found, NAT, 100) == [False] * 100
        assert send(found, (SIGNALLED[0], 4002), 100) == [False] * 100
        assert found.refused == 200
        assert send(found, SIGNALLED, 5) == [True] * 5
        assert send(found, NAT, 100, start=60.0) == [False] * 100
        assert found.latched == SIGNALLED

    def test_restricted(self) -> None:
        found = latch(restricted=True, trusted=[NAT[0]])
        assert send(found, STRANGER, 100) == [False] * 100
        assert send(found, NAT, 5) == [True] * 5


class TestSpray:
    """A25: "RTP spray → plain ≤5 packets (0 strict)"."""

    def spray(self, found: Latch, count: int, now: float) -> int:
        """Packets of all kinds of strangers; gives how many were taken."""
        chance = random.Random(3)
        taken = 0
        for number in range(count):
            source = (f"198.51.100.{chance.randrange(256)}", chance.randrange(1024, 65536))
            ssrc = chance.choice([chance.randrange(2**32), 5])
            taken += found.accept(source, ssrc, chance.randrange(65536), now + number * 1e-5)
        return taken

    def test_before_the_call_has_sound(self) -> None:
        found = latch()
        assert self.spray(found, 20000, now=1.0) == 5
        assert found.destination == SIGNALLED
        assert send(found, SIGNALLED, 50, start=2.0) == [True] * 50

    def test_before_a_call_through_a_nat_has_sound(self) -> None:
        found = latch()
        assert self.spray(found, 20000, now=1.0) == 5
        # Its first packets are the price.
        assert send(found, NAT, 50, start=2.0) == [False] * 4 + [True] * 46
        assert found.destination == NAT

    def test_one_packet_again_and_again(self) -> None:
        found = latch()
        assert sum(found.accept(STRANGER, 5, 7, 1.0) for _ in range(10000)) == 5
        assert found.latched is None

    def test_during_the_call(self) -> None:
        found = latch()
        send(found, NAT, 50)
        assert self.spray(found, 20000, now=2.0) == 0
        assert (found.destination, found.moves) == (NAT, 0)

    def test_a_whole_stream_of_a_stranger_during_the_call(self) -> None:
        found = latch()
        send(found, NAT, 50)
        assert send(found, STRANGER, 500, start=2.0, ssrc=5) == [False] * 500
        assert found.destination == NAT

    def test_also_while_the_call_is_silent(self) -> None:
        found = latch()
        send(found, NAT, 50)
        assert send(found, STRANGER, 500, start=100.0, ssrc=5) == [False] * 500
        assert found.destination == NAT

    def test_strict_takes_none(self) -> None:
        assert self.spray(latch(strict=True), 20000, now=1.0) == 0

    def test_a_stranger_who_was_first_loses_to_the_signalled_address(self) -> None:
        found = latch()
        send(found, STRANGER, 50, ssrc=5)
        assert found.latched == STRANGER
        assert send(found, SIGNALLED, 3, start=2.5) == [False, True, True]
        assert found.destination == SIGNALLED
        assert send(found, STRANGER, 100, start=3.0, ssrc=5, first=150) == [False] * 100

    def test_and_to_the_host_that_signals(self) -> None:
        found = latch(trusted=[NAT[0]])
        send(found, STRANGER, 50, ssrc=5)
        send(found, NAT, 3, start=2.5)
        assert found.destination == NAT
        assert found.moves == 1

    def test_what_is_kept_is_bounded(self) -> None:
        found = latch()
        self.spray(found, 5000, now=1.0)
        assert len(found._candidates) <= 8


class TestMoves:
    def test_another_port_of_a_nat(self) -> None:
        found = latch()
        send(found, NAT, 50)
        moved = ("203.0.113.9", 62222)
        # The old port has been heard a moment ago.
        assert send(found, moved, 1, start=2.5, first=150) == [False]
        assert send(found, moved, 50, start=3.1, first=151) == [True] * 50
        assert (found.destination, found.moves) == (moved, 1)
        assert found.reason == "the same source goes on from there"

    def test_a_source_that_sent_one_packet_goes_on_elsewhere(self) -> None:
        found = latch()
        found.accept(SIGNALLED, SSRC, 65535, 1.0)
        assert not found.accept(NAT, SSRC, 0, 1.99)
        assert found.accept(NAT, SSRC, 0, 2.0)
        assert found.latched == NAT

    def test_what_was_overtaken_does_not_count_as_the_newest(self) -> None:
        found = latch()
        for number in (10, 12, 11):
            found.accept(SIGNALLED, SSRC, number, 1.0)
        assert not found.accept(NAT, SSRC, 12, 3.0)
        assert found.accept(NAT, SSRC, 13, 3.0)

    def test_the_moved_source_has_to_be_silent_before_it_moves_again(self) -> None:
        found = latch()
        send(found, NAT, 50)
        assert found.accept(("203.0.113.9", 1), SSRC, 150, 4.0)
        assert not found.accept(("203.0.113.9", 2), SSRC, 151, 4.9)
        assert found.accept(("203.0.113.9", 2), SSRC, 151, 5.0)

    def test_one_host_that_is_known_does_not_lose_to_another(self) -> None:
        found = latch(trusted=[NAT[0], "203.0.113.10"])
        send(found, NAT, 50)
        assert send(found, ("203.0.113.10", 5), 10, start=2.0, ssrc=5) == [False] * 10
        assert found.refused == 10

    @pytest.mark.parametrize(("ssrc", "first"), [(5, 150), (SSRC, 149), (SSRC, 100), (SSRC, 149 + 3000)])
    def test_only_the_same_source_with_numbers_that_go_on(self, ssrc: int, first: int) -> None:
        found = latch()
        send(found, NAT, 50)
        assert not found.accept(STRANGER, ssrc, first, 10.0)
        assert found.destination == NAT

    def test_a_new_offer_from_the_same_address_changes_nothing(self) -> None:
        found = latch()
        send(found, NAT, 50)
        found.signal(SIGNALLED, 3.0)
        assert found.destination == NAT

    def test_a_new_address_is_sent_to_at_once_and_the_old_one_may_finish(self) -> None:
        found = latch()
        send(found, SIGNALLED, 50)
        new = ("192.0.2.50", 9000)
        found.signal(new, 2.0)
        assert found.destination == new
        assert send(found, SIGNALLED, 5, start=2.01, first=150) == [True] * 5
        assert send(found, new, 50, start=2.1, ssrc=0xB) == [True] * 50
        assert (found.latched, found.moves) == (new, 1)
        assert send(found, SIGNALLED, 5, start=2.3, first=155) == [False] * 5

    def test_a_new_address_behind_a_nat(self) -> None:
        found = latch()
        send(found, SIGNALLED, 50)
        found.signal(("10.0.0.1", 9000), 2.0)
        assert send(found, NAT, 50, start=2.6, ssrc=0xB) == [True] * 50
        assert found.destination == NAT

    def test_the_old_address_again_when_nothing_comes_from_the_new_one(self) -> None:
        found = latch()
        send(found, NAT, 50)
        found.signal(("10.0.0.1", 9000), 2.0)
        assert send(found, NAT, 150, start=2.0, first=150) == [True] * 150
        assert (found.destination, found.moves) == (NAT, 0)

    def test_a_new_offer_that_names_what_was_learnt(self) -> None:
        found = latch()
        send(found, NAT, 50)
        found.signal(NAT, 3.0)
        assert (found.latched, found.moves) == (NAT, 0)


class TestSecured:
    def test_only_authenticated_packets_count(self) -> None:
        found = latch(secured=True)
        assert send(found, SIGNALLED, 100) == [False] * 100
        assert send(found, STRANGER, 100) == [False] * 100
        assert (found.latched, found.destination, found.refused) == (None, SIGNALLED, 200)
        assert send(found, NAT, 1, authenticated=True) == [True]
        assert found.destination == NAT
        # A25: "SRTP 0".
        assert send(found, NAT, 100) == [False] * 100

    def test_they_may_come_from_elsewhere_at_any_time(self) -> None:
        found = latch(secured=True)
        send(found, NAT, 50, authenticated=True)
        moved = ("203.0.113.77", 1)
        assert send(found, moved, 1, start=2.0, first=150, authenticated=True) == [True]
        assert found.destination == moved

    @pytest.mark.parametrize("first", [149, 120, 100])
    def test_older_ones_move_nothing(self, first: int) -> None:
        found = latch(secured=True)
        send(found, NAT, 50, authenticated=True)
        assert send(found, STRANGER, 1, first=first, authenticated=True) == [True]
        assert found.destination == NAT

    def test_numbers_that_wrap_and_another_ssrc(self) -> None:
        found = latch(secured=True)
        send(found, NAT, 1, first=65535, authenticated=True)
        moved = ("203.0.113.77", 1)
        assert send(found, moved, 1, first=0, authenticated=True) == [True]
        assert found.destination == moved
        assert send(found, STRANGER, 1, first=32768, authenticated=True) == [True]
        assert found.destination == moved
        assert send(found, NAT, 1, first=0, ssrc=5, authenticated=True) == [True]
        assert found.destination == NAT

    def test_strict_and_secured(self) -> None:
        found = latch(secured=True, strict=True)
        assert send(found, NAT, 5, authenticated=True) == [False] * 5
        assert send(found, SIGNALLED, 5, authenticated=True) == [True] * 5


class TestControl:
    def test_it_comes_from_the_host_of_the_stream(self) -> None:
        found = latch()
        signalled = (SIGNALLED[0], SIGNALLED[1] + 1)
        assert found.accept_control(signalled)
        assert found.control_destination(signalled) == signalled
        send(found, NAT, 10)
        assert found.accept_control((NAT[0], 61001))
        assert found.control_destination(signalled) == (NAT[0], 61001)
        assert not found.accept_control(STRANGER)
        assert found.control_destination(signalled) == (NAT[0], 61001)
        assert found.refused == 1

    def test_trusted_hosts(self) -> None:
        assert latch(trusted=[NAT[0]]).accept_control(NAT)
        assert not latch(trusted=[NAT[0]], strict=True).accept_control(NAT)

    def test_of_a_secured_stream_it_is_authenticated(self) -> None:
        found = latch(secured=True)
        assert not found.accept_control(SIGNALLED)
        assert found.accept_control(SIGNALLED, authenticated=True)

    def test_a_new_address_forgets_it(self) -> None:
        found = latch()
        send(found, SIGNALLED, 5)
        found.accept_control((SIGNALLED[0], 4001))
        found.signal(("192.0.2.50", 9000), 2.0)
        assert found.control_destination(("192.0.2.50", 9001)) == ("192.0.2.50", 9001)
