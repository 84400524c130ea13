"""The media of calls in this very process: one beat, one certificate, and a session for each call."""

from __future__ import annotations

import asyncio
import secrets
import time

from ringback.media.audio_stream import Surroundings
from ringback.media.backend import MediaPreferences
from ringback.media.io.certificate import Certificate, Certificates
from ringback.media.io.session import InProcessSession
from ringback.media.io.ticker import Ticker

__all__ = ["InProcessMedia"]

#: Octets of randomness in a canonical name (RFC 7022 4.2: at least 96 bits for one of a short time).
_CNAME: int = 12


class InProcessMedia:
    """See `backend.MediaBackend`. Made within a running loop, or before it; used by one loop.

    ticker    the beat of all calls
    """

    def __init__(self, ticker: Ticker | None = None) -> None:
        self.ticker = ticker or Ticker()
        self._certificates = Certificates()
        self._sessions: dict[InProcessSession, None] = {}

    def __len__(self) -> int:
        """Sessions that are open."""
        return len(self._sessions)

    def open(self, preferences: MediaPreferences) -> InProcessSession:
        """A session without streams yet."""
        session = InProcessSession(
            preferences,
            self.ticker,
            self._certificate,
            _surroundings(asyncio.get_running_loop()),
            # RFC 8866 5.2: unique; 62 bits, as peers read it with a sign.
            secrets.randbits(62),
            self._ended,
        )
        self._sessions[session] = None
        return session

    async def close(self) -> None:
        """Close every session."""
        for session in list(self._sessions):
            await session.close()

    def _ended(self, session: InProcessSession) -> None:
        self._sessions.pop(session, None)

    def _certificate(self) -> Certificate:
        return self._certificates.current(time.monotonic())


def _surroundings(loop: asyncio.AbstractEventLoop) -> Surroundings:
    return Surroundings(
        clock=loop.time,
        wall=time.time,
        chance=_chance,
        number=secrets.randbits,
        cname=secrets.token_urlsafe(_CNAME),
    )


def _chance() -> float:
    return secrets.randbits(32) / (1 << 32)
