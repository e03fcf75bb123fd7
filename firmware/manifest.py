# What an image of our own (KRAJ_NODE/) freezes: the loader, what it shares with the slots, and the firmware's names.
# Neither takes memory then. The image that MicroPython's project gives out needs none of this: there
# `kraj firmware flash` puts the loader into the small file system.
include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
module("loader.py")  # noqa: F821
module("names.py")  # noqa: F821
module("release.py", base_path="node")  # noqa: F821
module("state.py", base_path="node")  # noqa: F821
module("flash.py", base_path="board")  # noqa: F821
