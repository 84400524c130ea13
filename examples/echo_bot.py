"""Whoever calls hears himself. `python examples/echo_bot.py`, then call sip:127.0.0.1:5070 with any phone."""

import asyncio

from ringback import Call, UserAgent


async def echo(call: Call) -> None:
    await call.answer()
    async for frame in call.audio(rate=16000):
        await call.send_audio(frame, rate=16000)


async def main() -> None:
    async with UserAgent("sip:echo@127.0.0.1", listen=["udp:127.0.0.1:5070"]) as agent:
        await agent.serve(echo)


asyncio.run(main())
