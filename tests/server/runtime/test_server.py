"""One server from start to end: who is served, what a signal does, and what is left when it is over."""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import ssl
import sys
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ringback.errors import ConfigurationError, RingbackError
from ringback.server.config import load
from ringback.server.control import ask
from ringback.server.runtime import Server
from ringback.server.runtime import server as module
from ringback.sip.digest_hash import ha1
from ringback.store import AccountRow, open_store
from tests.net.stream_kit import Authority, dns, trusting
from tests.server.running import (
    DOMAIN,
    LISTEN,
    PATIENCE,
    Logs,
    Phone,
    configured,
    make_accounts,
    port_of,
    started,
    toml,
    until,
)

BOB = f"sip:bob@{DOMAIN}"


@pytest.fixture
def logs() -> Logs:
    return Logs()


class TestServing:
    @pytest.mark.parametrize("transport", ["UDP", "TCP"])
    async def test_registers_and_calls(self, tmp_path: Path, logs: Logs, transport: str) -> None:
        await make_accounts(tmp_path, "alice", "bob")
        async with (
            started(Server(configured(tmp_path), logger=logs.logger)) as server,
            Phone.of(server, "alice", transport) as alice,
            Phone.of(server, "bob", transport) as bob,
        ):
            registered = await bob.register()
            assert (registered.status, registered.header("contact")) == (200, f"<sip:bob@{bob.place}>;expires=3600")
            assert (await alice.register()).status == 200
            alice.send(await alice.proved("INVITE", BOB))
            invite = await bob.incoming()
            assert (invite.method, invite.uri) == ("INVITE", f"sip:bob@{bob.place}")
            bob.answer(invite, 200)
            answer = await alice.response()
            assert (answer.status, answer.cseq.method) == (200, "INVITE")

    async def test_bindings_outlive_the_process(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "alice")
        async with started(Server(configured(tmp_path))) as server, Phone.of(server) as alice:
            await alice.register()
        async with started(Server(configured(tmp_path))) as server:
            assert [row.contact for row in await rows_of(server, "alice")] == [f"sip:alice@{alice.place}"]

    async def test_bindings_of_a_connection_go_with_it_but_not_with_the_server(self, tmp_path: Path) -> None:
        """RFC 5626 section 7: "the proxy MUST invalidate all the bindings … that use that flow"."""
        await make_accounts(tmp_path, "alice", "bob")
        outbound = '<sip:{0}@nowhere.invalid;ob>;reg-id=1;+sip.instance="<urn:uuid:{0}>"'
        async with started(Server(configured(tmp_path))) as server:
            async with Phone.of(server, "alice", "TCP") as alice:
                registered = await alice.register("Supported: outbound, path", contact=outbound.format("alice"))
                assert registered.status == 200
                assert len(await rows_of(server, "alice")) == 1
            await until(lambda: server.storage.location.peek(f"alice@{DOMAIN}", 0.0) == ())
            stays = Phone.of(server, "bob", "TCP")
            bob = await stays.__aenter__()
            registered = await bob.register("Supported: outbound, path", contact=outbound.format("bob"))
            assert registered.status == 200
        await stays.__aexit__(None, None, None)
        async with started(Server(configured(tmp_path))) as server:
            assert len(await rows_of(server, "bob")) == 1

    async def test_who_leaves_while_the_server_ends_is_found_again(self, tmp_path: Path) -> None:
        """Telephones let go of a server that ends, too; the next one has to know where they were."""
        await make_accounts(tmp_path, "alice")
        outbound = '<sip:alice@nowhere.invalid;ob>;reg-id=1;+sip.instance="<urn:uuid:1>"'
        async with started(Server(configured(tmp_path))) as server:
            async with Phone.of(server, "alice", "TCP") as alice:
                assert (await alice.register("Supported: outbound, path", contact=outbound)).status == 200
                server.state = "draining"
            await until(lambda: server.connections.count == 0)
            # Writes are done in order: whatever was asked of the store before is done after this one.
            for _ in range(20):
                await asyncio.sleep(0)
            await server.storage.secrets.secret("another", b"secret")
            assert len(await rows_of(server, "alice")) == 1

    async def test_strangers_are_asked_for_credentials(self, tmp_path: Path, logs: Logs) -> None:
        await make_accounts(tmp_path, "alice", "bob")
        async with started(Server(configured(tmp_path), logger=logs.logger)) as server, Phone.of(server) as alice:
            assert (await alice.ask("REGISTER", f"sip:{DOMAIN}")).status == 401
            challenged = await alice.ask("MESSAGE", BOB)
            assert challenged.status == 407
            wrong = alice.credentials(challenged, "MESSAGE", BOB, password="a wrong guess")
            assert (await alice.ask("MESSAGE", BOB, wrong)).status == 407
            [event] = logs.of("security")
            assert event == {
                "event": "security",
                "level": "warning",
                "SecurityEvent": "InvalidPassword",
                "Service": "SIP",
                "AccountID": f"alice@{DOMAIN}",
                "RemoteAddress": f"IPV4/UDP/127.0.0.1/{alice.place.rpartition(':')[2]}",
                "reason": event["reason"],
            }
            assert "a wrong guess" not in logs.text
            # What could be tried offline against a word list.
            response = wrong.partition('response="')[2].partition('"')[0]
            nonce = wrong.partition('nonce="')[2].partition('"')[0]
            assert len(response) >= 32 and response not in logs.text
            assert len(nonce) >= 32 and nonce not in logs.text

    async def test_what_can_not_be_read_is_told_to_the_security_log(self, tmp_path: Path, logs: Logs) -> None:
        async with started(Server(configured(tmp_path), logger=logs.logger)) as server, Phone.of(server) as alice:
            alice.send(alice.request("OPTIONS", "sip:example.org").replace(b"CSeq: 1", b"CSeq: x"))
            assert (await alice.response()).status == 400
            assert [event["SecurityEvent"] for event in logs.of("security")] == ["RequestBadFormat"]

    async def test_a_handler_that_crashes_costs_one_request(self, tmp_path: Path, logs: Logs) -> None:
        await make_accounts(tmp_path, "alice")
        async with started(Server(configured(tmp_path), logger=logs.logger)) as server, Phone.of(server) as alice:
            working = server.entrance.application

            async def broken(transaction: object) -> None:
                raise ZeroDivisionError("in a handler")

            server.entrance.application = broken
            assert (await alice.ask("OPTIONS", f"sip:{DOMAIN}")).status == 500
            server.entrance.application = working
            assert (await alice.register()).status == 200
            [entry] = logs.of("a handler of SIP requests failed")
            assert entry["level"] == "error" and "ZeroDivisionError: in a handler" in entry["exception"]


async def rows_of(server: Server, user: str) -> Any:
    return await server.storage.location.bindings(f"{user}@{DOMAIN}", 0.0)


class TestRefusingToStart:
    async def test_a_default_password(self, tmp_path: Path) -> None:
        store = await open_store(tmp_path, access="accounts")
        await store.accounts.put(AccountRow("bob", DOMAIN, (("MD5", ha1("bob", DOMAIN, "1234", "MD5")),)))
        await store.close()
        server = Server(configured(tmp_path))
        with pytest.raises(ConfigurationError) as caught:
            await server.start()
        assert str(caught.value) == (
            f"accounts with a password that attackers try first: bob@{DOMAIN}; "
            "give them others with `ringback user password`"
        )
        assert server.state == "stopped"

    @pytest.mark.parametrize(
        ("transport", "kind"), [("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM), ("ws", socket.SOCK_STREAM)]
    )
    async def test_a_taken_port(self, tmp_path: Path, transport: str, kind: int) -> None:
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            place = f"{transport}:127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(ConfigurationError) as caught:
                await Server(configured(tmp_path, listen=["udp:127.0.0.1:0", place])).start()
        assert str(caught.value) == (
            f"listen: {place} can not be had: Address already in use; give another with --listen or the key listen"
        )
        assert not (tmp_path / "control.sock").exists()

    async def test_a_taken_port_for_the_web(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            place = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(ConfigurationError) as caught:
                await Server(configured(tmp_path, web={"listen": place})).start()
        assert str(caught.value) == (
            f"web.listen: {place} can not be had: Address already in use; choose another, or none with --no-web"
        )

    async def test_a_second_server_on_the_same_data(self, tmp_path: Path) -> None:
        async with started(Server(configured(tmp_path))):
            with pytest.raises(RingbackError, match=str(tmp_path)):
                await Server(configured(tmp_path)).start()
            answer = await ask(tmp_path / "control.sock", "status")
            assert answer["state"] == "serving"

    async def test_a_certificate_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "c.pem").write_text("nothing")
        (tmp_path / "k.pem").write_text("nothing")
        settings = configured(
            tmp_path,
            listen=["tls:127.0.0.1:0"],
            tls={"certificate": tmp_path / "c.pem", "key": tmp_path / "k.pem"},
        )
        with pytest.raises(ConfigurationError, match=f"^{tmp_path}/c.pem: no certificate in PEM"):
            await Server(settings).start()

    async def test_nothing_is_left_open(self, tmp_path: Path) -> None:
        """What failed to start can be started again when the reason is gone: on the same ports, with the same data."""
        await make_accounts(tmp_path, "alice")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            places = ["tcp:127.0.0.1:0", f"udp:127.0.0.1:{taken.getsockname()[1]}"]
            with pytest.raises(ConfigurationError):
                await Server(configured(tmp_path, listen=places)).start()
        async with started(Server(configured(tmp_path, listen=places))) as server, Phone.of(server) as alice:
            assert (await alice.register()).status == 200


async def served(server: Server, work: Callable[[Server], Awaitable[None]]) -> None:
    """`serve`, as the command does it, with `work` beside it."""
    tasks: list[asyncio.Future[None]] = []
    async with asyncio.timeout(2 * PATIENCE):
        try:
            await server.serve(lambda server: tasks.append(asyncio.ensure_future(work(server))))
        finally:
            for task in tasks:
                if not task.done() and server.state == "stopped":
                    await task
    for task in tasks:
        task.result()


class TestEnding:
    async def test_in_flight_requests_end_and_new_calls_are_refused(self, tmp_path: Path, logs: Logs) -> None:
        await make_accounts(tmp_path, "alice", "bob")
        server = Server(configured(tmp_path, drain_seconds=60), logger=logs.logger)

        async def work(server: Server) -> None:
            async with Phone.of(server, "alice") as alice, Phone.of(server, "bob", "TCP") as bob:
                await bob.register()
                await alice.register()
                alice.send(await alice.proved("INVITE", BOB))
                invite = await bob.incoming()
                os.kill(os.getpid(), signal.SIGTERM)
                await until(lambda: server.state == "draining")
                assert server.health()[0] is False
                # Somebody else's new call; the one that rings is not touched by it.
                refused = await bob.ask("INVITE", f"sip:alice@{DOMAIN}", call_id="another")
                assert (refused.status, refused.header("retry-after")) == (503, "30")
                # What is no new call is served as ever.
                assert (await bob.ask("OPTIONS", f"sip:{DOMAIN}", call_id="options")).status == 407
                bob.answer(invite, 200)
                answer = await alice.response()
                assert (answer.status, answer.call_id) == (200, "call-of-alice")
                async with asyncio.timeout(PATIENCE):
                    await bob.closed.wait()

        await served(server, work)
        assert server.state == "stopped"
        assert [entry["unfinished"] for entry in logs.of("ending")] == [1]
        assert logs.of("ended before all transactions were over") == []
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.1", int(logs.of("serving")[0]["at"].rpartition(":")[2])))
        assert not (tmp_path / "control.sock").exists()

    @pytest.mark.parametrize("twice", [False, True], ids=["the time is over", "told twice"])
    async def test_does_not_wait_for_ever(self, tmp_path: Path, logs: Logs, twice: bool) -> None:
        await make_accounts(tmp_path, "alice", "bob")
        server = Server(configured(tmp_path, drain_seconds=3600 if twice else 0.01), logger=logs.logger)

        async def work(server: Server) -> None:
            async with Phone.of(server, "alice") as alice, Phone.of(server, "bob") as bob:
                await bob.register()
                alice.send(await alice.proved("INVITE", BOB))
                await bob.incoming()
                server.stop()
                if twice:
                    await until(lambda: server.state == "draining")
                    server.stop()
                await until(lambda: server.state == "stopped")

        await served(server, work)
        assert logs.of("ended before all transactions were over") == [
            {"event": "ended before all transactions were over", "level": "warning", "unfinished": 1}
        ]

    async def test_signals_are_given_back(self, tmp_path: Path) -> None:
        async def work(server: Server) -> None:
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
            server.stop()

        await served(Server(configured(tmp_path)), work)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    async def test_work_that_crashes_for_good_ends_the_server(self, tmp_path: Path, logs: Logs) -> None:
        async def work(server: Server) -> None:
            async def broken() -> None:
                raise OSError("no more")

            server.supervisor._delay = 0.0
            server.supervisor.start("a part", broken)

        server = Server(configured(tmp_path), logger=logs.logger)
        with pytest.raises(RingbackError, match=r"^a part crashed 5 times within 60 s$"):
            await served(server, work)
        [entry] = logs.of("the server gives up")
        assert (entry["level"], entry["reason"]) == ("critical", "a part crashed 5 times within 60 s")
        assert len(logs.of("a background task crashed")) == 5

    async def test_is_garbage_afterwards(self, tmp_path: Path) -> None:
        """No timer, task, handler or signal keeps hold of a server that has ended, not even with transactions left."""
        await make_accounts(tmp_path, "alice", "bob")
        server = Server(configured(tmp_path))
        async with started(server), Phone.of(server, "alice") as alice, Phone.of(server, "bob") as bob:
            await bob.register()
            alice.send(await alice.proved("INVITE", BOB))
            await bob.incoming()
            assert server.stack.deadline() is not None
        gone = weakref.ref(server.endpoint)
        del server
        await until(lambda: gc.collect() == 0)
        assert gone() is None

    async def test_a_request_that_waits_for_dns_is_not_left_behind(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "alice")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            dns = {"servers": [f"127.0.0.1:{silent.getsockname()[1]}"]}
            async with started(Server(configured(tmp_path, dns=dns))) as server, Phone.of(server) as alice:
                await alice.register()
                alice.send(await alice.proved("MESSAGE", "sip:somebody@elsewhere.invalid"))
                await until(lambda: server.endpoint.tasks)


class TestReloading:
    async def test_limits_take_effect(self, tmp_path: Path, logs: Logs) -> None:
        file = toml(tmp_path, "[limits]\nexempt = []\n")
        async with (
            started(Server(load(file), reload=lambda: load(file), logger=logs.logger)) as server,
            Phone.of(server) as alice,
        ):
            assert (await alice.ask("OPTIONS", f"sip:{DOMAIN}")).status == 407
            tight = "flood_burst = 1\nflood_rate = 0.001\nconnections_per_address = 1\n"
            toml(tmp_path, f"[limits]\nexempt = []\n{tight}")
            assert server.reload() == ["limits: in force"]
            for number in range(3):
                alice.send(alice.request("OPTIONS", f"sip:{DOMAIN}", call_id=f"{number}"))
            assert (await alice.response()).status == 407
            await until(lambda: server.endpoint.dropped == 2)
            assert alice.silent
            async with Phone.of(server, "bob", "TCP") as bob, Phone.of(server, "carol", "TCP") as carol:
                await asyncio.wait_for(carol.closed.wait(), PATIENCE)
                assert not bob.closed.is_set()
        assert logs.of("reloaded") == [{"event": "reloaded", "level": "info", "what": "limits: in force"}]

    async def test_a_mistake_keeps_what_is_in_force(self, tmp_path: Path, logs: Logs) -> None:
        file = toml(tmp_path, "[location]\ndefault_expires = 600\n")
        await make_accounts(tmp_path / "data", "alice", "bob")
        async with started(Server(load(file), reload=lambda: load(file), logger=logs.logger)) as server:
            toml(tmp_path, "[location]\ndefault_expires = 1200\nmost_contact = 1\n")
            before = server.settings
            line = f"{file}:7: location.most_contact: there is no such key; did you mean most_contacts?"
            assert server.reload() == [f"not reloaded: {line}"]
            assert server.settings is before
            assert logs.of("not reloaded") == [{"event": "not reloaded", "level": "error", "mistake": line}]
            async with Phone.of(server) as alice:
                assert (await alice.register()).header("contact").endswith(";expires=600")
            file.unlink()
            assert server.reload() == [f"not reloaded: {file}: can not be read: No such file or directory"]
            toml(tmp_path, "[location]\ndefault_expires = 1200\n")
            assert server.reload() == ["location: in force"]
            async with Phone.of(server, "bob") as bob:
                assert (await bob.register()).header("contact").endswith(";expires=1200")

    async def test_says_what_needs_a_restart(self, tmp_path: Path, logs: Logs) -> None:
        file = toml(tmp_path)
        async with started(Server(load(file), reload=lambda: load(file), logger=logs.logger)) as server:
            toml(
                tmp_path,
                "limits = {idle_seconds = 60}\n"
                '[location]\nstore = "memory"\nsynchronous = "NORMAL"\nmost_contacts = 3\n',
                domain="example.com",
            )
            restart = "domain, limits.idle_seconds, location.store, location.synchronous: changed only by a restart"
            assert server.reload() == [restart, "location: in force"]
            # What is not in force goes on being said.
            assert server.reload() == [restart]
            assert server.settings.location.most_contacts == 3
            assert (server.settings.location.store, server.settings.limits.idle_seconds) == ("sqlite", 960.0)
            assert server.settings.served == (DOMAIN,)

    async def test_the_log_changes_for_everybody(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = toml(tmp_path, '[log]\nformat = "people"\n')
        server = Server(load(file), reload=lambda: load(file))
        async with started(server):
            toml(tmp_path, '[log]\nformat = "json"\n')
            server.reload()
            capsys.readouterr()

            async def broken() -> None:
                raise OSError("no more")

            server.supervisor.start("a part", broken)
            await until(lambda: server.supervisor.crashes)
            logging.getLogger("asyncio").warning("from a library")
            lines = capsys.readouterr().err.splitlines()
        assert [json.loads(line)["event"] for line in lines] == ["a background task crashed", "from a library"]

    @pytest.mark.parametrize("mistake", [False, True], ids=["alone", "beside a mistake in the configuration"])
    async def test_certificates(self, tmp_path: Path, logs: Logs, mistake: bool) -> None:
        """A slip in the configuration does not keep a certificate that has run out."""
        authority = Authority(tmp_path)
        certificate, key = authority.issue("server", dns(DOMAIN))
        text = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
        file = toml(tmp_path, text, listen=["tls:127.0.0.1:0"])
        async with started(Server(load(file), reload=lambda: load(file), logger=logs.logger)) as server:
            first = await shown(authority, server)
            authority.issue("server", dns(DOMAIN), days=(-1, 60))
            if mistake:
                file.write_text(f"{text}[nothing]\n")
            assert await shown(authority, server) == first
            said = server.reload()
            assert said[0].startswith("certificates, good until 20") and len(said) == 1 + mistake
            second = await shown(authority, server)
            assert second != first
            key.write_text("nothing")
            said = server.reload()
            assert said[0].startswith(f"not reloaded: {key}: no private key, without passphrase, for {certificate}")
            assert await shown(authority, server) == second


async def shown(authority: Authority, server: Server) -> bytes:
    """The certificate that the server shows."""
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(server, "tls"), ssl=trusting(authority))
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    found = tls.getpeercert(binary_form=True)
    assert found is not None
    writer.transport.abort()
    return found


class TestWeb:
    async def test_metrics_and_health(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "alice", "bob")
        settings = configured(tmp_path, web={"listen": "127.0.0.1:0"})
        async with started(Server(settings)) as server, Phone.of(server) as alice:
            assert server.web is not None
            async with httpx.AsyncClient(base_url=server.web.url) as client:
                health = await client.get("/healthz")
                assert (health.status_code, health.json()) == (200, {"state": "serving", "seconds": 0})
                await alice.register()
                text = (await client.get("/metrics")).text
                numbers = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
                assert numbers['ringback_requests_total{method="REGISTER"}'] == "2.0"
                assert numbers["ringback_registered_addresses"] == "1.0"
                assert numbers["ringback_accounts"] == "2.0"
                server.state = "draining"
                health = await client.get("/healthz")
                assert (health.status_code, health.json()["state"]) == (503, "draining")

    async def test_connections_are_closed_at_the_end(self, tmp_path: Path) -> None:
        settings = configured(tmp_path, web={"listen": "127.0.0.1:0"})
        async with started(Server(settings)) as server:
            assert server.web is not None
            host, port = server.web.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(PATIENCE):
                assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).endswith(b"}")
        writer.close()
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect((host, int(port)))


class TestProcess:
    async def test_hangup_and_termination(self, tmp_path: Path) -> None:
        """The command itself, with real signals."""
        file = toml(tmp_path, "[location]\ndefault_expires = 600\n")
        code = "from ringback.cli.main import main; main()"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, "serve", "--config", str(file)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None and process.stderr is not None
        try:
            async with asyncio.timeout(3 * PATIENCE):
                places = (await process.stdout.readline()).decode()
                assert places.startswith("ringback: listening on udp:127.0.0.1:")
                assert await process.stdout.readline() == b"ringback: ready\n"
                toml(tmp_path, "[location]\ndefault_expires = 1200\n")
                process.send_signal(signal.SIGHUP)
                while b"reloaded" not in (line := await process.stderr.readline()):
                    assert line
                assert line.decode().rstrip().endswith('what="location: in force"')
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
                assert b" ending unfinished=0 seconds=5.0\n" in await process.stderr.read()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def test_from_toml(tmp_path: Path) -> None:
    file = toml(tmp_path)
    server = Server.from_toml(file, {"listen": LISTEN})
    assert server.settings.data == tmp_path / "data"
    assert server.state == "new"
    with pytest.raises(ConfigurationError, match="there is no such key"):
        Server.from_toml(toml(tmp_path, "[x]\n"))


def test_run(tmp_path: Path) -> None:
    seen: list[str] = []

    def ready(server: Server) -> None:
        seen.append(server.state)
        server.stop()

    module.run(Server(configured(tmp_path)), ready)
    assert seen == ["serving"]
