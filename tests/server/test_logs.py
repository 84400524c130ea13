"""Logs: what they look like, what they leave out, and how much a stranger can make them say."""

import json
import logging
import re
from io import StringIO
from typing import Any

import pytest

from ringback.server.logs import HIDDEN, Bridge, SecurityLog, make_logger, redact
from ringback.server.settings import Log
from ringback.sip.transport import Flow
from tests.server.running import Logs

FLOW = Flow("UDP", "udp:192.0.2.1:5060", "198.51.100.7", 40000)

DIGEST = (
    'Authorization: Digest username="alice", realm="example.org", nonce="bm9uY2U=", uri="sip:example.org", '
    'response="0123456789abcdef", cnonce="Y25vbmNl", nc=00000001, qop=auth'
)


class TestRedact:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            (DIGEST, f"Authorization: Digest {HIDDEN}"),
            (f"Proxy-{DIGEST}", f"Proxy-Authorization: Digest {HIDDEN}"),
            (f"To: a\r\n{DIGEST}\r\nCSeq: 1", f"To: a\r\nAuthorization: Digest {HIDDEN}\r\nCSeq: 1"),
            ("AUTHORIZATION :Bearer abc.def", f"AUTHORIZATION :Bearer {HIDDEN}"),
            # RFC 3261 7.3.1: a line that begins with whitespace continues the one before.
            (
                'Authorization: Digest\r\n username="a",\r\n\tresponse="b"\r\nCSeq: 1',
                f"Authorization: Digest {HIDDEN}\r\nCSeq: 1",
            ),
            (
                'WWW-Authenticate: Digest realm="r", nonce="secret", opaque="o"',
                f'WWW-Authenticate: Digest realm="r", nonce={HIDDEN}, opaque="o"',
            ),
            (
                'Authentication-Info: nextnonce="n", rspauth="r", cnonce="c", qop=auth',
                f"Authentication-Info: nextnonce={HIDDEN}, rspauth={HIDDEN}, cnonce={HIDDEN}, qop=auth",
            ),
            (r'nonce="a\"b" x', f"nonce={HIDDEN} x"),
            ("password='hunter 2' x", f"password={HIDDEN} x"),
            ("password: hunter2, x", f"password: {HIDDEN}, x"),
            ('{"password": "hunter2"}', f'{{"password": {HIDDEN}}}'),
            ("HA1=0123", f"HA1={HIDDEN}"),
            # RFC 3261 19.1.1: "sip:user:password@host"
            ("INVITE sip:alice:hunter2@example.org SIP/2.0", f"INVITE sip:alice:{HIDDEN}@example.org SIP/2.0"),
            ("<SIPS:alice:hunter2@[2001:db8::1]:5061>", f"<SIPS:alice:{HIDDEN}@[2001:db8::1]:5061>"),
            # RFC 4568, RFC 8839
            (
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0m|2^20|1:4",
                f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{HIDDEN}|2^20|1:4",
            ),
            ("v=0\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n", f"v=0\r\na=ice-pwd:{HIDDEN}\r\n"),
        ],
    )
    def test_secrets(self, text: str, shown: str) -> None:
        assert redact(text) == shown

    @pytest.mark.parametrize(
        "text",
        [
            "INVITE sip:alice@example.org:5060;transport=udp SIP/2.0",
            "Route: <sip:192.0.2.1:5060;lr>,<sip:proxy.example.org;lr>\r\nFrom: <sip:bob@example.org>",
            "Contact: sip:192.0.2.1:5060, sip:bob@example.org",
            "X-Authorization-Note: none",
            "a=ice-ufrag:8hhY",
            "a wrong password",
            "the response",
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        assert redact(text) == text


def logged(format: str, level: str = "info") -> tuple[Any, StringIO]:
    stream = StringIO()
    return make_logger(Log.model_validate({"format": format, "level": level}), stream), stream


class TestForms:
    def test_json(self) -> None:
        logger, stream = logged("json")
        logger.info("serving", at="udp:127.0.0.1:5060", count=3, ratio=0.5, nothing=None, yes=True)
        entry = json.loads(stream.getvalue())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry.pop("timestamp"))
        assert entry == {
            "event": "serving",
            "level": "info",
            "at": "udp:127.0.0.1:5060",
            "count": 3,
            "ratio": 0.5,
            "nothing": None,
            "yes": True,
        }

    def test_people(self) -> None:
        logger, stream = logged("people")
        logger.warning("not reloaded", key="a b", word="c", empty="", number=1, quoted='say "x"', umlaut="ä")
        when, _, rest = stream.getvalue().partition(" warning ")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", when)
        assert rest == 'not reloaded key="a b" word=c empty="" number=1 quoted="say \\"x\\"" umlaut="ä"\n'

    @pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
    def test_levels(self, level: str) -> None:
        logger, stream = logged("json", level)
        levels = ["debug", "info", "warning", "error", "critical"]
        for name in levels:
            getattr(logger, name)("x")
        assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == levels[levels.index(level) :]

    def test_standard_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        make_logger(Log(format="json")).info("x")
        output = capsys.readouterr()
        assert (output.out, json.loads(output.err)["event"]) == ("", "x")

    @pytest.mark.parametrize("text", ["a\nb", "a\r\n2026-01-01 00:00:00 info forged", "\x1b[2J", "a\x00b", "a\u2028b"])
    def test_nobody_forges_a_line_or_steers_a_terminal(self, text: str) -> None:
        logger, stream = logged("people")
        logger.info(text, value=text)
        line = stream.getvalue()
        assert line.endswith("\n") and line[:-1].isprintable()

    def test_a_traceback_has_indented_lines(self) -> None:
        logger, stream = logged("people")
        try:
            raise ValueError("first\n2026-01-01 00:00:00 info    forged\x1b[2J")
        except ValueError:
            logger.error("failed", exc_info=True, task="x")
        first, *others = stream.getvalue().splitlines()
        assert first.endswith("error   failed task=x")
        assert others[0] == "    Traceback (most recent call last):"
        assert others[-2:] == ["    ValueError: first", "    2026-01-01 00:00:00 info    forged\\u001b[2J"]
        assert all(line.startswith("    ") and line.isprintable() for line in others)

    @pytest.mark.parametrize("format", ["json", "people"])
    def test_no_secret_in_any_place(self, format: str) -> None:
        logger, stream = logged(format)
        try:
            raise ValueError('nonce="hunter1"')
        except ValueError:
            logger.error(
                'response="hunter2"',
                exc_info=True,
                password="hunter3",
                Nonce="hunter4",
                text=DIGEST.replace("0123456789abcdef", "hunter5"),
                octets=b'password="hunter6"\xff',
                nested={"password": "hunter7"},
                rows=["ha1=hunter8"],
                HA1=12345678901,
            )
        assert "hunter" not in stream.getvalue() and "12345678901" not in stream.getvalue()
        assert stream.getvalue().count("redacted") == 10


class TestBridge:
    def test_what_libraries_log(self) -> None:
        logs = Logs()
        bridge = Bridge(logs.logger)
        library = logging.getLogger("some.library")
        library.addHandler(bridge)
        try:
            library.warning("it is %s", "late")
            library.info("nothing")
            try:
                raise OSError("why")
            except OSError:
                library.exception("it failed")
        finally:
            library.removeHandler(bridge)
        first, second = logs.entries
        assert (first["level"], first["event"], first["source"]) == ("warning", "it is late", "some.library")
        assert (second["level"], second["event"]) == ("error", "it failed")
        assert second["exception"].endswith("OSError: why")


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


class TestSecurity:
    @pytest.mark.parametrize(
        ("flow", "remote"),
        [
            (FLOW, "IPV4/UDP/198.51.100.7/40000"),
            (Flow("TLS", "x", "2001:db8::7", 5061, 3), "IPV6/TLS/2001:db8::7/5061"),
        ],
    )
    def test_an_event(self, flow: Flow, remote: str) -> None:
        logs = Logs()
        SecurityLog(logs.logger, Clock()).report("InvalidPassword", flow, "alice@example.org", 'response="x" is wrong')
        [entry] = logs.of("security")
        assert entry == {
            "event": "security",
            "level": "warning",
            "SecurityEvent": "InvalidPassword",
            "Service": "SIP",
            "AccountID": "alice@example.org",
            "RemoteAddress": remote,
            "reason": f"response={HIDDEN} is wrong",
        }

    def test_once_a_second_about_each_event_of_an_address(self) -> None:
        logs, clock = Logs(), Clock()
        security = SecurityLog(logs.logger, clock)
        other = Flow("UDP", "", "198.51.100.8", 1)
        for _ in range(3):
            security.report("InvalidPassword", FLOW)
        security.report("InvalidAccountID", FLOW)
        security.report("InvalidPassword", other)
        clock.now += 0.999
        security.report("InvalidPassword", FLOW)
        clock.now += 0.001
        security.report("InvalidPassword", FLOW)
        security.report("InvalidPassword", FLOW)
        shown = [
            (entry["SecurityEvent"], entry["RemoteAddress"], entry.get("suppressed")) for entry in logs.of("security")
        ]
        here, there = "IPV4/UDP/198.51.100.7/40000", "IPV4/UDP/198.51.100.8/1"
        assert shown == [
            ("InvalidPassword", here, None),
            ("InvalidAccountID", here, 2),
            ("InvalidPassword", there, None),
            ("InvalidPassword", here, 1),
        ]
        assert security.counts == {"InvalidPassword": 7, "InvalidAccountID": 1}

    def test_all_addresses_together(self) -> None:
        logs, clock = Logs(), Clock()
        security = SecurityLog(logs.logger, clock, most=3)
        for number in range(10):
            security.report("InvalidPassword", Flow("UDP", "", f"198.51.100.{number}", 1))
        assert len(logs.of("security")) == 3
        clock.now += 1.0
        security.report("InvalidPassword", FLOW)
        assert logs.of("security")[-1]["suppressed"] == 7

    def test_what_is_counted_only(self) -> None:
        logs = Logs()
        security = SecurityLog(logs.logger, Clock())
        security.count("SuccessfulAuth")
        security.count("SuccessfulAuth")
        assert (security.counts, logs.text) == ({"SuccessfulAuth": 2}, "")

    def test_a_stranger_writes_no_novels(self) -> None:
        """The name in credentials is the sender's to choose, up to the size of a message."""
        logs = Logs()
        SecurityLog(logs.logger, Clock()).report("InvalidAccountID", FLOW, "x" * 60_000, "y" * 60_000)
        [entry] = logs.of("security")
        assert (entry["AccountID"], entry["reason"]) == ("x" * 200, "y" * 200)
