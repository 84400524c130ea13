"""Opus: there and back, redundancy, loss, malformed payloads, and what may be changed at run time."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import LocalError
from ringback.media import codecs
from ringback.media.codecs.base import Adjustable
from ringback.media.codecs.opus import INFO, OpusDecoder, OpusEncoder, OpusSettings, settings_for, version
from ringback.media.samples import Samples, silence
from tests.media.sounds import in_frames, level_at, noise, rms, sine, speech

pytestmark = pytest.mark.skipif(version() is None, reason="not installed: libopus")

RATES = [8000, 16000, 48000]


def encoder(rate: int = 16000, **changes: object) -> OpusEncoder:
    encoding = OpusEncoder(rate, OpusSettings(24000))
    encoding.adjust(**changes)  # type: ignore[arg-type]
    return encoding


def encoded(samples: Samples, rate: int = 16000, **changes: object) -> list[bytes]:
    encoding = encoder(rate, **changes)
    return [encoding.encode(frame) for frame in in_frames(samples, rate // 50)]


def with_losses(payloads: list[bytes], every: int, *, fec: bool) -> Iterator[Samples]:
    """What is heard when every so-manieth packet is lost."""
    decoder = OpusDecoder(16000)
    for place, payload in enumerate(payloads):
        if place % every:
            yield decoder.decode(payload)
            continue
        restored = decoder.decode_fec(payloads[place + 1], 320) if fec and place + 1 < len(payloads) else None
        yield decoder.conceal(320) if restored is None else restored


def distance(wanted: Samples, heard: Samples) -> float:
    """How different the spectra of 20 ms each are, in dB: codecs keep the sound, not the waveform."""
    levels = [20 * np.log10(np.abs(np.fft.rfft(samples * np.hanning(320))) + 100) for samples in (wanted, heard)]
    return float(np.sqrt(np.mean(np.square(levels[0] - levels[1]))))


def test_the_rtpmap_says_stereo_at_48000_whatever_goes_in() -> None:
    assert (INFO.rtpmap, INFO.payload_type) == ("opus/48000/2", -1)
    assert (INFO.at(16000).rtpmap, INFO.at(16000).timestamp(320)) == ("opus/48000/2", 960)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_comes_back(rate: int) -> None:
    encoding, decoding = encoder(rate), OpusDecoder(rate)
    heard = np.concatenate([decoding.decode(encoding.encode(f)) for f in in_frames(sine(440, rate, 0.4), rate // 50)])
    assert len(heard) == rate * 0.4
    assert level_at(heard[rate // 10 :], 440, rate) == pytest.approx(10000, rel=0.1)


def test_what_was_encoded_at_one_rate_is_decoded_at_another() -> None:
    decoding = OpusDecoder(48000)
    heard = np.concatenate([decoding.decode(payload) for payload in encoded(sine(440, 16000, 0.4))])
    assert len(heard) == 19200
    assert level_at(heard[4800:], 440, 48000) == pytest.approx(10000, rel=0.1)


@pytest.mark.parametrize("milliseconds", [2.5, 5, 10, 20, 40, 60])
def test_all_durations(milliseconds: float) -> None:
    count = int(48 * milliseconds)
    payload = encoder(48000).encode(sine(440, 48000, milliseconds / 1000))
    decoder = OpusDecoder(48000)
    assert decoder.duration(payload) == len(decoder.decode(payload)) == count


@pytest.mark.parametrize("count", [0, 1, 160, 319, 321, 1280])
def test_other_durations_are_a_mistake(count: int) -> None:
    encoding = encoder(16000)
    if count == 160:
        assert encoding.encode(silence(count))
        return
    with pytest.raises(LocalError, match=f"not {count}"):
        encoding.encode(silence(count))


def test_samples_that_do_not_lie_together_are_encoded() -> None:
    both = np.repeat(sine(440, 16000, 0.02), 2)
    assert encoder().encode(both[::2]) == encoder().encode(both[::2].copy())


# what the other side asks for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, OpusSettings(32000)),
        ({"useinbandfec": "1"}, OpusSettings(32000, fec=True)),
        ({"usedtx": "1", "cbr": "1"}, OpusSettings(32000, dtx=True, constant=True)),
        ({"maxaveragebitrate": "20000"}, OpusSettings(20000)),
        ({"maxaveragebitrate": "64000"}, OpusSettings(32000)),
        ({"maxaveragebitrate": "5999"}, OpusSettings(32000)),
        ({"maxaveragebitrate": "510001"}, OpusSettings(32000)),
        ({"maxaveragebitrate": "-1", "useinbandfec": "yes", "cbr": "2"}, OpusSettings(32000)),
        ({"maxaveragebitrate": "9" * 5000}, OpusSettings(32000)),
        ({"maxplaybackrate": "16000"}, OpusSettings(32000, max_playback_rate=16000)),
    ],
)
def test_the_parameters_of_rfc_7587(parameters: dict[str, str], expected: OpusSettings) -> None:
    assert settings_for(INFO, parameters) == expected


def test_wide_band_needs_fewer_bits() -> None:
    assert settings_for(INFO.at(16000), {}).bitrate == 20000


def test_no_wider_band_is_sent_than_the_other_side_can_play() -> None:
    hiss = noise(48000, 3000)
    heard = {}
    for rate in ("8000", "48000"):
        encoding = codecs.encoder(INFO, {"maxplaybackrate": rate})
        decoding = codecs.decoder(INFO)
        heard[rate] = np.concatenate([decoding.decode(encoding.encode(frame)) for frame in in_frames(hiss, 960)])
    spectra = {rate: np.abs(np.fft.rfft(samples)) for rate, samples in heard.items()}
    # Above 6 kHz: one Hz a bin.
    assert spectra["8000"][6000:].mean() < 0.01 * spectra["48000"][6000:].mean()


def test_constant_bit_rate() -> None:
    encoding = codecs.encoder(INFO, {"cbr": "1"})
    sizes = {len(encoding.encode(frame)) for frame in in_frames(noise(9600, 3000), 960)}
    assert sizes == {80}


# changes at run time ----------------------------------------------------------------------------------------------


def test_an_encoder_is_adjustable() -> None:
    encoding = encoder()
    assert isinstance(encoding, Adjustable)
    assert not isinstance(codecs.encoder(codecs.available()[-1]), Adjustable)
    encoding.adjust(fec=True, expected_loss=10)
    encoding.adjust(complexity=3)
    assert encoding.settings == OpusSettings(24000, fec=True, expected_loss=10, complexity=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bitrate": 5999}, "bitrate of Opus is 6000 to 510000, not 5999"),
        ({"bitrate": 510001}, "bitrate of Opus is 6000 to 510000, not 510001"),
        ({"expected_loss": 101}, "expected_loss of Opus is 0 to 100, not 101"),
        ({"complexity": 11}, "complexity of Opus is 0 to 10, not 11"),
    ],
)
def test_what_is_out_of_range_changes_nothing(changes: dict[str, int], message: str) -> None:
    encoding = encoder()
    with pytest.raises(LocalError, match=message):
        encoding.adjust(fec=True, **changes)  # type: ignore[arg-type]
    assert encoding.settings == OpusSettings(24000)


def test_the_bit_rate_changes_at_once() -> None:
    frames = in_frames(noise(16000, 3000), 320)
    encoding = encoder(bitrate=12000)
    low = sum(len(encoding.encode(frame)) for frame in frames)
    encoding.adjust(bitrate=48000)
    high = sum(len(encoding.encode(frame)) for frame in frames)
    assert low * 8 == pytest.approx(12000, rel=0.25)
    assert high * 8 == pytest.approx(48000, rel=0.25)


def test_dtx_sends_nothing_in_silence_and_speech_again() -> None:
    frames = in_frames(silence(32000), 320)
    assert all(encoded(silence(32000)))
    encoding = encoder(dtx=True)
    sent = [bool(encoding.encode(frame)) for frame in frames]
    assert sent.count(False) > 60
    # The decoder is told of the background now and then.
    assert any(sent[50:])
    assert all(encoding.encode(frame) for frame in in_frames(sine(300, 16000, 0.2), 320))


# loss -------------------------------------------------------------------------------------------------------------


def test_redundancy_brings_back_what_was_lost() -> None:
    spoken = speech(16000)[: 320 * 400]
    settings = {"fec": True, "expected_loss": 20}
    payloads = encoded(spoken, **settings)
    whole = np.concatenate(list(with_losses(payloads, len(payloads) + 1, fec=False)))
    restored, concealed = (np.concatenate(list(with_losses(payloads, 5, fec=fec))) for fec in (True, False))
    lost = [slice(place * 320, place * 320 + 320) for place in range(5, len(payloads) - 1, 5)]
    by_fec = np.mean([distance(whole[place], restored[place]) for place in lost])
    by_concealment = np.mean([distance(whole[place], concealed[place]) for place in lost])
    assert by_fec < 0.75 * by_concealment


def test_without_redundancy_in_the_packet_there_is_concealment() -> None:
    payloads = encoded(sine(300, 16000, 0.2), fec=False)
    decoder = OpusDecoder(16000)
    for payload in payloads[:5]:
        decoder.decode(payload)
    restored = decoder.decode_fec(payloads[6], 320)
    assert restored is not None and rms(restored) > 2000


def test_a_gap_is_concealed_and_fades() -> None:
    decoder = OpusDecoder(16000)
    for payload in encoded(sine(300, 16000, 0.2)):
        decoder.decode(payload)
    gap = [decoder.conceal(320) for _ in range(50)]
    assert rms(gap[0]) > 0.7 * rms(sine(300, 16000, 0.02))
    assert rms(gap[49]) < 100


@pytest.mark.parametrize("count", [0, 1, 39, 40, 41, 320, 1921, 16000])
def test_any_number_of_samples_is_concealed(count: int) -> None:
    decoder = OpusDecoder(16000)
    decoder.decode(encoder().encode(sine(300, 16000, 0.02)))
    assert len(decoder.conceal(count)) == count


@pytest.mark.parametrize(("payload", "count"), [(b"", 320), (b"\xff" * 3, 320), (None, 0), (None, 16000)])
def test_no_redundancy_where_there_can_be_none(payload: bytes | None, count: int) -> None:
    if payload is None:
        payload = encoder().encode(sine(300, 16000, 0.02))
    assert OpusDecoder(16000).decode_fec(payload, count) is None


# malformed payloads -----------------------------------------------------------------------------------------------

# RFC 6716 section 3.4: no octet at all; a code 3 packet without its count, with none, and with more than 120 ms.
MALFORMED = [b"", b"\x03", b"\x03\x00", b"\x1b\x3f" + bytes(100), b"\xff\xff\xff"]


@pytest.mark.parametrize("payload", MALFORMED)
def test_a_malformed_payload_counts_as_lost(payload: bytes) -> None:
    decoder = OpusDecoder(16000)
    for good in encoded(sine(300, 16000, 0.1)):
        decoder.decode(good)
    instead = decoder.decode(payload)
    assert (len(instead), decoder.malformed, decoder.duration(payload)) == (320, 1, 0)
    assert rms(instead) > 2000


def test_two_frames_that_are_not_equally_long_count_as_lost() -> None:
    """3.4, R3: code 1 needs an even number of octets. Nothing but decoding shows that they are missing."""
    decoder = OpusDecoder(16000)
    assert decoder.duration(b"\x01\x00") == 320
    assert len(decoder.decode(b"\x01\x00")) == 320
    assert decoder.malformed == 1


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_payload_raises(payload: bytes) -> None:
    decoder = OpusDecoder(16000)
    duration = decoder.duration(payload)
    decoded = decoder.decode(payload)
    assert 0 < len(decoded) <= 1920
    if not decoder.malformed:
        assert len(decoded) == duration
    restored = decoder.decode_fec(payload, 320)
    assert restored is None or len(restored) == 320


# life -------------------------------------------------------------------------------------------------------------


def test_after_closing_nothing_works_and_nothing_crashes() -> None:
    encoding, decoding = encoder(), OpusDecoder(16000)
    payload = encoding.encode(silence(320))
    for codec in (encoding, decoding):
        codec.close()
        codec.close()
    with pytest.raises(LocalError, match="closed"):
        encoding.encode(silence(320))
    with pytest.raises(LocalError, match="closed"):
        encoding.adjust(fec=True)
    with pytest.raises(LocalError, match="closed"):
        decoding.decode(payload)


def test_what_nobody_closed_is_freed_with_it() -> None:
    for _ in range(200):
        encoder().encode(silence(320))
        OpusDecoder(16000).conceal(320)
    gc.collect()


def test_decoded_samples_are_not_overwritten_by_the_next() -> None:
    decoder = OpusDecoder(16000)
    payloads = encoded(noise(960, 3000))
    first = decoder.decode(payloads[0])
    before = first.copy()
    decoder.decode(payloads[1])
    assert np.array_equal(first, before)
