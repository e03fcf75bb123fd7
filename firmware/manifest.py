# What an image of one's own freezes: the loader and what it shares with the slots, so that they cost no RAM.
# make BOARD=ESP32_GENERIC BOARD_VARIANT=OTA FROZEN_MANIFEST=…/firmware/manifest.py, with partitions.csv as its table.
# The image that MicroPython's project gives out needs none of this: `kraj firmware flash` puts the loader beside it.
include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
module("loader.py")  # noqa: F821
module("release.py", base_path="node")  # noqa: F821
module("state.py", base_path="node")  # noqa: F821
module("flash.py", base_path="board")  # noqa: F821
