"""Which formats of an offer an answer takes, under which numbers and with which parameters (RFC 3264 6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ringback.sdp.formats import Codec, common_events, configuration, identity, matches, normal, same_encoding
from ringback.sdp.offering import all_codecs
from ringback.sdp.streams import LocalStream, Policy

__all__ = ["answered_codecs"]


def answered_codecs(offered: Sequence[Codec], stream: LocalStream, policy: Policy) -> list[Codec]:
    """The formats that the answer lists, best first; empty when there is none in common.

    "That same payload type number SHOULD be used for that codec in the answer", and it is "RECOMMENDED that … the
    answerer list formats in the same relative order they were present in the offer".
    """
    ours = all_codecs(stream)
    media = _media(offered, ours, policy)
    # A stream of nothing but events, or noise, is one too (RFC 4317 2.4).
    if not media and any(not codec.is_auxiliary for codec in ours):
        return []
    chosen = {codec.payload_type: codec for codec in media}
    rates = {codec.clock_rate for codec in media}
    for codec in _events(offered, ours, rates):
        chosen[codec.payload_type] = codec
    once: set[tuple[str, ...]] = set()
    for codec in offered:
        meaning = ("red",) if codec.name.lower() == "red" else identity(codec)
        if codec.is_event or not codec.is_auxiliary or meaning in once:
            continue
        found = _auxiliary(codec, ours, chosen, rates)
        if found is not None:
            once.add(meaning)
            chosen[codec.payload_type] = found
    order = [codec.payload_type for codec in (media if policy.own_order else ())]
    order.extend(codec.payload_type for codec in offered)
    return [chosen[number] for number in dict.fromkeys(order) if number in chosen]


def _media(offered: Sequence[Codec], ours: Sequence[Codec], policy: Policy) -> list[Codec]:
    found: list[tuple[int, Codec]] = []
    # One number for each codec is enough, however many an offer gives to it.
    once: set[tuple[str, ...]] = set()
    for codec in offered:
        if codec.is_auxiliary or identity(codec) in once:
            continue
        for place, our in enumerate(ours):
            if not our.is_auxiliary and matches(our, codec):
                found.append((place, _answered(our, codec)))
                once.add(identity(codec))
                break
    if policy.own_order:
        found.sort(key=lambda couple: couple[0])
    media = [codec for _, codec in found]
    return media[:1] if policy.single_codec else media


def _answered(our: Codec, codec: Codec) -> Codec:
    """Our codec under the offer's number, with the parameters that the answer has to have."""
    answered = replace(normal(our), payload_type=codec.payload_type, parameters=_parameters(our, codec))
    # RFC 4585 4.2: feedback is used only where both sides have it.
    return replace(answered, feedback=tuple(kind for kind in our.feedback if kind in codec.feedback))


def _parameters(our: Codec, codec: Codec) -> dict[str, str]:
    # RFC 7587 7.1: the parameters of Opus are "completely orthogonal"; unknown ones "MUST be removed from the answer".
    if our.name.lower() == "opus":
        return dict(our.parameters)
    if not our.parameters:
        # 6.1: "the same fmtp parameters with the same values MUST be present in the answer"; but what describes the
        # offerer's own stream (sprop-parameter-sets) is not ours to say.
        return {name: value for name, value in codec.parameters.items() if not name.lower().startswith("sprop")}
    # What chooses the format is the offer's, the rest ours.
    chooses = configuration(codec)
    parameters = {name: value for name, value in codec.parameters.items() if name.lower() in chooses}
    parameters.update({name: value for name, value in our.parameters.items() if name.lower() not in chooses})
    return parameters


def _events(offered: Sequence[Codec], ours: Sequence[Codec], rates: set[int]) -> list[Codec]:
    """telephone-event on the clock of the codecs taken.

    Where the offer has none such, that of 8000: peers with Opus and one line of telephone-event mean it for all.
    """
    events = [codec for codec in offered if codec.is_event]
    ours = [codec for codec in ours if codec.is_event]
    if not ours:
        return []
    fitting = [codec for codec in events if codec.clock_rate in rates or not rates]
    if not fitting:
        fitting = [codec for codec in events if codec.clock_rate == 8000]
    found: list[Codec] = []
    for codec in fitting:
        if any(same_encoding(codec, known) for known in found):
            continue
        our = next((known for known in ours if known.clock_rate == codec.clock_rate), ours[0])
        parameters = common_events(our, codec)
        if parameters:
            found.append(
                replace(our, clock_rate=codec.clock_rate, payload_type=codec.payload_type, parameters=parameters)
            )
    return found


def _auxiliary(codec: Codec, ours: Sequence[Codec], chosen: dict[int, Codec], rates: set[int]) -> Codec | None:
    """Comfort noise, repair and redundancy: taken where we have it too, and what it goes with was taken."""
    our = next((known for known in ours if known.is_auxiliary and matches(known, codec)), None)
    if our is None:
        return None
    name = codec.name.lower()
    if name == "rtx":
        # RFC 4588 8.1: apt names the payload type that is sent again.
        apt = codec.parameter("apt")
        return codec if apt.isascii() and apt.isdecimal() and len(apt) <= 3 and int(apt) in chosen else None
    if name == "red":
        return codec if all(_number(part) in chosen for part in codec.fmtp.split("/") if part) else None
    if codec.is_comfort_noise and rates and codec.clock_rate not in rates:
        return None
    return _answered(our, codec)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else -1
