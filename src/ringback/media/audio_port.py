"""Where the sound of a call meets those who hear and speak: listeners, the playout, and feeds, mixed frame by frame.

port.heard(samples, rate)     a frame has come: listeners are called
port.pull(count)              the next frame to say: what is played and what feeds give, or None for silence
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from ringback.media.backend import Levels
from ringback.media.levels import SILENCE, decibels
from ringback.media.playout import Playout
from ringback.media.resample import Resampler, resample
from ringback.media.samples import Samples, silence

__all__ = ["LONGEST_FEED", "Feed", "Port"]

#: Seconds that a feed may be ahead: three beats, for givers that keep another beat than ours.
LONGEST_FEED: Final = 0.06
_NOTHING: Final = -float(SILENCE)


class Feed:
    """See `backend.Feed`. Converts to the rate of its port, and holds what has not been said yet."""

    __slots__ = ("_frames", "_port", "_resampler", "_waiting", "dropped")

    def __init__(self, port: Port) -> None:
        self._port: Port | None = port
        self._frames: deque[Samples] = deque()
        self._waiting = 0
        #: From and to which rate, and what converts.
        self._resampler: tuple[int, int, Resampler] | None = None
        self.dropped = 0

    def put(self, samples: Samples, rate: int) -> None:
        """Say this with the next frame that is sent."""
        port = self._port
        if port is None:
            return
        if rate != port.rate:
            samples = self._converted(samples, rate, port.rate)
        self._frames.append(samples)
        self._waiting += len(samples)
        longest = int(LONGEST_FEED * port.rate)
        while self._waiting > longest and len(self._frames) > 1:
            dropped = len(self._frames.popleft())
            self._waiting -= dropped
            self.dropped += dropped

    def _converted(self, samples: Samples, rate: int, wanted: int) -> Samples:
        known = self._resampler
        if known is None or known[0] != rate or known[1] != wanted:
            known = self._resampler = (rate, wanted, Resampler(rate, wanted))
        return known[2].process(samples)

    def take(self, count: int) -> Samples | None:
        """The next `count` samples, filled up with silence; None when there are none."""
        frames = self._frames
        if not frames:
            return None
        first = frames[0]
        if len(first) == count:
            # As a rule: the giver keeps our beat.
            self._waiting -= count
            return frames.popleft()
        pieces: list[Samples] = []
        missing = count
        while missing and frames:
            piece = frames.popleft()
            if len(piece) > missing:
                frames.appendleft(piece[missing:])
                piece = piece[:missing]
            pieces.append(piece)
            missing -= len(piece)
        self._waiting -= count - missing
        if missing:
            pieces.append(silence(missing))
        return np.concatenate(pieces)

    def clear(self) -> None:
        """Forget what has not been said: the rate is another one."""
        self._frames.clear()
        self._waiting = 0

    def close(self) -> None:
        """Say no more; may be called twice."""
        port, self._port = self._port, None
        self.clear()
        if port is not None:
            port.left(self)


class Port:
    """See `backend.AudioPort`; what is done for digits on the wire is the stream's (`send_digits` asks for it).

    digit_by   how the last digit came: "event", "info" or "tone" (which was in the sound, too)
    """

    def __init__(
        self,
        rate: int,
        report: Callable[[Exception], None],
        send_digits: Callable[[str, int], float],
    ) -> None:
        """`report` is told what a listener raised: it ends neither the others nor the beat."""
        self.playout = Playout(rate)
        self.send_info: Callable[[str, int], None] | None = None
        self.digit_by = ""
        self._report = report
        self._send_digits = send_digits
        # Tuples: a frame is heard far more often than a listener comes or goes, and one may go while it is called.
        self._listeners: tuple[tuple[object, Callable[[Samples, int], None]], ...] = ()
        self._digit_listeners: tuple[tuple[object, Callable[[str], None]], ...] = ()
        self._feeds: tuple[Feed, ...] = ()
        self._heard: Samples | None = None
        self._said: Samples | None = None

    @property
    def rate(self) -> int:
        """Samples a second of the codec in use."""
        return self.playout.rate

    def change_rate(self, rate: int) -> None:
        """Another codec is in use: what waits to be played is converted."""
        before = self.playout.rate
        if rate != before:
            self.playout.change_rate(rate, lambda samples: resample(samples, before, rate))
            for feed in self._feeds:
                feed.clear()

    # hearing ---------------------------------------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[Samples, int], None]) -> Callable[[], None]:
        """Call `listener(samples, rate)` with every frame that is heard; the result ends that."""
        # A place of its own: the same callable may listen twice.
        place = (object(), listener)
        self._listeners = (*self._listeners, place)

        def end() -> None:
            self._listeners = tuple([other for other in self._listeners if other is not place])

        return end

    def heard(self, samples: Samples, rate: int) -> None:
        """A frame has come."""
        self._heard = samples
        for _, listener in self._listeners:
            try:
                listener(samples, rate)
            except Exception as error:
                self._report(error)

    def nothing_heard(self) -> None:
        """No frame has come in this beat: the other side is on hold, or has not begun."""
        self._heard = None

    # speaking --------------------------------------------------------------------------------------------------------

    def feed(self) -> Feed:
        """A way to say something at once, beside what is played."""
        feed = Feed(self)
        self._feeds = (*self._feeds, feed)
        return feed

    def left(self, feed: Feed) -> None:
        """A feed has closed."""
        self._feeds = tuple([other for other in self._feeds if other is not feed])

    def pull(self, count: int) -> Samples | None:
        """The next `count` samples to say; None for silence."""
        said = self.playout.pull(count)
        for feed in self._feeds:
            more = feed.take(count)
            if more is not None:
                said = more if said is None else _sum(said, more)
        self._said = said
        return said

    def hold(self, count: int) -> None:
        """A frame in which nothing may be said: what feeds give is gone, what is played waits."""
        for feed in self._feeds:
            feed.take(count)
        self._said = None

    # levels ----------------------------------------------------------------------------------------------------------

    @property
    def levels(self) -> Levels:
        """Of the last frames."""
        heard, said = self._heard, self._said
        return Levels(_NOTHING if heard is None else decibels(heard), _NOTHING if said is None else decibels(said))

    # digits ----------------------------------------------------------------------------------------------------------

    def send_digits(self, digits: str, milliseconds: int = 100) -> float:
        """Send DTMF; gives the seconds that it takes. LocalError: not a digit."""
        return self._send_digits(digits, milliseconds)

    def on_digit(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener(digit)` once for every digit that is heard; the result ends that."""
        place = (object(), listener)
        self._digit_listeners = (*self._digit_listeners, place)

        def end() -> None:
            self._digit_listeners = tuple([other for other in self._digit_listeners if other is not place])

        return end

    def digit_came(self, digit: str, by: str = "info") -> None:
        """A digit was heard, or came by SIP INFO."""
        self.digit_by = by
        for _, listener in self._digit_listeners:
            try:
                listener(digit)
            except Exception as error:
                self._report(error)


def _sum(one: Samples, other: Samples) -> Samples:
    """Both at once, held at full scale."""
    wide = one.astype(np.int32) + other
    held: Samples = np.clip(wide, -32768, 32767).astype(np.int16)
    return held
