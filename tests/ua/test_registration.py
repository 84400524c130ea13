"""Keeping an account registered: against a scripted registrar, over real sockets, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ringback.sip.profile import Profile
from ringback.ua.account import Account
from ringback.ua.registration import RegistrationChange, RegistrationFailed, Registrations
from ringback.ua.requests import Requests
from ringback.ua.wire import Wire, WireOptions
from tests.ua.clock import run
from tests.ua.registrar import OUTBOUND, Registrar, granting, registrar

URN = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
DOMAIN = "example.org"


class Client:
    """All that a registration needs of an agent."""

    def __init__(self, account: Account, hosts: dict[str, list[str]]) -> None:
        self.account = account
        self.hosts = hosts
        self.changes: list[tuple[str, int]] = []

    async def open(self) -> None:
        self.wire = await Wire.open(WireOptions(hosts=self.hosts), self._told, self._closed)
        self.requests = Requests(self.wire)
        found = self.account.credentials()
        credentials, login = found if found is not None else (None, None)
        aor = f"<{self.account.uri.text}>"
        self.it = Registrations(
            self.wire, self.requests, self.account,
            lambda: Profile(aor, "sip:nowhere.invalid", credentials=credentials), login, URN, self._changed,
        )  # fmt: skip

    def _told(self, event: Any) -> None:
        assert self.requests.completed(event)

    def _closed(self, flow: Any) -> None:
        self.it.closed(flow)

    def _changed(self) -> None:
        change = self.it.flows[0].change()
        said = (change.state, change.status)
        if self.changes[-1:] != [said]:
            self.changes.append(said)

    async def close(self, seconds: float = 4.0) -> None:
        await self.it.stop(seconds)
        await self.wire.close(0.0)


@asynccontextmanager
async def client(
    *servers: Registrar, transport: str = "udp", hosts: list[str] | None = None, **options: Any
) -> AsyncIterator[Client]:
    where = f"sip:{DOMAIN}:{servers[0].port}" if servers else f"sip:{DOMAIN}:9"
    given = {"password": "secret", "registrar": where, "transport": transport, "outbound": False, **options}
    made = Client(Account.of(f"sip:alice@{DOMAIN}", **given), {DOMAIN: hosts or ["127.0.0.1"]})
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def time() -> float:
    return asyncio.get_running_loop().time()


# --- An ordinary life -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_registered_refreshed_and_taken_back(transport: str) -> None:
    async def main() -> None:
        async with registrar() as server:
            server.usual = granting(expires=600)
            async with client(server, transport=transport) as alice:
                alice.it.start()
                await alice.it.first()
                begun = time()
                assert alice.it.is_registered
                [first] = server.heard
                host, port = first.source
                tail = ";transport=tcp" if transport == "tcp" else ""
                contact = f"sip:alice@{host}:{port}{tail}"
                # The address of the very socket, or connection, that the request came by.
                assert first.contacts == [(contact, "3600")]
                where = f"sip:{DOMAIN}:{server.port}"
                assert first.request.uri == where
                assert alice.it.state == [
                    RegistrationChange(f"{where};transport={transport}", "registered", 200, "OK", contact, 600, 0.0)
                ]
                await asyncio.sleep(600)
                [_, second] = server.heard
                assert 480 <= second.at - begun <= 540
                assert (second.source, second.cseq, second.contacts) == (first.source, 2, first.contacts)
                assert second.request.call_id == first.request.call_id
            assert server.heard[-1].contacts == [(contact, "0")]
            assert len(server.heard) == 3 and server.accepted == (1 if transport == "tcp" else 0)
            assert alice.changes == [
                ("registering", 0), ("registered", 200), ("refreshing", 200), ("registered", 200), ("ending", 200),
                ("off", 200),
            ]  # fmt: skip

    run(main())


def test_challenged() -> None:
    challenge = 'Digest realm="example.org", nonce="n", qop="auth", algorithm=MD5'

    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            server.script = [(401, [("WWW-Authenticate", challenge)])]
            alice.it.start()
            await alice.it.first()
            assert [heard.cseq for heard in server.heard] == [1, 2]
            assert 'username="alice"' in (server.heard[1].request.header("authorization") or "")
            alice.it.renew()
            await asyncio.sleep(1)
            assert [heard.cseq for heard in server.heard] == [1, 2, 3]
            # RFC 7616 3.6: known from before.
            assert "nc=00000002" in (server.heard[2].request.header("authorization") or "")

    run(main())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refused(status: int) -> None:
    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            server.usual = lambda _: (status, [])
            alice.it.start()
            with pytest.raises(RegistrationFailed) as raised:
                await alice.it.first()
            assert raised.value.status == status and not alice.it.is_registered
            [change] = alice.it.state
            assert (change.state, change.status) == ("refused", status) and 900 <= change.retry <= 1800
            await asyncio.sleep(1801)
            assert len(server.heard) == 2

    run(main())


def test_refused_and_then_asked_again() -> None:
    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            server.script = [403]
            alice.it.start()
            with pytest.raises(RegistrationFailed, match="403 Forbidden"):
                await alice.it.first()
            alice.it.renew()
            await asyncio.sleep(1)
            assert alice.it.is_registered

    run(main())


def test_a_silent_registrar_is_asked_again_after_the_back_off() -> None:
    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            server.script = [None, None]
            alice.it.start()
            begun = time()
            with pytest.raises(RegistrationFailed, match="408 no answer"):
                await alice.it.first()
            assert 32 <= time() - begun < 32.1
            async with asyncio.timeout(400):
                async for change in alice.it.changes():
                    if change.state == "registered":
                        break
            first, second, third = [heard.at - begun for heard in server.heard]
            assert first == 0 and 62 <= second <= 92.1 and second + 32 + 60 <= third <= second + 32 + 120.1

    run(main())


# --- Where it goes ----------------------------------------------------------------------------------------------------


def test_the_next_address_when_the_first_is_silent() -> None:
    async def main() -> None:
        async with registrar("127.0.0.2") as server, client(server, hosts=["127.0.0.1", "127.0.0.2"]) as alice:
            alice.it.start()
            begun = time()
            await alice.it.first()
            [heard] = server.heard
            # The first address has had its 32 seconds, and its number.
            assert (heard.cseq, round(heard.at - begun)) == (2, 32)
            alice.it.renew()
            await asyncio.sleep(1)
            assert len(server.heard) == 2 and time() - begun < 40

    run(main())


def test_the_next_address_when_the_first_is_overloaded() -> None:
    async def main() -> None:
        async with registrar("127.0.0.2") as second:
            first = Registrar()
            loop = asyncio.get_running_loop()
            from tests.ua.registrar import _Datagrams

            await loop.create_datagram_endpoint(lambda: _Datagrams(first), local_addr=("127.0.0.1", second.port))
            first.usual = lambda _: (503, [])
            async with client(second, hosts=["127.0.0.1", "127.0.0.2"]) as alice:
                alice.it.start()
                begun = time()
                await alice.it.first()
                assert (len(first.heard), len(second.heard), time() - begun < 1) == (1, 1, True)
            first.datagrams.close()

    run(main())


def test_overloaded_with_retry_after() -> None:
    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            server.script = [(503, [("Retry-After", "7")])]
            alice.it.start()
            with pytest.raises(RegistrationFailed, match="503 Service Unavailable"):
                await alice.it.first()
            await asyncio.sleep(6.9)
            assert len(server.heard) == 1
            await asyncio.sleep(0.2)
            assert alice.it.is_registered

    run(main())


@pytest.mark.parametrize(("transport", "reason"), [("tcp", "Connection refused"), ("tls", "Connection refused")])
def test_no_connection(transport: str, reason: str) -> None:
    async def main() -> None:
        async with registrar() as server:
            port = server.port
        where = f"sip:{DOMAIN}:{port}"
        account = Account.of(f"sip:alice@{DOMAIN}", password="x", registrar=where, transport=transport)
        alice = Client(account, {DOMAIN: ["127.0.0.1"]})
        alice.wire = await Wire.open(
            WireOptions(hosts=alice.hosts, client_tls=account.tls.client()), alice._told, alice._closed
        )
        alice.requests = Requests(alice.wire)
        alice.it = Registrations(
            alice.wire, alice.requests, account, lambda: Profile("<sip:alice@example.org>", "sip:a@b"), None, URN,
            alice._changed,
        )  # fmt: skip
        alice.it.start()
        with pytest.raises(RegistrationFailed) as raised:
            await alice.it.first()
        assert raised.value.status == 503 and reason in raised.value.reason
        [change] = alice.it.state
        assert change.state == "waiting" and 30 <= change.retry <= 60
        await alice.close()

    run(main())


def test_a_name_that_leads_nowhere() -> None:
    async def main() -> None:
        async with client(registrar="sip:nowhere.localhost;transport=tls") as alice:
            alice.it.start()
            with pytest.raises(RegistrationFailed) as raised:
                await alice.it.first()
            assert raised.value.status == 503 and "no transport to 'nowhere.localhost'" in raised.value.reason

    run(main())


def test_through_an_outbound_proxy() -> None:
    async def main() -> None:
        async with registrar() as edge:
            where = {"registrar": "sip:registrar.example.org", "proxies": [f"sip:127.0.0.1:{edge.port}"]}
            async with client(transport="", **where) as alice:
                alice.it.start()
                await alice.it.first()
            request = edge.heard[0].request
            assert request.uri == "sip:registrar.example.org"
            assert request.header("route") == f"<sip:127.0.0.1:{edge.port};lr>"

    run(main())


# --- Flows ------------------------------------------------------------------------------------------------------------


def test_a_connection_that_breaks_is_replaced_at_once() -> None:
    async def main() -> None:
        async with registrar() as server, client(server, transport="tcp") as alice:
            alice.it.start()
            await alice.it.first()
            [before] = server.heard
            assert alice.it.current is not None
            server.hang_up()
            await asyncio.sleep(1)
            after = server.heard[-1]
            assert alice.it.is_registered and after.source != before.source
            contact = f"sip:alice@127.0.0.1:{after.source[1]};transport=tcp"
            # The contact of the connection that is gone is taken back.
            assert after.contacts == [(contact, "3600"), (before.contacts[0][0], "0")]
            assert alice.changes[2:] == [("waiting", 430), ("registering", 430), ("registered", 200)]

    run(main())


def test_a_connection_that_breaks_under_a_refresh() -> None:
    async def main() -> None:
        async with registrar() as server, client(server, transport="tcp") as alice:
            alice.it.start()
            await alice.it.first()

            def break_off(_: Any) -> None:
                server.hang_up()

            server.script = [break_off]
            alice.it.renew()
            await asyncio.sleep(1)
            assert alice.it.is_registered and server.accepted == 2 and len(server.heard) == 3
            assert [heard.cseq for heard in server.heard] == [1, 2, 3]

    run(main())


def test_connections_are_kept_open_without_a_promise() -> None:
    """RFC 5626 4.4: a double CRLF may always be sent; a pong is not owed."""

    async def main() -> None:
        async with registrar() as server, client(server, transport="tcp") as alice:
            server.pong = False
            alice.it.start()
            await alice.it.first()
            begun = time()
            await asyncio.sleep(1000)
            waits = [later - earlier for earlier, later in zip([begun, *server.pings], server.pings, strict=False)]
            assert 8 <= len(waits) <= 10 and all(95 <= wait <= 120 for wait in waits)
            assert server.accepted == 1

    run(main())


def test_a_connection_with_outbound_is_pinged_and_replaced_when_there_is_no_pong() -> None:
    async def main() -> None:
        async with registrar() as server, client(server, transport="tcp", outbound=True) as alice:
            server.usual = granting(*OUTBOUND)
            alice.it.start()
            await alice.it.first()
            assert server.heard[0].request.header("contact") is not None
            assert f'+sip.instance="<{URN}>";reg-id=1' in (server.heard[0].request.header("contact") or "")
            await asyncio.sleep(200)
            assert len(server.pings) in (4, 5) and server.accepted == 1
            answered = len(server.pings)
            server.pong = False
            while server.accepted == 1:  # noqa: ASYNC110 - it is the time that is waited for
                await asyncio.sleep(0.1)
            server.pong = True
            assert server.heard[1].at - server.pings[answered] == pytest.approx(10, abs=0.1)
            await asyncio.sleep(1)
            assert alice.it.is_registered

    run(main())


def test_a_flow_that_never_answers_waits_before_it_is_replaced() -> None:
    async def main() -> None:
        async with registrar() as server, client(server, transport="tcp", outbound=True) as alice:
            server.usual = granting(*OUTBOUND)
            server.pong = False
            alice.it.start()
            await alice.it.first()
            await asyncio.sleep(39)
            assert server.accepted == 1
            await asyncio.sleep(40)
            assert server.accepted == 2

    run(main())


def test_stun_over_datagrams() -> None:
    async def main() -> None:
        async with registrar() as server, client(server, outbound=True) as alice:
            server.usual = granting(*OUTBOUND)
            server.stun = lambda source: source
            alice.it.start()
            await alice.it.first()
            begun = time()
            await asyncio.sleep(300)
            waits = [later - earlier for earlier, later in zip([begun, *server.checks], server.checks, strict=False)]
            assert waits[0] == 0 and len(waits) >= 10 and all(24 <= wait <= 29 for wait in waits[1:])
            assert len(server.heard) == 1

            # "If the XOR-MAPPED-ADDRESS … changes, the UA MUST treat this event as a failure on the flow."
            server.stun = lambda source: (source[0], source[1] + 1)
            await asyncio.sleep(30)
            assert len(server.heard) == 2 and alice.it.is_registered

            # "no Binding Response is received after 7 retransmissions (16 times the STUN "RTO" timer)".
            server.stun = None
            last = len(server.checks)
            await asyncio.sleep(39)
            while len(server.heard) == 2:  # noqa: ASYNC110 - it is the time that is waited for
                await asyncio.sleep(0.1)
            assert server.heard[2].at - server.checks[last + 6] == pytest.approx(8)
            await asyncio.sleep(1)
            assert alice.it.is_registered

    run(main())


@pytest.mark.parametrize("behind_nat", [False, True])
def test_datagrams_are_kept_open_only_behind_a_nat(behind_nat: bool) -> None:
    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            server.nat = ("203.0.113.9", 40000) if behind_nat else None
            alice.it.start()
            await alice.it.first()
            await asyncio.sleep(300)
            if not behind_nat:
                assert server.pings == [] and len(server.heard) == 1
                return
            assert 10 <= len(server.pings) <= 13
            # And what is seen is registered in place of what is here.
            own = server.heard[0].contacts[0][0]
            assert server.heard[1].contacts == [("sip:alice@203.0.113.9:40000", "3600"), (own, "0")]
            assert len(server.heard) == 2

    run(main())


def test_another_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local address towards the registrar changes: the new one is registered, and the old one taken back."""

    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            alice.it.start()
            await alice.it.first()
            monkeypatch.setattr("ringback.ua.places.local_address", lambda host: "127.0.0.3")
            await asyncio.sleep(30)
            before, after = server.heard
            assert after.source[0] == "127.0.0.3" and alice.it.is_registered
            assert after.contacts == [
                (f"sip:alice@127.0.0.3:{after.source[1]}", "3600"), (before.contacts[0][0], "0")
            ]  # fmt: skip

    run(main())


def test_several_flows() -> None:
    async def main() -> None:
        async with registrar() as one, registrar() as two:
            proxies = [f"sip:127.0.0.1:{server.port};transport=tcp" for server in (one, two)]
            one.script = [503]
            async with client(proxies=proxies, outbound=True) as alice:
                alice.it.start()
                await alice.it.first()
                await asyncio.sleep(1)
                assert [change.state for change in alice.it.state] == ["waiting", "registered"]
                # One flow works, so there is less of a hurry with the other.
                assert alice.it.state[0].retry <= 180 and alice.it.current is alice.it.flows[1]
                assert ["reg-id=1" in (server.heard[0].request.header("contact") or "") for server in (one, two)] == [
                    True, False
                ]  # fmt: skip
                await asyncio.sleep(181)
                assert alice.it.current is alice.it.flows[0]
                one.hang_up()
                await asyncio.sleep(0.5)
                assert alice.it.is_registered
            assert [server.heard[-1].contacts[0][1] for server in (one, two)] == ["0", "0"]

    run(main())


# --- The end ----------------------------------------------------------------------------------------------------------


def test_the_end_waits_no_longer_than_it_was_told() -> None:
    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            alice.it.start()
            await alice.it.first()
            server.usual = lambda _: None
            begun = time()
            await alice.close(4.0)
            assert time() - begun == pytest.approx(4.0)
            assert server.heard[-1].contacts[0][1] == "0"

    run(main())


def test_ended_while_the_first_request_is_on_its_way() -> None:
    async def main() -> None:
        async with registrar() as server, client(server) as alice:
            server.script = [None]
            alice.it.start()
            await asyncio.sleep(1)
            begun = time()
            await alice.close(2.0)
            assert time() - begun == pytest.approx(2.0)

    run(main())


def test_changes_end_with_the_registration_and_are_bounded() -> None:
    async def main() -> list[RegistrationChange]:
        async with registrar() as server, client(server) as alice:
            alice.it.start()
            seen: list[RegistrationChange] = []
            slow = alice.it.changes()
            seen.append(await anext(slow))
            await alice.it.first()
            for _ in range(100):
                alice.it.renew()
                await asyncio.sleep(10)
            await alice.close()
            seen += [change async for change in slow]
            assert [change async for change in alice.it.changes()] == alice.it.state
            return seen

    seen = run(main())
    assert seen[0].state == "waiting" and len(seen) <= 1 + 64


def test_a_failure_says_what_it_is() -> None:
    error = RegistrationFailed(403, "Forbidden")
    assert (error.status, error.reason, str(error)) == (403, "Forbidden", "403 Forbidden")
