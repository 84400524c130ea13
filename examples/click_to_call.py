"""Connects two people: rings the first, then the second, and lets them talk.

RINGBACK_PASSWORD=… python examples/click_to_call.py sip:office@example.org sip:alice@example.org sip:bob@example.com
"""

import asyncio
import os
import sys

from ringback import CallFailed, UserAgent, connect

ME, FIRST, SECOND = sys.argv[1:4]


async def main() -> None:
    async with UserAgent(ME, password=os.environ["RINGBACK_PASSWORD"]) as agent:
        try:
            async with agent.call(FIRST) as first, agent.call(SECOND) as second:
                cause = await connect(first, second)
                print("ended:", cause.reason or "hung up")
        except CallFailed as failure:
            print("failed:", failure)


asyncio.run(main())
