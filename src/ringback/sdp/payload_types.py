"""Which payload type means what, for as long as a session lasts.

"The mapping from a particular dynamic payload type number to a particular codec within that media stream MUST NOT
change for the duration of a session" (RFC 3264 8.3.2). Here one number means one codec in all streams and in both
directions, which keeps that rule also where streams share a transport.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from ringback.errors import LocalError
from ringback.sdp.description import SessionDescription
from ringback.sdp.formats import TELEPHONE_EVENT, Codec, codecs_of, identity, is_dynamic, static_payload_type
from ringback.sdp.view import is_rtp

__all__ = ["PayloadTypes", "renumbered"]

#: What everybody gives to telephone-event at 8000.
_USUAL_EVENT: Final = 101
# RFC 3551 section 3 leaves 96 to 127 to sessions; when they are used up, unassigned ones, but never 64 to 95, which
# cannot be told from RTCP on a shared port (RFC 5761 section 4).
_FREE: Final = (range(96, 128), range(35, 64))


class PayloadTypes:
    """The memory of one session: numbers once given are never given to something else."""

    __slots__ = ("_meanings", "_numbers")

    def __init__(self) -> None:
        self._meanings: dict[int, tuple[str, ...]] = {}
        self._numbers: dict[tuple[str, ...], int] = {}

    def observe(self, description: SessionDescription) -> None:
        """Remember what a description of either side has said."""
        for media in description.media:
            if is_rtp(media.protocol):
                for codec in codecs_of(media):
                    self._remember(codec, codec.payload_type)

    def copy(self) -> PayloadTypes:
        """Another memory that begins with what this one knows."""
        other = PayloadTypes()
        other._meanings.update(self._meanings)
        other._numbers.update(self._numbers)
        return other

    def number(self, codecs: Sequence[Codec]) -> list[Codec]:
        """The codecs with their payload types: those that they had before, else that they ask for, else free ones.

        What would have the number of one before it, as the same codec, is left out. Parameters that refer to payload
        types (apt of RFC 4588 8.1, RFC 2198 section 5) are adapted. LocalError: more codecs than there are numbers.
        """
        given: dict[int, int] = {}
        numbered: dict[int, Codec] = {}
        taken = {self._numbers[meaning] for meaning in map(identity, codecs) if meaning in self._numbers}
        # Those that refer to others come after them.
        order = sorted(range(len(codecs)), key=lambda at: codecs[at].name.lower() in ("rtx", "red"))
        for at in order:
            codec = renumbered(codecs[at], given)
            payload_type = self._number(codec, taken)
            taken.add(payload_type)
            if codec.payload_type >= 0:
                given[codec.payload_type] = payload_type
            numbered[at] = codec.numbered(payload_type)
        unique: dict[int, Codec] = {}
        for at in range(len(codecs)):
            unique.setdefault(numbered[at].payload_type, numbered[at])
        return list(unique.values())

    def _number(self, codec: Codec, taken: set[int]) -> int:
        meaning = identity(codec)
        known = self._numbers.get(meaning)
        if known is not None:
            return known
        for payload_type in self._wanted(codec):
            if payload_type not in self._meanings:
                if payload_type not in taken or static_payload_type(codec) == payload_type:
                    self._remember(codec, payload_type)
                    return payload_type
        # No number is left that has not meant something. Only a peer that gives new names to everything brings us here,
        # and it must not keep us from making offers: what is not in this one gives way.
        for payload_type in self._wanted(codec):
            if payload_type not in taken:
                before = self._meanings.pop(payload_type)
                if self._numbers.get(before) == payload_type:
                    del self._numbers[before]
                self._remember(codec, payload_type)
                return payload_type
        raise LocalError(f"no payload type is left for {codec.rtpmap}")

    def _wanted(self, codec: Codec) -> Iterator[int]:
        if codec.payload_type >= 0:
            yield codec.payload_type
        static = static_payload_type(codec)
        if static >= 0:
            yield static
        usual = codec.name.lower() == TELEPHONE_EVENT and codec.clock_rate == 8000
        if usual:
            yield _USUAL_EVENT
        for payload_type in chain(*_FREE):
            # The usual number of events is the last that others get.
            if payload_type != _USUAL_EVENT:
                yield payload_type
        yield _USUAL_EVENT

    def _remember(self, codec: Codec, payload_type: int) -> None:
        if is_dynamic(payload_type) or static_payload_type(codec) != payload_type:
            meaning = identity(codec)
            # A peer that breaks the rule does not make us break it: the first meaning of a number stays ours.
            if self._meanings.setdefault(payload_type, meaning) == meaning:
                self._numbers.setdefault(meaning, payload_type)


def renumbered(codec: Codec, numbers: Mapping[int, int]) -> Codec:
    """The codec with the payload types in its parameters replaced: apt of rtx, the list of red."""
    name = codec.name.lower()
    if name == "rtx":
        parameters = {
            key: _replaced(value, numbers) if key.lower() == "apt" else value for key, value in codec.parameters.items()
        }
    elif name == "red":
        parameters = {
            "/".join(_replaced(part, numbers) for part in key.split("/")) if not value else key: value
            for key, value in codec.parameters.items()
        }
    else:
        return codec
    return replace(codec, parameters=parameters)


def _replaced(text: str, numbers: Mapping[int, int]) -> str:
    if not (text.isascii() and text.isdecimal() and len(text) <= 3):
        return text
    return str(numbers.get(int(text), int(text)))
