"""Logs: structured, for people or as JSON, with no secret in them; and security events, for those who ban addresses.

A log line costs more than a SIP message, so nothing here is called for each message: what is logged is the life of the
server, what failed, and security events, which are limited in number.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from ringback.server.settings import Log
from ringback.sip.transport import Flow

__all__ = ["Bridge", "SecurityLog", "make_logger", "redact"]

#: Keys of log entries whose values are never written.
_SECRET_KEYS: Final = frozenset(
    ("authorization", "proxy_authorization", "credentials", "ha1", "nonce", "cnonce", "password", "secret", "response")
)
HIDDEN: Final = "[redacted]"

# A header that carries credentials, its folded lines included; the scheme may be read.
_CREDENTIALS: Final = re.compile(r"(?im)^((?:proxy-)?authorization[ \t]*:[ \t]*[\w-]*)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*")
_PARAMETERS: Final = re.compile(
    r"""(?i)\b(nonce|cnonce|nextnonce|response|rspauth|ha1|password)(["']?\s*[=:]\s*)("(?:[^"\\\r\n]|\\.)*"|'[^'\r\n]*'|[^\s,;"']+)"""
)
# The password in a URI (RFC 3261 19.1.1), which nobody should write there.
_USERINFO: Final = re.compile(r"""(?i)(\bsips?:[^\s:@<>"]+:)[^\s:;?/@<>"]+(?=@)""")
# Keys of media in a session description (RFC 4568, RFC 8839).
_MEDIA_KEYS: Final = re.compile(r"(?m)(inline:|^a=ice-pwd:)[^\s|;]+")

# Characters of what strangers can make a security event say.
_LONGEST_ACCOUNT: Final = 200
_LONGEST_REASON: Final = 200

# What needs no quotes in a line for people.
_BARE: Final = re.compile(r"[!#-<>-~]+")


def redact(text: str) -> str:
    """`text` without credentials: values of Authorization headers, nonces, digests, passwords and media keys."""
    text = _CREDENTIALS.sub(rf"\1 {HIDDEN}", text)
    text = _PARAMETERS.sub(rf"\1\2{HIDDEN}", text)
    text = _USERINFO.sub(rf"\1{HIDDEN}", text)
    return _MEDIA_KEYS.sub(rf"\1{HIDDEN}", text)


def _without_secrets(logger: Any, method: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for key, value in entry.items():
        if key.lower() in _SECRET_KEYS:
            entry[key] = HIDDEN
        elif isinstance(value, str):
            entry[key] = redact(value)
        elif isinstance(value, bytes):
            entry[key] = redact(value.decode("utf-8", "replace"))
        elif not isinstance(value, int | float | None):
            entry[key] = redact(str(value))
    return entry


def make_logger(settings: Log, stream: TextIO | None = None) -> FilteringBoundLogger:
    """A logger as the configuration asks for, on `stream` or standard error."""
    output = stream or sys.stderr
    people = settings.format == "people"
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S" if people else "iso", utc=not people),
        structlog.processors.format_exc_info,
        _without_secrets,
        _one_line if people else structlog.processors.JSONRenderer(),
    ]
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(output),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return logger


def _one_line(logger: Any, method: str, entry: MutableMapping[str, Any]) -> str:
    """One line for people: when, how grave, what, and the rest as key=value; a traceback has indented lines below."""
    when, level, event = entry.pop("timestamp"), entry.pop("level"), entry.pop("event")
    trace = entry.pop("exception", "")
    rest = "".join(f" {key}={_value(value)}" for key, value in entry.items())
    line = f"{when} {level:<7} {_printable(str(event))}{rest}"
    return "\n    ".join([line, *map(_printable, trace.splitlines())])


def _value(value: Any) -> str:
    if not isinstance(value, str):
        return str(value)
    return value if _BARE.fullmatch(value) else json.dumps(value, ensure_ascii=not value.isprintable())


def _printable(text: str) -> str:
    """`text` without what could steer a terminal or forge a line of the log."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


class Bridge(logging.Handler):
    """Passes what libraries log (asyncio, uvicorn, websockets) on to the server's logger."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self.logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        try:
            self.logger.log(record.levelno, record.getMessage(), source=record.name, exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


class SecurityLog:
    """Security events, named as Asterisk names them, so that fail2ban's filters and people know them.

        InvalidAccountID          credentials for an account that does not exist
        InvalidPassword           a wrong digest
        ChallengeResponseFailed   a digest with a nonce that is not ours or was used before, or for another request
        FailedACL                 refused after too many wrong passwords, or who is known asks for what is another's
        RequestBadFormat          what could not be read

    An address is heard once in `interval` seconds about each event, and all together `most` times in that time; what
    was left out is counted and said with the next.
    """

    def __init__(
        self,
        logger: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
        interval: float = 1.0,
        most: int = 100,
    ) -> None:
        self.logger = logger
        self._clock = clock
        self._interval = interval
        self._most = most
        self._seen: dict[tuple[str, str], int] = {}
        self._began = clock()
        self._suppressed = 0
        #: How often each event has happened, those included that were not written.
        self.counts: dict[str, int] = {}

    def count(self, event: str) -> None:
        """Something happened that is counted and not written."""
        self.counts[event] = self.counts.get(event, 0) + 1

    def report(self, event: str, flow: Flow, account: str = "", reason: str = "") -> None:
        """Something happened: which event, where the request came from, and as whom."""
        self.count(event)
        now = self._clock()
        if now - self._began >= self._interval:
            self._began = now
            self._seen.clear()
        key = (event, flow.host)
        if key in self._seen or len(self._seen) >= self._most:
            self._suppressed += 1
            return
        self._seen[key] = 1
        family = "IPV6" if ":" in flow.host else "IPV4"
        details: dict[str, Any] = {
            "SecurityEvent": event,
            "Service": "SIP",
            "AccountID": account[:_LONGEST_ACCOUNT],
            "RemoteAddress": f"{family}/{flow.transport}/{flow.host}/{flow.port}",
        }
        if reason:
            details["reason"] = reason[:_LONGEST_REASON]
        if self._suppressed:
            details["suppressed"] = self._suppressed
            self._suppressed = 0
        self.logger.warning("security", **details)
