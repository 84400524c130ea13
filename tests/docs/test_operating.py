"""docs/operating.md: every metric and event is explained, and what fail2ban is given finds what the server writes."""

import ast
import io
import re
from dataclasses import fields
from pathlib import Path

import pytest

from ringback.net.limits import StreamCounters
from ringback.server.logs import SecurityLog, make_logger
from ringback.server.settings import Log
from ringback.server.setup import authentication
from ringback.sip.transport import Flow

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
COUNTING = ROOT / "src" / "ringback" / "server" / "runtime" / "counting.py"


def column(heading: str) -> list[str]:
    """What the first column of the table below a heading line names in backquotes."""
    body = TEXT.partition(heading + "\n")[2].partition("\n\n")[0]
    return [name for line in body.splitlines()[1:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]


def metrics() -> dict[str, str]:
    """Every metric of the server by name, with its label."""
    found = {}
    for node in ast.walk(ast.parse(COUNTING.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("counter", "gauge")
        ):
            name, *rest = [value.value for value in node.args if isinstance(value, ast.Constant)]
            found[name] = rest[1] if len(rest) > 1 else ""
    return found


def test_every_metric_is_explained() -> None:
    heading = "| metric | labels | meaning |"
    assert {"requests", "store_failures"} <= set(metrics())
    assert sorted(column(heading)) == sorted([*metrics(), "event_loop_lag_seconds"])
    rows = TEXT.partition(heading)[2].partition("\n\n")[0]
    for name, label in metrics().items():
        assert f"| `{name}` | {label} |".replace("|  |", "| |") in rows


def test_every_event_of_connections_is_named() -> None:
    text = TEXT.partition("Events of `connection_events`")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", text)) == sorted(field.name for field in fields(StreamCounters))


def test_every_security_event_is_explained() -> None:
    known = {*authentication.FAILURES, authentication.CHALLENGE_SENT, authentication.SUCCESSFUL}
    assert set(column("| event | what it means |")) == known


def failregex() -> re.Pattern[str]:
    """The expression, with what fail2ban puts in the place of <HOST>."""
    [text] = re.findall(r"^failregex = (.*)$", TEXT, re.MULTILINE)
    return re.compile(text.replace("<HOST>", r"(?P<host>[\w.:-]+)"))


FORGED = "security SecurityEvent=InvalidPassword Service=SIP AccountID=x RemoteAddress=IPV4/TCP/192.0.2.99/1"


@pytest.mark.parametrize("text", ["alice@example.org", "", FORGED, f'x" {FORGED} y', f'\\" {FORGED}', f"\n{FORGED}"])
@pytest.mark.parametrize(
    ("flow", "banned"),
    [
        (Flow("TCP", "", "203.0.113.9", 40000), "203.0.113.9"),
        (Flow("WSS", "", "2001:db8::9", 40000), "2001:db8::9"),
        # Anybody could have somebody else banned by datagrams in his name.
        (Flow("UDP", "", "203.0.113.9", 40000), None),
    ],
)
@pytest.mark.parametrize("event", sorted(authentication.FAILURES))
def test_the_filter_of_fail2ban(event: str, flow: Flow, banned: str | None, text: str) -> None:
    """Account and reason hold what an attacker has written, and never decide who is banned."""
    stream = io.StringIO()
    log = SecurityLog(make_logger(Log(), stream))
    log.report(event, flow, text, text)
    found = [failregex().search(line) for line in stream.getvalue().splitlines()]
    if event in ("InvalidAccountID", "InvalidPassword", "FailedACL") and banned is not None:
        assert [match and match["host"] for match in found] == [banned]
    else:
        assert found == [None]
