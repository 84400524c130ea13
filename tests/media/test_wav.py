"""WAV files: every format, every rate, broken files, and recordings that end early."""

import io
import os
import shutil
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import LocalError
from ringback.media.codecs import pcma, pcmu
from ringback.media.playout import Playout
from ringback.media.samples import Samples, silence
from ringback.media.wav import WavFormat, WavReader, WavWriter
from tests.media.sounds import in_frames, level_at, noise, ratio, sine

TONE = sine(440, 8000, 0.5)


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) & 1)


def wav(data: bytes, kind: int = 1, bits: int = 16, rate: int = 8000, channels: int = 1, before: bytes = b"") -> bytes:
    frame = bits // 8 * channels
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits)
    body = b"WAVE" + before + chunk(b"fmt ", form) + chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def read(data: bytes, rate: int = 8000, count: int = 10**6) -> Samples:
    return WavReader(io.BytesIO(data)).read(count, rate)


def three_octets(samples: Samples) -> bytes:
    return b"".join(struct.pack("<i", int(sample) << 8)[:3] for sample in samples)


FORMATS = {
    "PCM 8": (1, 8, lambda samples: ((samples >> 8) + 128).astype(np.uint8).tobytes(), 256),
    "PCM 16": (1, 16, lambda samples: samples.astype("<i2").tobytes(), 0),
    "PCM 24": (1, 24, three_octets, 0),
    "PCM 32": (1, 32, lambda samples: (samples.astype("<i4") << 16).tobytes(), 0),
    "float 32": (3, 32, lambda samples: (samples / 32768).astype("<f4").tobytes(), 0),
    "float 64": (3, 64, lambda samples: (samples / 32768).astype("<f8").tobytes(), 0),
    "A-law 8": (6, 8, lambda samples: pcma.COMPRESS[samples.view(np.uint16)].tobytes(), 512),
    "µ-law 8": (7, 8, lambda samples: pcmu.COMPRESS[samples.view(np.uint16)].tobytes(), 512),
}


@pytest.mark.parametrize("name", list(FORMATS))
def test_all_formats(name: str) -> None:
    kind, bits, encode, error = FORMATS[name]
    data = wav(encode(TONE), kind, bits)
    reader = WavReader(io.BytesIO(data))
    encoding = name.split()[0]
    assert reader.format == WavFormat(encoding, bits, 8000, 1)
    assert (reader.length, reader.duration) == (4000, 0.5)
    samples = reader.read(10_000, 8000)
    assert len(samples) == 4000
    assert np.abs(samples.astype(np.int32) - TONE).max() <= error


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("channels", [2, 3])
def test_channels_are_mixed_down(name: str, channels: int) -> None:
    kind, bits, encode, error = FORMATS[name]
    tones = [sine(440 * (number + 1), 8000, 0.1, 9000) for number in range(channels)]
    together = np.stack(tones, axis=1).ravel()
    samples = read(wav(encode(together), kind, bits, channels=channels))
    expected = np.mean(tones, axis=0)
    assert np.abs(samples - expected).max() <= error + 1


@pytest.mark.parametrize("first", [8000, 11025, 16000, 22050, 44100, 48000, 44056])
@pytest.mark.parametrize("second", [8000, 16000, 48000])
def test_any_rate_becomes_any_other(first: int, second: int) -> None:
    data = wav(sine(440, first, 0.5).tobytes(), rate=first)
    samples = read(data, second)
    # The filter's tail of some milliseconds comes on top.
    assert second * 0.5 <= len(samples) < second * 0.52
    assert level_at(samples[second // 20 : second * 9 // 20], 440, second) == pytest.approx(10000, rel=0.02)


def test_extensible_files() -> None:
    form = struct.pack("<HHIIHH", 0xFFFE, 1, 8000, 16000, 2, 16) + struct.pack("<HHI", 22, 16, 4)
    form += struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    body = b"WAVE" + chunk(b"fmt ", form) + chunk(b"data", TONE.tobytes())
    assert np.array_equal(read(b"RIFF" + struct.pack("<I", len(body)) + body), TONE)


def test_other_chunks_are_skipped() -> None:
    before = chunk(b"LIST", b"odd") + chunk(b"fact", bytes(4))
    assert np.array_equal(read(wav(TONE.tobytes(), before=before)), TONE)
    behind = wav(TONE.tobytes()) + chunk(b"LIST", b"this is no sound, and not to be heard")
    assert np.array_equal(read(behind), TONE)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_file_that_is_still_written_is_read_to_its_end(size: int) -> None:
    data = bytearray(wav(TONE.tobytes()))
    data[40:44] = struct.pack("<I", size)
    reader = WavReader(io.BytesIO(bytes(data)))
    assert (reader.length, reader.duration) == (None, None)
    assert np.array_equal(reader.read(10_000, 8000), TONE)


def test_a_file_that_ends_too_early_is_read_as_far_as_it_goes() -> None:
    assert np.array_equal(read(wav(TONE.tobytes())[:-1001]), TONE[:-501])


def test_a_file_that_cannot_seek_is_read() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation("seek")

    data = wav(TONE.tobytes(), before=chunk(b"LIST", bytes(200_001)))
    assert np.array_equal(WavReader(Pipe(data)).read(10_000, 8000), TONE)


def test_floats_that_are_none_are_silent_and_loud_ones_are_held() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 2.0, -2.0, 0.5], dtype="<f4")
    assert read(wav(values.tobytes(), 3, 32)).tolist() == [0, 32767, -32768, 32767, -32768, 16384]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no WAV file"),
        (b"RIFF", "no WAV file"),
        (b"OggS" + bytes(100), "does not begin with RIFF"),
        (b"RIFX" + bytes(4) + b"WAVE", "does not begin with RIFF"),
        (b"RIFF" + bytes(4) + b"WAVE", "no data chunk"),
        (b"RIFF" + bytes(4) + b"WAVE" + chunk(b"data", bytes(8)), "its sound comes before its format"),
        (b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", bytes(8)), "has 8 octets, too few"),
        (b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", b"\x01\x00" * 8), "WAV format 1 with 1 bits cannot be read"),
        (wav(bytes(8), kind=2, bits=4), "WAV format 2 with 4 bits cannot be read; PCM of 8, 16"),
        (wav(bytes(8), kind=85, bits=16), "WAV format 85 with 16 bits"),
        (wav(bytes(8), bits=12), "WAV format 1 with 12 bits"),
        (wav(bytes(8), channels=0), "0 channels; there may be 1 to 32"),
        (wav(bytes(8), channels=33), "33 channels"),
        (wav(bytes(8), rate=0), "0 samples a second; there may be 1000 to 384000"),
        (wav(bytes(8), rate=400_000_000), "400000000 samples a second"),
        (b"RIFF" + bytes(4) + b"WAVE" + chunk(b"LIST", b"") * 2000, "no data chunk"),
    ],
)
def test_what_is_wrong_with_a_file(data: bytes, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        WavReader(io.BytesIO(data))


def test_a_message_names_the_file_and_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "music.wav"
    path.write_bytes(b"ID3")
    # An open file that nobody refers to would be a warning, which is an error here.
    with pytest.raises(LocalError, match=r"music\.wav is no WAV file"):
        WavReader(path)
    with pytest.raises(FileNotFoundError):
        WavReader(tmp_path / "missing.wav")


@given(st.binary(max_size=300), st.integers(0, 60))
def test_any_file_is_read_or_refused(garbage: bytes, place: int) -> None:
    data = bytearray(wav(bytes(200)))
    data[place : place + len(garbage)] = garbage
    try:
        reader = WavReader(io.BytesIO(bytes(data)))
    except LocalError:
        return
    assert len(reader.read(1000, 8000)) <= 1000


# as a source --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 80, 160, 999])
def test_in_pieces(count: int) -> None:
    reader = WavReader(io.BytesIO(wav(TONE.tobytes())))
    pieces = []
    while len(piece := reader.read(count, 8000)):
        pieces.append(piece)
    assert {len(piece) for piece in pieces[:-1]} <= {count}
    assert np.array_equal(np.concatenate(pieces), TONE)
    assert len(reader.read(count, 8000)) == 0


def test_no_more_is_read_than_is_needed() -> None:
    file = io.BytesIO(wav(silence(800_000).tobytes()))
    reader = WavReader(file)
    reader.read(160, 8000)
    assert file.tell() == 44 + 1600


def test_frames_the_last_filled_up() -> None:
    with WavReader(io.BytesIO(wav(TONE[:400].tobytes()))) as reader:
        frames = list(reader.frames(8000))
    assert [len(frame) for frame in frames] == [160, 160, 160]
    assert np.array_equal(np.concatenate(frames), np.concatenate((TONE[:400], silence(80))))


def test_in_the_playout_queue(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(wav(TONE[:320].tobytes()))
    playout, told = Playout(8000), []
    playout.play(WavReader(path))
    playout.mark(told.append)
    first, second = playout.pull(160), playout.pull(160)
    assert first is not None and second is not None
    assert np.array_equal(np.concatenate((first, second)), TONE[:320])
    assert playout.pull(160) is None
    assert told == [True]


def test_another_rate_in_the_middle() -> None:
    reader = WavReader(io.BytesIO(wav(sine(440, 8000, 1.0).tobytes())))
    first = reader.read(4000, 8000)
    second = reader.read(100_000, 48000)
    third = reader.read(1, 16000)
    assert (len(first), len(third)) == (4000, 0)
    assert 23_500 < len(second) < 25_500
    assert level_at(second[3000:21000], 440, 48000) == pytest.approx(10000, rel=0.05)


def test_what_others_have_written(tmp_path: Path) -> None:
    if shutil.which("sox") is None:
        pytest.skip("not installed: sox")
    path = tmp_path / "sox.wav"
    effects = ["synth", "0.5", "sine", "440", "gain", "-6"]
    for options in ("-b 24", "-e a-law", "-e mu-law", "-e floating-point", "-b 8", "-c 2"):
        command = ["sox", "-n", "-r", "44100", "-c", "1", *options.split(), str(path), *effects]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        samples = WavReader(path).read(100_000, 16000)
        assert len(samples) >= 8000
        assert level_at(samples[800:7200], 440, 16000) == pytest.approx(16384, rel=0.03)


# writing ------------------------------------------------------------------------------------------------------------


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "record.wav"
    with WavWriter(path, 8000) as writer:
        for frame in in_frames(TONE, 160):
            writer.write(frame)
    assert writer.written == 4000
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (1, 2, 8000, 4000)
        assert file.readframes(4000) == TONE.tobytes()
    assert np.array_equal(WavReader(path).read(10_000, 8000), TONE)


def test_an_empty_recording_is_a_file() -> None:
    file = io.BytesIO()
    WavWriter(file, 16000).close()
    with wave.open(io.BytesIO(file.getvalue())) as written:
        assert (written.getnframes(), written.getframerate()) == (0, 16000)


def test_samples_of_another_rate_are_converted() -> None:
    file = io.BytesIO()
    with WavWriter(file, 16000) as writer:
        writer.write(sine(440, 16000, 0.5))
        for frame in in_frames(sine(440, 48000, 0.5), 960):
            writer.write(frame, 48000)
        writer.write(sine(440, 16000, 0.5), 16000)
    samples = read(file.getvalue(), 16000)
    assert len(samples) == pytest.approx(24_000, abs=100)
    for start in (800, 8800, 17200):
        assert level_at(samples[start : start + 6400], 440, 16000) == pytest.approx(10000, rel=0.02)


def test_at_any_moment_the_file_is_valid_and_lacks_half_a_second_at_most() -> None:
    file = io.BytesIO()
    writer = WavWriter(file, 8000)
    samples = noise(24_000)
    for number, frame in enumerate(in_frames(samples, 160), start=1):
        writer.write(frame)
        with wave.open(io.BytesIO(file.getvalue())) as written:
            count = written.getnframes()
            assert number * 160 - 4000 < count <= number * 160
            assert written.readframes(count) == samples[:count].tobytes()


def test_a_killed_process_leaves_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "killed.wav"
    code = (
        "import os, sys, numpy as np\n"
        "from ringback.media.wav import WavWriter\n"
        "writer = WavWriter(sys.argv[1], 8000)\n"
        "for _ in range(120): writer.write(np.full(160, 7, dtype=np.int16))\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, env={**os.environ})
    samples = WavReader(path).read(100_000, 8000)
    assert 15_200 <= len(samples) <= 19_200
    assert set(samples.tolist()) == {7}


def test_frames_may_be_reused_by_the_caller() -> None:
    file = io.BytesIO()
    frame = np.full(160, 5, dtype=np.int16)
    with WavWriter(file, 8000) as writer:
        writer.write(frame)
        frame[:] = 0
    assert read(file.getvalue()).tolist() == [5] * 160


def test_after_closing_nothing_is_taken() -> None:
    writer = WavWriter(io.BytesIO(), 8000)
    writer.close()
    writer.close()
    with pytest.raises(LocalError, match="is closed"):
        writer.write(TONE)


def test_a_full_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WavWriter, "MOST", 400)
    file = io.BytesIO()
    writer = WavWriter(file, 8000)
    writer.write(TONE[:300])
    with pytest.raises(LocalError, match="is full: a WAV file holds up to 4 GiB"):
        writer.write(TONE[:101])
    writer.close()
    assert np.array_equal(read(file.getvalue()), TONE[:300])
    assert WavWriter.MOST == 400


def test_a_file_of_the_caller_stays_open_and_begins_where_it_was() -> None:
    file = io.BytesIO()
    file.write(b"before")
    with WavWriter(file, 8000) as writer:
        writer.write(TONE)
    assert not file.closed
    assert file.getvalue()[:10] == b"beforeRIFF"
    assert ratio(TONE, read(file.getvalue()[6:])) > 90


def test_rates_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="1000 to 384000 samples a second, not 0"):
        WavWriter(tmp_path / "x.wav", 0)
    assert not (tmp_path / "x.wav").exists()
