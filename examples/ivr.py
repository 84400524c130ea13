"""A menu: 1 plays a file, 2 connects to somebody, anything else is asked again.

RINGBACK_PASSWORD=… python examples/ivr.py sip:menu@example.org welcome.wav news.wav sip:desk@example.org
"""

import asyncio
import os
import sys

from ringback import Call, UserAgent, connect

ME, WELCOME, NEWS, DESK = sys.argv[1:5]


async def main() -> None:
    async with UserAgent(ME, password=os.environ["RINGBACK_PASSWORD"]) as agent:

        async def menu(call: Call) -> None:
            await call.answer()
            while call.state == "established":
                _, choice = await asyncio.gather(call.play(WELCOME), call.gather(count=1))
                if choice == "1":
                    await call.play(NEWS)
                elif choice == "2":
                    await connect(call, await agent.call(DESK))

        await agent.serve(menu)


asyncio.run(main())
