"""The skeleton of a voice bot: it listens, it thinks, it speaks, and it falls silent when it is interrupted.

`think` is where your speech recognition, language model and synthesis go: it takes what was heard and gives what to
say. Here it only waits for a pause and repeats. `python examples/voice_bot.py`, then call sip:127.0.0.1:5070.
"""

import asyncio

import numpy as np

from ringback import Call, UserAgent

RATE = 16000


async def think(heard: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(heard)


async def talk(call: Call) -> None:
    await call.answer()
    heard: list[np.ndarray] = []
    silent = 0
    async for frame in call.audio(rate=RATE):
        loud = np.abs(frame).max() > 1000
        silent = 0 if loud else silent + 1
        if loud:
            call.flush()
            heard.append(frame)
        elif heard and silent == 25:
            await call.send_audio(await think(heard), rate=RATE)
            heard = []


async def main() -> None:
    async with UserAgent("sip:bot@127.0.0.1", listen=["udp:127.0.0.1:5070"]) as agent:
        await agent.serve(talk)


asyncio.run(main())
