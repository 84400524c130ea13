"""What one source and one account may cost: the numbers, their edges, and the bounds of what is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.errors import ConfigurationError
from ringback.server.setup.identity import Networks, source_key
from ringback.server.setup.limits import FloodGuard, Limits, PasswordGuard
from tests.attacks.world import DOMAIN, World, statuses

HERE = source_key("203.0.113.7")
THERE = source_key("203.0.113.8")


def admitted(guard: FloodGuard, host: str, times: int, now: float) -> int:
    return sum(guard.admit(host, now) for _ in range(times))


class TestFloodGuard:
    def test_a_burst_and_then_the_rate(self) -> None:
        guard = FloodGuard(burst=10, rate=4.0)
        assert admitted(guard, "203.0.113.7", 20, 100.0) == 10
        assert admitted(guard, "203.0.113.7", 20, 100.1) == 0
        assert admitted(guard, "203.0.113.7", 20, 100.25) == 1
        assert admitted(guard, "203.0.113.7", 20, 101.25) == 4
        # It is full again after burst / rate, and no fuller.
        assert admitted(guard, "203.0.113.7", 20, 200.0) == 10
        assert guard.dropped == 10 + 20 + 19 + 16 + 10

    def test_one_at_a_time(self) -> None:
        guard = FloodGuard(burst=1, rate=1.0)
        times = (0.0, 0.4, 1.0, 1.4, 2.0)
        # Half a message too early is early enough: clocks and packets jitter.
        assert [guard.admit("203.0.113.7", now) for now in times] == [True, False, True, False, True]

    def test_what_is_dropped_costs_no_allowance(self) -> None:
        """Else a flood would never end for a source that sends a little too much."""
        guard = FloodGuard(burst=2, rate=1.0)
        assert sum(guard.admit("203.0.113.7", number / 10) for number in range(100)) == 12

    def test_sources_do_not_share(self) -> None:
        guard = FloodGuard(burst=3, rate=1.0)
        hosts = ["203.0.113.7", "203.0.113.8", "2001:db8::1", "2001:db8:0:1::1"]
        assert [admitted(guard, host, 5, 0.0) for host in hosts] == [3, 3, 3, 3]
        # An IPv6 /64 is one source.
        assert admitted(guard, "2001:db8::ffff", 5, 0.0) == 0

    def test_exempt_networks(self) -> None:
        guard = FloodGuard(burst=1, rate=1.0, exempt=Networks(("127.0.0.0/8", "::1")))
        assert [admitted(guard, host, 50, 0.0) for host in ("127.0.0.1", "::1", "::2")] == [50, 50, 1]
        assert guard.report() == [("::2", 49)]

    def test_the_report_names_who_sent_too_much_once(self) -> None:
        guard = FloodGuard(burst=1, rate=1.0)
        for host in ("203.0.113.7", "203.0.113.8", "203.0.113.9"):
            admitted(guard, host, 1 + int(host[-1]) % 3, 0.0)
        assert guard.report() == [("203.0.113.7", 1), ("203.0.113.8", 2)]
        assert guard.report() == []
        assert not guard.admit("203.0.113.8", 0.0)
        assert guard.report() == [("203.0.113.8", 1)]

    def test_a_report_is_bounded(self) -> None:
        guard = FloodGuard(burst=1, rate=1.0)
        for number in range(200):
            admitted(guard, f"203.0.113.{number}", 2, 0.0)
        assert len(guard.report()) == 64

    def test_newcomers(self) -> None:
        guard = FloodGuard(newcomers=10.0)
        first = [guard.admit(f"203.0.{number // 250}.{number % 250}", 0.0) for number in range(100)]
        assert (sum(first), guard.turned_away) == (51, 49)
        # Those that are known are let in all the same; ten new ones are after a second.
        assert all(guard.admit(f"203.0.0.{number}", 0.1) for number in range(50))
        assert sum(guard.admit(f"198.51.100.{number}", 1.0) for number in range(50)) == 10

    def test_any_number_of_newcomers(self) -> None:
        guard = FloodGuard(newcomers=0.0)
        assert all(guard.admit(f"203.0.{number // 256}.{number % 256}", 0.0) for number in range(9000))

    def test_the_table_is_bounded_and_forgets_the_longest_unheard(self) -> None:
        guard = FloodGuard(burst=1, rate=0.001, capacity=10, newcomers=0.0)
        guard.admit("203.0.113.1", 0.0)
        for number in range(2, 100):
            guard.admit(f"203.0.113.{number}", 0.0)
            # This one is heard again and again, so it is kept.
            assert not guard.admit("203.0.113.1", 0.0)
            assert len(guard) <= 10
        assert guard.admit("203.0.113.2", 0.0)

    @pytest.mark.parametrize("wrong", [{"burst": 0}, {"rate": 0.0}, {"capacity": 1}, {"newcomers": -1.0}])
    def test_numbers_that_make_no_sense(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            FloodGuard(**wrong)


class TestPasswordGuard:
    def test_each_wrong_one_doubles_the_wait_after_those_allowed(self) -> None:
        guard = PasswordGuard(allowed=3, first=2.0, longest=20.0)
        assert [guard.wrong("a@b", HERE, 100.0) for _ in range(8)] == [0.0, 0.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
        assert (guard.wait("a@b", HERE, 100.0), guard.wait("a@b", HERE, 119.0)) == (20.0, 1.0)
        assert guard.wait("a@b", HERE, 120.0) == 0.0

    def test_neither_the_user_elsewhere_nor_others_there(self) -> None:
        guard = PasswordGuard(allowed=1)
        guard.wrong("a@b", HERE, 0.0)
        assert guard.wait("a@b", HERE, 0.0) == 2.0
        assert guard.wait("a@b", THERE, 0.0) == guard.wait("c@b", HERE, 0.0) == 0.0

    def test_one_is_forgiven_each_longest(self) -> None:
        guard = PasswordGuard(allowed=3, first=2.0, longest=100.0)
        assert [guard.wrong("a@b", HERE, now) for now in (0.0, 100.0, 200.0, 300.0)] == [0.0] * 4
        assert [guard.wrong("a@b", HERE, 300.0) for _ in range(2)] == [0.0, 2.0]
        # All of them after a while, and no more than there were.
        assert [guard.wrong("a@b", HERE, 10_000.0) for _ in range(3)] == [0.0, 0.0, 2.0]

    def test_the_right_one_forgives_all_of_that_account(self) -> None:
        guard = PasswordGuard(allowed=2)
        for account in ("a@b", "c@b"):
            for _ in range(2):
                guard.wrong(account, HERE, 0.0)
        guard.right("a@b", HERE, 0.0)
        assert (guard.wait("a@b", HERE, 0.0), guard.wait("c@b", HERE, 0.0)) == (0.0, 2.0)
        assert guard.wrong("a@b", HERE, 0.0) == 0.0

    def test_a_source_has_ten_times_as_many_for_all(self) -> None:
        guard = PasswordGuard(allowed=2, first=2.0)
        assert [guard.wrong(f"{number}@b", HERE, 0.0) for number in range(21)] == [0.0] * 19 + [2.0, 4.0]
        assert (guard.wait("new@b", HERE, 0.0), guard.wait("new@b", THERE, 0.0)) == (4.0, 0.0)

    def test_who_was_right_there_is_not_held_up_by_others(self) -> None:
        guard = PasswordGuard(allowed=2)
        guard.right("a@b", HERE, 0.0)
        for number in range(30):
            guard.wrong(f"{number}@b", HERE, 0.0)
        assert guard.wait("a@b", HERE, 0.0) == 0.0 < guard.wait("c@b", HERE, 0.0)
        # By his own he is.
        for _ in range(2):
            guard.wrong("a@b", HERE, 0.0)
        assert guard.wait("a@b", HERE, 0.0) == 2.0

    def test_a_million_wrong_ones_are_no_error(self) -> None:
        guard = PasswordGuard(allowed=1, first=1e-9, longest=1e9)
        for _ in range(3000):
            wait = guard.wrong("a@b", HERE, 0.0)
        assert wait == 1e9

    def test_exempt_networks(self) -> None:
        guard = PasswordGuard(allowed=1, exempt=Networks(("203.0.113.7", "::1")))
        assert [guard.wrong("a@b", source, 0.0) for source in (HERE, source_key("::1"), THERE)] == [0.0, 0.0, 2.0]
        assert len(guard) == 2

    def test_the_tables_are_bounded(self) -> None:
        guard = PasswordGuard(capacity=10)
        for number in range(1000):
            guard.wrong(f"{'x' * 1000}{number}@b", HERE, 0.0)
            guard.right(f"{number}@b", HERE, 0.0)
            assert len(guard) <= 10
        assert len(guard._right) + len(guard._right_old) <= 10
        assert all(len(name) <= 80 for name, _ in guard._young)

    def test_long_names_are_told_apart(self) -> None:
        guard = PasswordGuard(allowed=1)
        guard.wrong("x" * 200 + "1@b", HERE, 0.0)
        assert (guard.wait("x" * 200 + "1@b", HERE, 0.0), guard.wait("x" * 200 + "2@b", HERE, 0.0)) == (2.0, 0.0)

    @pytest.mark.parametrize("wrong", [{"allowed": 0}, {"first": 0.0}, {"first": 9.0, "longest": 8.0}, {"capacity": 1}])
    def test_numbers_that_make_no_sense(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            PasswordGuard(**wrong)


class TestLimits:
    """What more there is to it stands in tests/attacks."""

    @pytest.mark.parametrize("wrong", [{"calls": 0}, {"calls": 5, "requests": 4}])
    def test_numbers_that_make_no_sense(self, wrong: dict[str, int]) -> None:
        with pytest.raises(ConfigurationError):
            Limits(World().proxy, **wrong)

    def test_trusted_sources_and_dialogs_are_not_counted(self) -> None:
        world = World(calls=1, requests=1, trusted=("203.0.113.0/24",))
        bob, gateway = world.phone("bob"), world.phone("x", host="203.0.113.1")
        bob.register()
        for _ in range(3):
            assert statuses(gateway.send(gateway.build("INVITE", bob.uri))) == []
        assert len(bob.requests()) == 3

    def test_what_has_ended_is_not_kept(self) -> None:
        world = World(outsiders=True)
        bob = world.phone("bob")
        bob.register()
        for number in range(100):
            caller = world.phone("x", host=f"203.0.113.{number}", domain="example.net")
            caller.send(caller.build("MESSAGE", bob.uri))
            for request in bob.requests():
                bob.answer(request, 200)
            assert len(world.limits._running) <= 3

    @pytest.mark.parametrize(("inward", "status"), [(False, 403), (True, None)])
    def test_the_switch(self, inward: bool, status: int | None) -> None:
        world = World()
        world.limits.inward = inward
        alice = world.phone("alice")
        assert statuses(alice.request("MESSAGE", "sip:x@127.0.0.1:9000")) == ([status] if status else [])
        assert len(world.collect("127.0.0.1", 9000)) == (0 if status else 1)

    def test_users_of_this_domain_are_no_addresses_of_it(self) -> None:
        """The domain may well be an address that is inward, where everything is tried out on one machine."""
        world = World(domains=("127.0.0.1",))
        alice, bob = (world.phone(user, domain="127.0.0.1") for user in ("alice", "bob"))
        bob.register()
        assert statuses(alice.request("MESSAGE", "sip:bob@127.0.0.1")) == []
        assert [request.method for request in bob.requests()] == ["MESSAGE"]
        assert DOMAIN != "127.0.0.1"
