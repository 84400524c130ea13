"""Quality repair: what to change in a call when the network stays bad, and when to take it back.

    step = repair.measure(reports, means, now)     every second or so; None: nothing to do
    repair.refused(step, now)                      the other side did not agree to it

A step is a change of one setting, with its reason and figures. Whoever asks carries it out, by adjusting the encoder or
by a new offer, and shows the new settings in the next `means`.

    loss that stays     FEC, then a codec that has it, then less to send: a lower bit rate, no video
    delay that stays,   a codec of a lower rate, longer frames (fewer packets), a lower bit rate, no video: the path is
    or grows with loss  too thin for what is sent

What is bad enough depends on the settings: FEC stands loss that plain sound does not. Bad has to last some seconds, a
step has time to show what it does, and one is taken back only after half a minute without trouble, the last one first.
When that turns out to have been too early, it takes twice as long the next time. So nothing flaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from ringback.media.quality import Report

__all__ = ["Kind", "Means", "Repair", "Settings", "Step"]

Kind: TypeAlias = Literal["fec", "codec", "frames", "bitrate", "video"]

# Fractions of loss that are bad: of plain sound, and with FEC, which repairs most of what comes alone.
_BAD_LOSS: Final = 0.04
_BAD_LOSS_WITH_FEC: Final = 0.12
# Trouble is over below this share of what is bad; between them nothing is known.
_OVER: Final = 0.5
# Loss that counts as none.
_GOOD_LOSS: Final = 0.015
# Milliseconds of round trip that are bad, and good; G.114 asks for less than 400 ms one way, and for 150 at best.
_BAD_TRIP: Final = 500.0
_GOOD_TRIP: Final = 350.0
# Milliseconds by which a round trip grows when queues fill.
_GROWN: Final = 150.0

# Seconds that trouble has to last, which is longer than the window of `Monitor`, in which one outage is seen; that a
# step has to show what it does; and that all has to be good.
_BAD_FOR: Final = 6.0
_SETTLE: Final = 8.0
_GOOD_FOR: Final = 30.0
# A step that is needed again within this time had been taken back too early.
_TOO_EARLY: Final = 180.0
_LONGEST_PATIENCE: Final = 480.0
# What the other side refused is not asked for again for this long.
_BARRED: Final = 300.0
# A measurement after a longer pause says nothing of what was between.
_LONGEST_PAUSE: Final = 15.0

# What is tried, in this order, against loss, against delay, and against both.
_LOSSY: Final[tuple[Kind, ...]] = ("fec", "codec", "bitrate", "video")
_THIN: Final[tuple[Kind, ...]] = ("codec", "frames", "bitrate", "video")
_THIN_AND_LOSSY: Final[tuple[Kind, ...]] = ("fec", "codec", "frames", "bitrate", "video")
# Per cent of loss beyond which FEC costs more than it gives.
_MOST_EXPECTED: Final = 30

# Codecs with in-band FEC, all of which conceal well and need less than half of G.711's rate.
_ROBUST: Final = ("opus",)
_DEFAULT_BIT_RATE: Final = 24000


@dataclass(frozen=True, slots=True)
class Settings:
    """How a call is carried.

    codec      by its SDP name
    frame      milliseconds of sound in a packet
    fec        whether in-band FEC is sent (and asked for)
    bit_rate   bits a second of a codec that lets one choose; 0: its own choice
    video      whether video is sent
    """

    codec: str
    frame: int = 20
    fec: bool = False
    bit_rate: int = 0
    video: bool = False


@dataclass(frozen=True, slots=True)
class Means:
    """What the call has and could have.

    settings         of now
    codecs           that both sides have, by their SDP names
    frames           milliseconds of sound in a packet that both sides take
    lowest_bit_rate  bits a second below which the codec is not to be set; 0 when the rate cannot be set
    """

    settings: Settings
    codecs: tuple[str, ...]
    frames: tuple[int, ...] = (20, 40, 60)
    lowest_bit_rate: int = 12000


@dataclass(frozen=True, slots=True)
class Step:
    """One change.

    kind           which setting is changed
    reason         for people, with the figures
    before, after  the settings
    expected_loss  per cent of loss that the encoder has to count with
    undoes         the step that is taken back by this one
    """

    kind: Kind
    reason: str
    before: Settings
    after: Settings
    expected_loss: int = 0
    undoes: Step | None = None

    @property
    def change(self) -> str:
        """What is changed, for people."""
        before, after = self.before, self.after
        match self.kind:
            case "fec":
                return "FEC on" if after.fec else "FEC off"
            case "codec":
                return f"{before.codec} to {after.codec}"
            case "frames":
                return f"frames of {before.frame} to {after.frame} ms"
            case "bitrate":
                return f"{after.bit_rate / 1000:g} kbit/s" if after.bit_rate else "full bit rate"
            case "video":
                return "video on" if after.video else "video paused"


class _Trouble:
    """One kind of trouble: since when it lasts, and its figures."""

    __slots__ = ("count", "since", "total")

    def __init__(self) -> None:
        self.since: float | None = None
        self.total = 0.0
        self.count = 0

    def measure(self, value: float, bad: float, over: float, now: float) -> None:
        """Begins when it is bad, ends when it is over."""
        if value >= bad:
            if self.since is None:
                self.since = now
        elif value < over:
            self.forget()
        if self.since is not None:
            self.total += value
            self.count += 1

    def forget(self) -> None:
        self.since = None
        self.total = 0.0
        self.count = 0

    def age(self, now: float) -> float:
        return 0.0 if self.since is None else now - self.since

    def lasts(self, now: float) -> bool:
        return self.age(now) >= _BAD_FOR

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0


class Repair:
    """The repair of one call.

    applied    the steps that are in force, the oldest first
    """

    __slots__ = (
        "_barred",
        "_best_trip",
        "_delay",
        "_good_since",
        "_heard",
        "_last",
        "_loss",
        "_patience",
        "_settled",
        "_undone",
        "applied",
    )

    def __init__(self) -> None:
        self.applied: list[Step] = []
        self._loss = _Trouble()
        self._delay = _Trouble()
        self._good_since: float | None = None
        self._settled = 0.0
        self._last: float | None = None
        self._heard = -1
        self._best_trip: float | None = None
        # By kind: seconds that all has to be good, when a step was taken back, and until when none is asked for.
        self._patience: dict[Kind, float] = {}
        self._undone: dict[Kind, float] = {}
        self._barred: dict[Kind, float] = {}

    def measure(self, reports: Sequence[Report], means: Means, now: float) -> Step | None:
        """The next step, which counts as taken unless it is `refused`; `reports` are of one or both directions."""
        if not self._flows(reports, now):
            return None
        loss = max([report.loss for report in reports])
        trips = [report.round_trip for report in reports if report.round_trip is not None]
        trip = max(trips) if trips else None
        self._look(loss, trip, means.settings, now)
        if now < self._settled:
            # The step may not have been carried out yet.
            self._loss.forget()
            self._delay.forget()
            return None
        self._keep_to(means.settings)
        step = self._worse(trip, means, now) or self._better(loss, trip, means.settings, now)
        if step is not None:
            self._taken(step, now)
        return step

    def refused(self, step: Step, now: float) -> None:
        """The step could not be taken: all is as before it, and nothing of its kind is tried for some minutes."""
        self._barred[step.kind] = now + _BARRED
        if step.undoes is not None:
            self._undone.pop(step.kind, None)
            self.applied.append(step.undoes)
        elif step in self.applied:
            self.applied.remove(step)
        self._settled = now

    def _flows(self, reports: Sequence[Report], now: float) -> bool:
        """Whether there is anything to judge by: on hold, no news is not good news."""
        heard = sum([report.packets for report in reports])
        moved = bool(reports) and heard != self._heard
        if not moved or self._last is None or now - self._last > _LONGEST_PAUSE:
            self._loss.forget()
            self._delay.forget()
            self._good_since = None
        if moved:
            self._heard = heard
            self._last = now
        return moved

    def _keep_to(self, settings: Settings) -> None:
        """Forget steps that somebody else has undone: the other side's offer, or the user."""
        kept: list[Step] = []
        later: set[Kind] = set()
        for step in reversed(self.applied):
            if step.kind in later or _value(step.kind, settings) == _value(step.kind, step.after):
                kept.append(step)
                later.add(step.kind)
        kept.reverse()
        self.applied = kept

    def _look(self, loss: float, trip: float | None, settings: Settings, now: float) -> None:
        """What the figures say of each kind of trouble, and of none."""
        bad = _BAD_LOSS_WITH_FEC if settings.fec else _BAD_LOSS
        self._loss.measure(loss, bad, bad * _OVER, now)
        if trip is not None:
            self._best_trip = trip if self._best_trip is None else min(self._best_trip, trip)
            self._delay.measure(trip, _BAD_TRIP, _GOOD_TRIP, now)
        if loss < _GOOD_LOSS and (trip is None or trip < _GOOD_TRIP):
            if self._good_since is None:
                self._good_since = now
        else:
            self._good_since = None

    def _worse(self, trip: float | None, means: Means, now: float) -> Step | None:
        """The next step against trouble that lasts."""
        loss, delay = self._loss, self._delay
        lossy = loss.lasts(now)
        thin = delay.lasts(now)
        reasons: list[str] = []
        if lossy:
            reasons.append(f"loss {100 * loss.mean:.1f} % for {loss.age(now):.0f} s")
        if thin:
            reasons.append(f"round trip {delay.mean:.0f} ms for {delay.age(now):.0f} s")
        elif lossy and trip is not None and self._best_trip is not None and trip - self._best_trip > _GROWN:
            reasons.append(f"round trip grown from {self._best_trip:.0f} to {trip:.0f} ms")
            thin = True
        if not reasons:
            return None
        for kind in _THIN_AND_LOSSY if lossy and thin else _LOSSY if lossy else _THIN:
            after = None if self._barred.get(kind, now) > now else _changed(kind, means)
            if after is not None:
                expected = min(_MOST_EXPECTED, round(100 * loss.mean)) if after.fec else 0
                return Step(kind, ", ".join(reasons), means.settings, after, expected)
        return None

    def _better(self, loss: float, trip: float | None, settings: Settings, now: float) -> Step | None:
        """The last step taken back, when all has been good for long."""
        if not self.applied or self._good_since is None:
            return None
        last = self.applied[-1]
        good_for = now - self._good_since
        if good_for < self._patience.get(last.kind, _GOOD_FOR) or self._barred.get(last.kind, now) > now:
            return None
        reason = f"loss {100 * loss:.1f} %"
        if trip is not None:
            reason += f", round trip {trip:.0f} ms"
        return Step(last.kind, f"{reason}: good for {good_for:.0f} s", settings, _restored(last, settings), 0, last)

    def _taken(self, step: Step, now: float) -> None:
        self._settled = now + _SETTLE
        self._loss.forget()
        self._delay.forget()
        self._good_since = None
        kind = step.kind
        if step.undoes is not None:
            self.applied.remove(step.undoes)
            self._undone[kind] = now
            return
        self.applied.append(step)
        undone = self._undone.pop(kind, None)
        if undone is not None:
            early = now - undone < _TOO_EARLY
            patience = self._patience.get(kind, _GOOD_FOR)
            self._patience[kind] = min(_LONGEST_PATIENCE, 2 * patience) if early else _GOOD_FOR


def _value(kind: Kind, settings: Settings) -> object:
    """The setting that steps of this kind change."""
    match kind:
        case "fec":
            return settings.fec
        case "codec":
            return settings.codec.lower()
        case "frames":
            return settings.frame
        case "bitrate":
            return settings.bit_rate
        case "video":
            return settings.video


def _changed(kind: Kind, means: Means) -> Settings | None:
    """The settings after a step of this kind; None when the call cannot take it."""
    settings = means.settings
    robust = settings.codec.lower() in _ROBUST
    match kind:
        case "fec":
            return replace(settings, fec=True) if robust and not settings.fec else None
        case "codec":
            if robust:
                return None
            better = [codec for codec in means.codecs if codec.lower() in _ROBUST]
            return replace(settings, codec=better[0], fec=True, bit_rate=0) if better else None
        case "frames":
            longer = sorted(frame for frame in means.frames if settings.frame < frame <= 60)
            return replace(settings, frame=longer[0]) if longer else None
        case "bitrate":
            if not robust or not means.lowest_bit_rate:
                return None
            rate = max(means.lowest_bit_rate, (settings.bit_rate or _DEFAULT_BIT_RATE) * 2 // 3)
            return replace(settings, bit_rate=rate) if rate < (settings.bit_rate or _DEFAULT_BIT_RATE) else None
        case "video":
            return replace(settings, video=False) if settings.video else None


def _restored(step: Step, settings: Settings) -> Settings:
    """The settings with what the step changed as it was before."""
    before = step.before
    match step.kind:
        case "fec":
            return replace(settings, fec=before.fec)
        case "codec":
            return replace(settings, codec=before.codec, fec=before.fec, bit_rate=before.bit_rate)
        case "frames":
            return replace(settings, frame=before.frame)
        case "bitrate":
            return replace(settings, bit_rate=before.bit_rate)
        case "video":
            return replace(settings, video=before.video)
