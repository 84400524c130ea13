"""The list of codecs."""

import pytest

from ringback.errors import LocalError
from ringback.media import codecs
from ringback.media.codecs import CodecInfo, opus, opus_library

WITHOUT_OPUS = ["G722/8000", "PCMU/8000", "PCMA/8000", "L16/16000", "L16/8000", "L16/48000", "L16/44100"]


@pytest.fixture
def no_opus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "library", lambda: None)


def test_every_codec_can_be_made() -> None:
    for info in codecs.available():
        encoder, decoder = codecs.encoder(info), codecs.decoder(info)
        assert encoder.sample_rate == decoder.sample_rate == info.sample_rate
        encoder.close()
        decoder.close()


def test_without_its_library_opus_is_not_offered(no_opus: None) -> None:
    assert [info.rtpmap for info in codecs.available()] == WITHOUT_OPUS
    assert codecs.find("opus") is None
    assert opus.version() is None
    with pytest.raises(LocalError, match="the library of opus is not installed"):
        codecs.encoder(opus.INFO)
    with pytest.raises(LocalError, match="the library of opus is not installed"):
        codecs.decoder(opus.INFO)


@pytest.mark.skipif(opus_library.library() is None, reason="not installed: libopus")
def test_with_its_library_opus_comes_first() -> None:
    assert [info.rtpmap for info in codecs.available()] == ["opus/48000/2", *WITHOUT_OPUS]


def test_names_are_compared_without_case() -> None:
    found = codecs.find("pcmu", 8000, 1)
    assert found is not None and found.name == "PCMU"


@pytest.mark.parametrize(("name", "rate", "channels"), [("PCMU", 16000, 0), ("G722", 8000, 2), ("G729", 8000, 1)])
def test_what_is_not_there_is_not_found(name: str, rate: int, channels: int) -> None:
    assert codecs.find(name, rate, channels) is None


def test_static_payload_types() -> None:
    names = {number: info.name for number in range(128) if (info := codecs.static(number)) is not None}
    assert names == {0: "PCMU", 8: "PCMA", 9: "G722", 11: "L16"}
    assert codecs.static(-1) is None


def test_parameters_may_be_in_any_case() -> None:
    codecs.encoder(codecs.available()[-1], {"UseInbandFEC": "1"})


def test_an_unknown_codec_is_a_mistake() -> None:
    with pytest.raises(LocalError, match="there is no codec GSM/8000"):
        codecs.encoder(CodecInfo("GSM", 8000, 8000))
    with pytest.raises(LocalError, match="there is no codec PCMU/16000"):
        codecs.decoder(CodecInfo("PCMU", 16000, 16000))
