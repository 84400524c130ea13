"""`ringback status`: how a running server is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ringback as package
from ringback.cli.status import lines
from tests.cli.messages import register
from tests.cli.processes import DOMAIN, ringback, served
from tests.interop.peers.program import Program

ANSWER: dict[str, Any] = {
    "state": "serving",
    "seconds": 0,
    "pid": 17,
    "version": "1.2.3",
    "python": "3.11.7",
    "compiled": True,
    "domains": ["a.test", "b.test"],
    "listening": ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"],
    "web": "http://127.0.0.1:8060",
    "data": "/var/lib/ringback",
    "watchers": 0,
    "worst_lag": 0.0126,
    "values": {
        "accounts": 2.0,
        "registered_addresses": 3.0,
        "connections": 4.0,
        "transactions": {"server": 5.0, "client": 6.0},
        "requests": {"REGISTER": 7.0, "INVITE": 0.0, "BYE": 8.0},
        "dropped_messages": 9.0,
        "undelivered_messages": 10.0,
        "task_crashes": 0.0,
    },
}


def shown(**changes: Any) -> dict[str, str]:
    return dict(lines({**ANSWER, **changes, "values": {**ANSWER["values"], **changes.get("values", {})}}))


def test_what_people_read() -> None:
    assert lines(ANSWER) == [
        ("state", "serving for 0 s (process 17)"),
        ("version", "1.2.3, Python 3.11.7, compiled"),
        ("domains", "a.test, b.test"),
        ("listening", "udp:127.0.0.1:5060, tcp:127.0.0.1:5060"),
        ("metrics", "http://127.0.0.1:8060/metrics"),
        ("data", "/var/lib/ringback"),
        ("accounts", "2"),
        ("registered", "3 addresses of record"),
        ("connections", "4"),
        ("transactions", "5 server, 6 client"),
        ("requests", "7 REGISTER, 8 BYE"),
        ("dropped", "9 messages; 10 not delivered"),
        ("worst lag", "13 ms"),
    ]


def test_what_is_told_only_when_there_is_something_to_tell() -> None:
    assert "crashes" not in shown() and "traced by" not in shown()
    assert shown(values={"task_crashes": 2.0})["crashes"] == "2 of background tasks: see the log"
    assert shown(watchers=3)["traced by"] == "3"
    assert shown(web=None)["metrics"] == "none"
    assert shown(compiled=False)["version"] == "1.2.3, Python 3.11.7, interpreted"
    assert shown(values={"requests": {"BYE": 0.0}})["requests"] == "none"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min")),
        *((7385, "2 h 3 min"), (86399, "23 h 59 min"), (86400, "1 d 0 h"), (266400, "3 d 2 h")),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert shown(seconds=seconds)["state"] == f"serving for {said} (process 17)"


# --- Of a running server --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("status")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[tuple[Program, int]]:
    with served(folder) as running:
        register(running[1], "alice", "sip:alice@127.0.0.1:5071")
        yield running


def test_a_running_server(folder: Path, server: tuple[Program, int]) -> None:
    program, port = server
    code, out, err = ringback("status", "--data", folder / "data")
    told = {line[:14].strip(): line[14:] for line in out.splitlines()}
    assert (code, err) == (0, "")
    assert told["state"].startswith("serving for ") and told["state"].endswith(f" (process {program.process.pid})")
    assert told["listening"] == f"udp:127.0.0.1:{port}" and told["domains"] == DOMAIN
    assert told["registered"] == "1 addresses of record" and told["requests"] == "1 REGISTER"
    assert told["metrics"] == "none" and told["data"] == str(folder / "data")


def test_as_json(folder: Path, server: tuple[Program, int]) -> None:
    code, out, err = ringback("status", "--data", folder / "data", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert answer["pid"] == server[0].process.pid and answer["version"] == package.__version__
    assert answer["values"]["registered_addresses"] == 1.0
    assert answer.keys() >= ANSWER.keys() and answer["values"].keys() >= ANSWER["values"].keys()


def test_no_server(tmp_path: Path) -> None:
    """Neither where none ever was, nor where one was killed and has left its socket."""
    assert ringback("status", "--data", tmp_path / "none") == (1, "", f"ringback: no server runs on {tmp_path}/none\n")
    with pytest.raises(AssertionError), served(tmp_path) as (program, _):
        program.process.kill()
        program.process.wait(10)
        raise AssertionError
    assert (tmp_path / "data" / "control.sock").exists()
    expected = f"ringback: no server runs on {tmp_path}/data\n"
    assert ringback("status", "--data", tmp_path / "data") == (1, "", expected)
    assert ringback("status", "--data", tmp_path / "data", "--json") == (1, "", expected)
