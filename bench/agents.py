"""What is measured in the rows of user agents: ours, sipp and baresip, each as a process of its own."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np

from bench import sipp
from bench.process import BenchError, Child
from bench.sipp import Load
from bench.systems import System, answers
from ringback.media.resample import resample
from ringback.media.samples import silence
from ringback.media.wav import WavReader

ROOT = Path(__file__).parent.parent
MODULES = (Path("/usr/lib/baresip/modules"), Path("/usr/lib/x86_64-linux-gnu/baresip/modules"))
TEXT = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the "
    "depth of a well. These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of "
    "lemons makes fine punch. The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage."
)


class Agent(System):
    """A user agent of ours in a process of its own (bench/agent_worker.py), which answers and does as it is told.

    media    "fixed" or "process", as the worker has it
    """

    name = "Ringback"

    def __init__(
        self,
        directory: Path,
        port: int,
        media: str = "fixed",
        *,
        pure: bool = False,
        play: Path | None = None,
        codec: str = "PCMU",
        sample_rate: int = 48000,
    ) -> None:
        super().__init__(directory, port, media)
        self._pure = pure
        self._settings: dict[str, Any] = {
            "port": port,
            "media": media,
            "codecs": [codec],
            "play": str(play) if play is not None else "",
            "sample_rate": sample_rate,
        }
        self._told = 0

    def version(self) -> str:
        """Not asked: the report has that of the server, which is the same."""
        return "Ringback"

    def start(self) -> None:
        """Start it and wait until it takes calls."""
        environment = dict(os.environ)
        if self._pure:
            environment["RINGBACK_PURE"] = "1"
        command: list[str | Path] = [sys.executable, "-m", "bench.agent_worker", json.dumps(self._settings)]
        self._told = 0
        log = self.directory / "agent.log"
        self.child = Child(command, log, cwd=ROOT, env=environment, stdin=subprocess.PIPE)
        self._hear(20)

    def stop(self) -> None:
        """The end of its input ends it, and its calls."""
        if self.child is not None and self.child.running():
            assert self.child.process.stdin is not None
            self.child.process.stdin.close()
            try:
                self.child.wait(15)
            except BenchError:
                pass  # it is ended by a signal then
        super().stop()

    def ask(self, order: str, seconds: float = 30, **arguments: Any) -> dict[str, Any]:
        """Have the worker do something, and wait for what it says. BenchError when it fails or takes too long."""
        child = self._running()
        assert child.process.stdin is not None
        child.process.stdin.write(json.dumps({"do": order, **arguments}).encode() + b"\n")
        child.process.stdin.flush()
        return self._hear(seconds)

    def _hear(self, seconds: float) -> dict[str, Any]:
        """The next line of the worker; what libraries print between them is no JSON object."""
        child = self._running()
        child.wait_until(lambda: len(self._lines()) > self._told, seconds, "answer of the worker")
        found: dict[str, Any] = json.loads(self._lines()[self._told])
        self._told += 1
        if "error" in found:
            raise BenchError(f"{self.name}: {found['error']}\n{child.output()}")
        return found

    def _lines(self) -> list[str]:
        text = self._running().log.read_text(errors="replace")
        return [line for line in text.split("\n")[:-1] if line.startswith("{")]

    def place(self, target: int, rate: float, count: int, directory: Path) -> Load:
        """Complete calls to 127.0.0.1:`target`."""
        made = self.ask("call", count / rate * 3 + 60, target=f"sip:u1@127.0.0.1:{target}", rate=rate, count=count)
        problem = f"{made['failed']} failed calls, {made['problem']}" if made["failed"] else ""
        return Load(count - made["failed"], 0, 0, made["seconds"], problem)


class SippAnswers(System):
    """A sipp that answers (uas.xml), alive for a whole row."""

    name = "sipp"

    def version(self) -> str:
        """Not asked: the report has it."""
        return "sipp"

    def start(self) -> None:
        """Start it."""
        self._answerer = sipp.Answerer(self.directory, self.port)
        self.child = self._answerer.child


class SippCalls(System):
    """A sipp that calls (uac.xml): a process a round, whose CPU is counted when it has ended, with its start."""

    name = "sipp"

    def __init__(self, directory: Path, port: int, users: Path) -> None:
        super().__init__(directory, port)
        self._users = users
        self._used = 0.0

    def version(self) -> str:
        """Not asked: the report has it."""
        return "sipp"

    def start(self) -> None:
        """Nothing runs between rounds."""

    def cpu(self) -> float:
        """Of all that have ended."""
        return self._used

    def place(self, target: int, rate: float, count: int, directory: Path) -> Load:
        """Complete calls to 127.0.0.1:`target`."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        caller = sipp.Caller(
            "uac.xml", directory, target=target, port=self.port, users=self._users, rate=int(rate), count=count
        )
        load = caller.finish()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._used += after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return load


class Baresip(System):
    """A baresip that answers every call and says `play` into each."""

    name = "baresip"

    def __init__(self, directory: Path, port: int, media_port: int, play: Path, codec: str, most: int) -> None:
        """`codec`: "PCMU" or "opus"; `most`: how many calls there may be; media takes ports from `media_port` on."""
        super().__init__(directory, port)
        self._media_port = media_port
        self._play = play
        self._codec = codec
        self._most = most

    @staticmethod
    def version() -> str:
        """What it calls itself. BenchError when it is not installed."""
        if shutil.which("baresip") is None:
            raise BenchError("baresip is not installed")
        text = subprocess.run(["baresip", "-h"], capture_output=True, text=True).stdout
        return text.partition(" Copyright")[0].strip() or "baresip"

    def start(self) -> None:
        """Write its configuration, start it, and wait until it answers an OPTIONS."""
        self.version()
        modules = next((path for path in MODULES if path.is_dir()), None)
        if modules is None:
            raise BenchError("the modules of baresip are not installed")
        self.directory.mkdir(parents=True, exist_ok=True)
        name, rate, channels = ("opus/48000/2", 48000, 2) if self._codec == "opus" else ("PCMU/8000/1", 8000, 1)
        # What is heard goes nowhere, as with ours: aubridge plays to who listens to the device, which nobody does.
        (self.directory / "config").write_text(
            f"sip_listen 127.0.0.1:{self.port}\nnet_interface 127.0.0.1\ncall_max_calls {self._most}\n"
            f"audio_path {self.directory}\naudio_player aubridge,nobody\naudio_alert aubridge,nobody\n"
            f"audio_source aufile,{self._play}\nausrc_srate {rate}\nauplay_srate {rate}\n"
            f"ausrc_channels {channels}\nauplay_channels {channels}\n"
            f"rtp_ports {self._media_port}-{self._media_port + 4 * self._most}\n"
            # As our encoder is set, so that both do the same work.
            "opus_bitrate 32000\nopus_complexity 5\nopus_application voip\nopus_inbandfec no\nopus_dtx no\n"
            f"opus_packet_loss 0\nopus_stereo no\nopus_sprop_stereo no\nmodule_path {modules}\n"
            "module g711.so\nmodule opus.so\nmodule aufile.so\nmodule aubridge.so\n"
            "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\n"
        )
        (self.directory / "accounts").write_text(
            f"<sip:bench@127.0.0.1>;answermode=auto;regint=0;ptime=20;audio_codecs={name}\n"
        )
        self.child = Child(["baresip", "-f", self.directory], self.directory / "baresip.log", cwd=self.directory)
        self.child.wait_until(lambda: answers(self.port), 15, "answer to OPTIONS")


class Talking:
    """CPU of a system while calls with media run, without that of setting them up: what `interleave` measures."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.name = system.name
        self._used = 0.0

    def cpu(self) -> float:
        """Of all times that were counted."""
        return self._used

    def count(self, seconds: float) -> float:
        """Wait for so many seconds, and count what is used meanwhile; gives the seconds that it was."""
        began, before = time.monotonic(), self.system.cpu()
        time.sleep(seconds)
        self._used += self.system.cpu() - before
        return time.monotonic() - began


def make_speech(path: Path, rate: int, channels: int, seconds: float) -> Path:
    """A WAV in which espeak-ng speaks, again and again, so many seconds long. BenchError when it is not installed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = path.with_name("said.wav")
    if not said.exists():
        if shutil.which("espeak-ng") is None:
            raise BenchError("espeak-ng is not installed")
        command = ["espeak-ng", "-v", "en-us", "-s", "160", "-w", str(said), TEXT]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    with WavReader(said) as reader:
        own = reader.format.rate
        once = resample(reader.read(600 * own, own), own, rate)
    whole = np.resize(np.concatenate([once, silence(rate // 2)]), round(seconds * rate))
    # `WavWriter` has one channel.
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(whole.astype("<i2"), channels).tobytes())
    return path
