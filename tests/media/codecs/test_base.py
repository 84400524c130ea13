"""What a codec's description says."""

import pytest

from ringback.errors import LocalError
from ringback.media.codecs.base import CodecInfo, always, refuse_sample_rate


def test_the_rtpmap_names_channels_only_when_there_are_several() -> None:
    assert CodecInfo("PCMU", 8000, 8000).rtpmap == "PCMU/8000"
    assert CodecInfo("opus", 48000, 48000, channels=2).rtpmap == "opus/48000/2"


@pytest.mark.parametrize(
    ("info", "samples", "timestamp"),
    [
        (CodecInfo("PCMU", 8000, 8000), 160, 160),
        (CodecInfo("G722", 8000, 16000), 320, 160),
        (CodecInfo("opus", 48000, 48000), 960, 960),
        (CodecInfo("opus", 48000, 16000), 320, 960),
    ],
)
def test_samples_and_timestamps_of_20_ms(info: CodecInfo, samples: int, timestamp: int) -> None:
    assert info.samples(20) == samples
    assert info.timestamp(samples) == timestamp


def test_the_same_codec_at_another_rate() -> None:
    info = CodecInfo("opus", 48000, 48000, channels=2, fmtp="useinbandfec=1")
    assert info.at(16000) == CodecInfo("opus", 48000, 16000, channels=2, fmtp="useinbandfec=1")


def test_a_rate_that_the_codec_does_not_know_is_refused() -> None:
    info = CodecInfo("opus", 48000, 11025)
    with pytest.raises(LocalError, match="opus works with 8000, 16000 samples a second, not with 11025"):
        refuse_sample_rate(info, (8000, 16000))
    refuse_sample_rate(info, (11025,))


def test_what_needs_nothing_is_always_available() -> None:
    assert always() is True
