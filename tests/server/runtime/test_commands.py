"""What can be asked of a running server on its control socket."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import ringback
from ringback.errors import RingbackError
from ringback.server.accounts import add, set_password
from ringback.server.config import load
from ringback.server.control import ask, follow
from ringback.server.runtime import Server
from ringback.store import open_store
from tests.server.running import DOMAIN, PATIENCE, Phone, make_accounts, started, toml, until

BOB = f"sip:bob@{DOMAIN}"


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return tmp_path / "data" / "control.sock"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    await make_accounts(tmp_path / "data", "alice", "bob")
    file = toml(tmp_path)
    async with started(Server(load(file), reload=lambda: load(file))) as server:
        yield server


async def test_status(server: Server, control: Path) -> None:
    status = await ask(control, "status")
    assert status["values"].pop("requests")["REGISTER"] == 0
    del status["values"], status["worst_lag"], status["python"]
    assert status == {
        "state": "serving",
        "seconds": 0,
        "pid": os.getpid(),
        "version": ringback.__version__,
        "compiled": False,
        "domains": [DOMAIN],
        "listening": server.places,
        "web": None,
        "data": str(control.parent),
        "tasks": ["closed connections", "collector", "event loop lag", "floods", "sweep"],
        "watchers": 0,
    }


async def test_bindings(server: Server, control: Path) -> None:
    async with Phone.of(server, "alice") as alice, Phone.of(server, "bob") as bob:
        await bob.register("User-Agent: Phone/1")
        await alice.register()
        shown = await ask(control, "bindings")
        assert [entry["aor"] for entry in shown["bindings"]] == [f"alice@{DOMAIN}", f"bob@{DOMAIN}"]
        [entry] = (await ask(control, "bindings", aor=f"bob@{DOMAIN}"))["bindings"]
        assert (entry["contact"], entry["user_agent"]) == (f"sip:bob@{bob.place}", "Phone/1")
        assert 3595 <= entry["seconds"] <= 3600


async def test_removing(server: Server, control: Path) -> None:
    async with Phone.of(server, "bob") as bob:
        second = "<sip:bob@192.0.2.9>"
        await bob.register(contact=f"<sip:bob@{bob.place}>, {second}")
        aor = f"bob@{DOMAIN}"
        assert await ask(control, "remove", aor=aor, contact="sip:bob@192.0.2.10") == 0
        assert await ask(control, "remove", aor=aor, contact="sip:bob@192.0.2.9") == 1
        [entry] = (await ask(control, "bindings", aor=aor))["bindings"]
        assert entry["contact"] == f"sip:bob@{bob.place}"
        assert await ask(control, "remove", aor=aor) == 1
        assert await ask(control, "remove", aor=aor) == 0
        assert (await ask(control, "bindings"))["bindings"] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"do": "remove"}, r"^which address of record\? alice@example\.org$"),
        ({"do": "remove", "aor": 3}, r"^aor has to be text$"),
        ({"do": "remove", "aor": "a@b", "contact": []}, r"^contact has to be text$"),
        ({"do": "bindings", "aor": None}, r"^aor has to be text$"),
        ({"do": "trace", "user": 3}, r"^user has to be text$"),
        ({"do": "trace", "call_id": {}}, r"^call_id has to be text$"),
    ],
)
async def test_what_makes_no_sense(server: Server, control: Path, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RingbackError, match=complaint):
        await ask(control, **arguments)
    assert server.tracer.watchers == 0


async def test_reloading(server: Server, control: Path, tmp_path: Path) -> None:
    assert await ask(control, "reload") == []
    file = toml(tmp_path, "[location]\ndefault_expires = 600\n")
    assert await ask(control, "reload") == ["location: in force"]
    file.write_text("x = 1\n")
    assert (await ask(control, "reload"))[0] == f"not reloaded: {file}:1: x: there is no such key; keys: " + ", ".join(
        type(server.settings).model_fields
    )


async def test_accounts_that_were_changed_beside_the_server(server: Server, control: Path, tmp_path: Path) -> None:
    """The command line tells the server, so that a new password is good at once."""
    async with Phone.of(server, "bob") as bob:
        await bob.register()
        beside = await open_store(tmp_path / "data", access="accounts")
        await set_password(beside.accounts, "bob", DOMAIN, DOMAIN, "another secret")
        await add(beside.accounts, "carol", DOMAIN, DOMAIN, "the secret of carol", 0.0)
        await beside.close()
        assert await ask(control, "accounts") is True
        uri = f"sip:{DOMAIN}"
        challenged = await bob.ask("REGISTER", uri)
        old = bob.credentials(challenged, "REGISTER", uri)
        challenged = await bob.ask("REGISTER", uri, old)
        assert challenged.status == 401
        new = bob.credentials(challenged, "REGISTER", uri, password="another secret")
        assert (await bob.ask("REGISTER", uri, new)).status == 200


class TestTrace:
    async def test_messages_and_decisions_without_secrets(self, server: Server, control: Path) -> None:
        async with Phone.of(server, "alice") as alice, Phone.of(server, "bob") as bob:
            await bob.register()
            feed = follow(control, "trace", user="alice")
            begin = await anext(feed)
            assert begin == {"kind": "begin", "listening": server.places, "pid": os.getpid()}
            assert (await ask(control, "status"))["watchers"] == 1
            await bob.register()
            alice.send(await alice.proved("INVITE", BOB))
            invite = await bob.incoming()
            bob.answer(invite, 486)
            assert (await alice.response()).status == 486
            seen: list[dict[str, Any]] = []
            async with asyncio.timeout(PATIENCE):
                async for entry in feed:
                    seen.append(entry)
                    if entry["kind"] == "decision" and entry["status"] == 486:
                        break
            await feed.aclose()
            await until(lambda: server.tracer.watchers == 0)
        assert {entry["call_id"] for entry in seen} == {"call-of-alice"}
        shown = [
            (entry["received"], entry["peer"].rpartition(":")[2] == bob.place.rpartition(":")[2], first_of(entry))
            for entry in seen
            if entry["kind"] == "message"
        ]
        assert shown[:5] == [
            (True, False, f"INVITE {BOB} SIP/2.0"),
            (False, False, "SIP/2.0 407 Proxy Authentication Required"),
            (True, False, f"ACK {BOB} SIP/2.0"),
            (True, False, f"INVITE {BOB} SIP/2.0"),
            (False, True, f"INVITE sip:bob@{bob.place} SIP/2.0"),
        ]
        assert (True, True, "SIP/2.0 486 Answer") in shown and (False, False, "SIP/2.0 486 Answer") in shown
        decisions = [entry for entry in seen if entry["kind"] == "decision"]
        assert [entry["status"] for entry in decisions if entry["what"] == "answer"] == [407, 486]
        [forward] = [entry for entry in decisions if entry["what"] == "forward"]
        assert forward["target"] == f"sip:bob@{bob.place}"
        assert forward["reason"] != ""
        everything = "".join(entry["text"] for entry in seen if entry["kind"] == "message")
        assert "Proxy-Authorization: Digest [redacted]" in everything
        assert "nonce=[redacted]" in everything and "c0ffee" not in everything

    async def test_one_call(self, server: Server, control: Path) -> None:
        async with Phone.of(server, "alice") as alice:
            feed = follow(control, "trace", call_id="two")
            await anext(feed)
            for call_id in ("one", "two", "three"):
                await alice.ask("OPTIONS", f"sip:{DOMAIN}", call_id=call_id)
            async with asyncio.timeout(PATIENCE):
                first, second = await anext(feed), await anext(feed)
            assert (first["call_id"], second["call_id"], first["received"]) == ("two", "two", True)
            await feed.aclose()
            await until(lambda: server.tracer.watchers == 0)

    async def test_too_many(self, server: Server, control: Path) -> None:
        feeds = [follow(control, "trace") for _ in range(16)]
        for feed in feeds:
            await anext(feed)
        with pytest.raises(RingbackError, match=r"^too many watch already$"):
            await ask(control, "trace")
        for feed in feeds:
            await feed.aclose()
        await until(lambda: server.tracer.watchers == 0)

    async def test_one_who_does_not_read_slows_nobody(self, server: Server, control: Path) -> None:
        feed = follow(control, "trace")
        await anext(feed)
        async with Phone.of(server, "alice", "TCP") as alice:
            padding = f"Subject: {'x' * 60_000}"
            for _ in range(100):
                assert (await alice.ask("OPTIONS", f"sip:{DOMAIN}", padding)).status == 407
        await feed.aclose()
        await until(lambda: server.tracer.watchers == 0)


def first_of(entry: dict[str, Any]) -> str:
    line: str = entry["text"].partition("\r\n")[0]
    return line
