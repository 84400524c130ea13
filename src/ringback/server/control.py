"""The control socket: DATA/control.sock, for the person who runs the server and for nobody else (mode 0600).

JSON, one object a line. A request is `{"do": "status"}` with further members as arguments. The answer is one object,
`{"ok": …}` or `{"error": "…"}`; after the answer to "trace" follows one object for each thing that is shown, until the
connection is closed.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ringback.errors import ConfigurationError, RingbackError

__all__ = ["Arguments", "Command", "ControlServer", "Feed", "ask", "connect", "follow"]

#: Octets of one line of a request.
LONGEST_REQUEST: Final = 65536
#: Octets of one line of an answer; the bindings of a large domain come in many lines.
LONGEST_ANSWER: Final = 16 * 1024 * 1024
#: Connections at a time.
MOST_CLIENTS: Final = 32
# What sun_path can hold (unix(7)), less the final NUL.
_LONGEST_PATH: Final = 107

Arguments = Mapping[str, Any]
#: Answers a request; what it returns is what "ok" holds.
Command = Callable[[Arguments], Coroutine[Any, Any, Any]]
#: Answers a request with a stream of objects.
Feed = Callable[[Arguments], AsyncIterator[Any]]


class ControlServer:
    """Serves the control socket.

    commands  by name; a RingbackError that one raises becomes an "error"
    feeds     by name
    """

    def __init__(self, path: Path, commands: Mapping[str, Command], feeds: Mapping[str, Feed]) -> None:
        self._path = path
        self._commands = commands
        self._feeds = feeds
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when the socket can not be made, or another server answers there."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if _answers(self._path):
                raise ConfigurationError(f"data: another server runs on {self._path.parent}")
            self._path.unlink(missing_ok=True)
            with _address(self._path) as address:
                sock.bind(address)
            # Before it listens nobody can connect, so nobody slips in before the mode is set.
            self._path.chmod(stat.S_IRUSR | stat.S_IWUSR)
            sock.setblocking(False)
            self._server = await asyncio.start_unix_server(self._accepted, sock=sock, limit=LONGEST_REQUEST)
        except OSError as error:
            sock.close()
            raise ConfigurationError(f"data: {self._path} can not be made: {error.strerror or error}") from error
        except BaseException:
            sock.close()
            raise

    async def stop(self) -> None:
        """Listen no more, and end what is connected."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)
        self._server = None

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= MOST_CLIENTS:
            writer.write(_line({"error": f"{MOST_CLIENTS} others are connected already"}))
            writer.close()
            return
        self._clients.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except ConnectionError:
            # Gone: nobody is left to be told.
            return
        except asyncio.CancelledError:
            # The server ends. Whoever has stopped reading must not keep it: closing would wait until all is sent.
            writer.transport.abort()
        except Exception as error:
            # The first releases of Python 3.11 tell nobody of what goes wrong here.
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "a command of the control socket failed", "exception": error})
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when there is none any more."""
        try:
            line = await reader.readline()
        except ValueError:
            await _write(writer, {"error": f"a request of over {LONGEST_REQUEST} octets"})
            return False
        if not line:
            return False
        request = _read_request(line)
        if request is None:
            await _write(writer, {"error": 'a request is one line of JSON: {"do": "status"}'})
            return False
        name = request["do"]
        if name in self._feeds:
            await self._feed(self._feeds[name](request), reader, writer)
            return False
        command = self._commands.get(name)
        if command is None:
            known = ", ".join(sorted([*self._commands, *self._feeds]))
            await _write(writer, {"error": f"there is no {name!r}; there are {known}"})
            return True
        try:
            answer = {"ok": await command(request)}
        except RingbackError as error:
            answer = {"error": str(error)}
        except Exception:
            await _write(writer, {"error": f"{name} failed; the server's log says why"})
            raise
        await _write(writer, answer)
        return True

    async def _feed(self, feed: AsyncIterator[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send what a feed yields until it ends, or until the other side closes."""
        sending = asyncio.ensure_future(_send_all(feed, writer))
        closed = asyncio.ensure_future(_until_closed(reader))
        try:
            await asyncio.wait((sending, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, closed):
                task.cancel()
            outcome, _ = await asyncio.gather(sending, closed, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome


def _read_request(line: bytes) -> dict[str, Any] | None:
    """The request that a line holds, with a name in "do"; None when it holds none."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return request if isinstance(request, dict) and isinstance(request.get("do"), str) else None


async def _until_closed(reader: asyncio.StreamReader) -> None:
    """Pass over what comes until the other side closes."""
    while await reader.read(LONGEST_REQUEST):
        pass


async def _send_all(feed: AsyncIterator[Any], writer: asyncio.StreamWriter) -> None:
    try:
        async for entry in feed:
            await _write(writer, entry)
    except RingbackError as error:
        await _write(writer, {"error": str(error)})
    finally:
        await feed.aclose()  # type: ignore[attr-defined]


async def _write(writer: asyncio.StreamWriter, answer: Any) -> None:
    writer.write(_line(answer))
    await writer.drain()


def _line(answer: Any) -> bytes:
    return json.dumps(answer).encode() + b"\n"


# The other side -------------------------------------------------------------------------------------------------------


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """A connection to the server at `path`; None when none answers there."""
    try:
        with _address(path) as address:
            return await asyncio.open_unix_connection(address, limit=LONGEST_ANSWER)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error


async def ask(path: Path, do: str, **arguments: Any) -> Any:
    """What the server at `path` answers; None when none runs there. Raises RingbackError with what it complains of."""
    async for entry in follow(path, do, **arguments):
        if "error" in entry:
            raise RingbackError(entry["error"])
        return entry["ok"]
    return None


async def follow(path: Path, do: str, **arguments: Any) -> AsyncIterator[dict[str, Any]]:
    """What the server at `path` sends in answer, line by line, until it closes; nothing when none runs there."""
    streams = await connect(path)
    if streams is None:
        return
    reader, writer = streams
    try:
        writer.write(_line({"do": do, **arguments}))
        await writer.drain()
        while line := await reader.readline():
            yield json.loads(line)
    except ValueError as error:
        raise RingbackError(f"{path}: an answer of over {LONGEST_ANSWER} octets, or none of JSON") from error
    finally:
        writer.close()


def _answers(path: Path) -> bool:
    if not path.exists():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            with _address(path) as address:
                probe.connect(address)
        except OSError:
            # What a server left that ended without a word.
            return False
    return True


@contextmanager
def _address(path: Path) -> Any:
    """The address of a socket file; a path that is too long for the kernel goes by way of its folder's descriptor."""
    text = os.fspath(path)
    if len(os.fsencode(text)) <= _LONGEST_PATH:
        yield text
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
