# What the chosen slot does: the board, then the device on it until it is to be reset.
import asyncio
import sys


async def live():
    from board.device import Board
    from node import app

    loader = sys.modules.get("loader")
    board = Board(loader.running if loader else None)
    try:
        why = await app.run(board)
    except Exception as error:
        sys.print_exception(error)
        await board.clock.sleep_ms(10000)  # long enough to be read at a cable, and to be no storm of resets
        why = "failed"
    if why != "stop":
        board.reset(why or "ended")


def main():
    asyncio.run(live())


if __name__ == "__main__":
    main()
