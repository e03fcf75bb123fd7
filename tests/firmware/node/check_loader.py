# Under MicroPython: a container in fake flash, chosen, mounted and imported from; flat as in a device's file system.
import sys

import loader
import state
import vfs


class Area:
    def __init__(self, sectors, data=b""):
        self.sectors = sectors
        self.data = bytearray(data) + bytearray(b"\xff" * (sectors * 4096 - len(data)))

    def read(self, offset, size):
        return bytes(memoryview(self.data)[offset : offset + size])

    def write(self, offset, data):
        self.data[offset : offset + len(data)] = data

    def erase(self, sector):
        self.write(sector * 4096, b"\xff" * 4096)


with open("container.bin", "rb") as file:
    areas = {"state": Area(4), "code_0": Area(34), "code_1": Area(34, file.read())}
# What an interpreter mounts by itself where it finds a ROM file system: a slot begins otherwise, and is none.
print(sys.path, [at for _, at in vfs.mount()])
before = list(sys.path)
kept = state.State(areas["state"])
assert not loader.mount({"state": areas["state"], "code_0": Area(34), "code_1": Area(34)}, kept)
kept.keep(slot=0, trial=1)
assert loader.mount(areas, kept)
print([loader.running[name] for name in ("slot", "trial", "version", "name", "in_place")], sys.path)
from node import program  # noqa: E402

print(program.__file__, program.date(19782))
import os  # noqa: E402

# Everything pure can be imported from where it lies, each by its own.
for folder in ("node", "node/kinds", "node/metrics"):
    for entry in os.ilistdir("/code/" + folder):
        if entry[0][-4:] == ".mpy":
            __import__((folder + "/" + entry[0][:-4]).replace("/", "."))
print(len([name for name in sys.modules if name[:5] == "node."]))

names = sorted(entry[0] for entry in os.ilistdir("/code"))
print(" ".join(names))
for wrong in (
    lambda: open("/code/x.mpy", "rb"),  # noqa: SIM115
    lambda: open("/code/main.mpy", "wb"),  # noqa: SIM115
    lambda: os.stat("/code/nod"),
    lambda: __import__("node.nothing"),
):
    try:
        wrong()
        print("was possible")
    except (OSError, ImportError):
        pass
buffer = bytearray(8192)
size = open("/code/node/program.mpy", "rb").readinto(buffer)  # noqa: SIM115
print(bytes(buffer[:2]), size)
del sys.path[:]
sys.path.extend(before)
