"""The control socket: for whom it is, and what happens to requests that are none, and to clients that do not read."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import ConfigurationError, LocalError, RingbackError
from ringback.server.control import LONGEST_REQUEST, MOST_CLIENTS, Arguments, ControlServer, ask, connect, follow
from tests.server.running import PATIENCE, until


class Counter:
    """Commands and feeds, and who looks at them."""

    def __init__(self) -> None:
        self.asked: list[Arguments] = []
        self.feeding = 0
        self.sent = 0
        self.more = asyncio.Event()

    async def echo(self, arguments: Arguments) -> Any:
        self.asked.append(arguments)
        return arguments.get("value")

    async def refuse(self, arguments: Arguments) -> Any:
        raise LocalError("not like this")

    async def crash(self, arguments: Arguments) -> Any:
        raise ZeroDivisionError("a mistake in the code")

    async def count(self, arguments: Arguments) -> AsyncIterator[Any]:
        self.feeding += 1
        try:
            for number in range(arguments.get("to", 0)):
                yield number
            while "endless" in arguments:
                self.sent += 1
                yield "x" * 65536
            await self.more.wait()
            if "mistake" in arguments:
                raise LocalError("no more")
            if "crash" in arguments:
                raise ZeroDivisionError("a mistake in the code")
        finally:
            self.feeding -= 1


def mode_of(path: Path) -> str:
    """As `ls` shows it, "" when there is nothing."""
    return stat.filemode(path.lstat().st_mode) if path.exists() else ""


@asynccontextmanager
async def controlled(path: Path) -> AsyncIterator[Counter]:
    counter = Counter()
    commands = {"echo": counter.echo, "refuse": counter.refuse, "crash": counter.crash}
    server = ControlServer(path, commands, {"count": counter.count})
    before = asyncio.all_tasks()
    await server.start()
    try:
        yield counter
    finally:
        async with asyncio.timeout(PATIENCE):
            await server.stop()
        assert asyncio.all_tasks() <= before
        assert counter.feeding == 0
        assert mode_of(path) == ""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "control.sock"


async def exchange(path: Path, *lines: bytes) -> list[Any]:
    """All answers to some lines, up to the end of the connection."""
    streams = await connect(path)
    assert streams is not None
    reader, writer = streams
    writer.writelines(lines)
    writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        answers = await reader.read()
    writer.close()
    return [json.loads(line) for line in answers.splitlines()]


class TestSocket:
    async def test_is_for_its_owner_only(self, path: Path) -> None:
        async with controlled(path):
            assert mode_of(path) == "srw-------"

    async def test_not_two_at_once(self, path: Path) -> None:
        async with controlled(path):
            with pytest.raises(ConfigurationError) as caught:
                await ControlServer(path, {}, {}).start()
            assert str(caught.value) == f"data: another server runs on {path.parent}"
            assert await ask(path, "echo", value=1) == 1

    async def test_takes_the_place_of_one_that_was_killed(self, path: Path) -> None:
        path.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(os.fspath(path))
        async with controlled(path):
            assert await ask(path, "echo", value=1) == 1

    async def test_a_long_path(self, tmp_path: Path) -> None:
        """The kernel's address has room for 107 octets; a data folder may be deeper than that."""
        path = tmp_path / ("x" * 100) / ("y" * 100) / "control.sock"
        async with controlled(path):
            assert mode_of(path) == "srw-------"
            assert await ask(path, "echo", value=1) == 1
            with pytest.raises(ConfigurationError, match="another server runs"):
                await ControlServer(path, {}, {}).start()

    async def test_where_no_folder_can_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "control.sock"
        with pytest.raises(ConfigurationError) as caught:
            await ControlServer(path, {}, {}).start()
        assert str(caught.value).startswith(f"data: {path} can not be made: ")

    async def test_nobody_there(self, path: Path) -> None:
        assert await ask(path, "echo") is None
        assert [entry async for entry in follow(path, "count")] == []


class TestRequests:
    async def test_answers(self, path: Path) -> None:
        async with controlled(path) as counter:
            assert await ask(path, "echo", value={"a": [1, None, "ä\udcff"]}) == {"a": [1, None, "ä\udcff"]}
            assert counter.asked == [{"do": "echo", "value": {"a": [1, None, "ä\udcff"]}}]

    async def test_several_on_one_connection(self, path: Path) -> None:
        async with controlled(path):
            answers = await exchange(
                path, b'{"do": "echo", "value": 1}\n', b'{"do": "nothing"}\n{"do": "echo", "value": 2}\n'
            )
        assert answers == [
            {"ok": 1},
            {"error": "there is no 'nothing'; there are count, crash, echo, refuse"},
            {"ok": 2},
        ]

    @pytest.mark.parametrize(
        "line",
        [
            *(b"\n", b"status\n", b"3\n", b"[]\n", b'"do"\n', b"{}\n", b'{"do": []}\n', b'{"do": null}\n', b"\xff\n"),
            b"[" * 60000 + b"\n",
        ],
    )
    async def test_that_are_none(self, path: Path, line: bytes) -> None:
        async with controlled(path):
            assert await exchange(path, line, b'{"do": "echo"}\n') == [
                {"error": 'a request is one line of JSON: {"do": "status"}'}
            ]
            assert await ask(path, "echo", value=1) == 1

    async def test_that_are_too_long(self, path: Path) -> None:
        async with controlled(path):
            assert await exchange(path, b'"' + b"x" * LONGEST_REQUEST + b'"\n') == [
                {"error": "a request of over 65536 octets"}
            ]

    async def test_refused(self, path: Path) -> None:
        async with controlled(path):
            with pytest.raises(RingbackError, match=r"^not like this$"):
                await ask(path, "refuse")

    async def test_a_command_that_crashes(self, path: Path) -> None:
        """Whoever asked is told, and so is the log; "no server runs here" would be a lie."""
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
        async with controlled(path):
            with pytest.raises(RingbackError, match=r"^crash failed; the server's log says why$"):
                await ask(path, "crash")
            await until(lambda: told)
            assert [type(error) for error in told] == [ZeroDivisionError]
            assert await ask(path, "echo", value=1) == 1

    async def test_too_many_clients(self, path: Path) -> None:
        async with controlled(path) as counter:
            clients = [await connect(path) for _ in range(MOST_CLIENTS)]
            for client in clients:
                assert client is not None
                client[1].write(b'{"do": "echo"}\n')
            await until(lambda: len(counter.asked) == MOST_CLIENTS)
            with pytest.raises(RingbackError, match=r"^32 others are connected already$"):
                await ask(path, "echo")
            assert clients[0] is not None
            clients[0][1].close()
            # The server has seen that when it has answered here, or refused to a few times.
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        assert await ask(path, "echo", value=1) == 1
                        break
                    except RingbackError:
                        await asyncio.sleep(0)
        for client in clients:
            assert client is not None
            client[1].close()


class TestFeeds:
    async def test_until_it_ends(self, path: Path) -> None:
        async with controlled(path) as counter:
            counter.more.set()
            assert await exchange(path, b'{"do": "count", "to": 3}\n') in ([], [0], [0, 1], [0, 1, 2])
            streams = await connect(path)
            assert streams is not None
            reader, writer = streams
            writer.write(b'{"do": "count", "to": 3}\n')
            async with asyncio.timeout(PATIENCE):
                assert await reader.read() == b"0\n1\n2\n"
            writer.close()

    async def test_until_the_watcher_goes(self, path: Path) -> None:
        async with controlled(path) as counter:
            feed = follow(path, "count", to=1)
            assert await anext(feed) == 0
            assert counter.feeding == 1
            await feed.aclose()
            await until(lambda: counter.feeding == 0)

    async def test_what_a_watcher_says_is_passed_over(self, path: Path) -> None:
        async with controlled(path) as counter:
            streams = await connect(path)
            assert streams is not None
            reader, writer = streams
            writer.write(b'{"do": "count", "to": 1}\n' + b"x" * 1_000_000)
            async with asyncio.timeout(PATIENCE):
                await writer.drain()
                assert await reader.readline() == b"0\n"
            assert counter.feeding == 1
            writer.close()
            await until(lambda: counter.feeding == 0)

    async def test_that_complains(self, path: Path) -> None:
        async with controlled(path) as counter:
            counter.more.set()
            entries = [entry async for entry in follow(path, "count", to=0, mistake=True)]
            assert entries == [{"error": "no more"}]

    async def test_that_crashes(self, path: Path) -> None:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
        async with controlled(path) as counter:
            counter.more.set()
            assert [entry async for entry in follow(path, "count", to=1, crash=True)] == [0]
            await until(lambda: told)
            assert [type(error) for error in told] == [ZeroDivisionError]

    async def test_the_end_of_the_server_ends_them(self, path: Path) -> None:
        async with controlled(path):
            feed = follow(path, "count", to=1)
            assert await anext(feed) == 0
        with pytest.raises(StopAsyncIteration):
            async with asyncio.timeout(PATIENCE):
                await anext(feed)

    async def test_one_who_has_stopped_reading_does_not_keep_the_server(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as asleep:
            async with controlled(path) as counter:
                asleep.connect(os.fspath(path))
                asleep.sendall(b'{"do": "count", "endless": true}\n')
                before = -1
                while not 0 < counter.sent == before:
                    before = counter.sent
                    await turns(20)
            # What does not fit into the kernel's queue is not sent any more.
            await turns(20)
            asleep.setblocking(False)
            octets = 0
            while piece := asleep.recv(1 << 20):
                octets += len(piece)
            assert 0 < octets < counter.sent * 65536


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
