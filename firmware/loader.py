# What starts first: it chooses the slot, mounts it and imports what lies there.
# No update changes it. It lies flat in the small file system, beside the few modules that it shares with the slots.
#
# The confirmed slot is never written by an update. A version on trial has its starts counted before it runs, so
# whatever it does (hangs, dies, restarts) it ends; then the confirmed one runs again.
import io
import sys

try:
    from node import release
except ImportError:  # in the file system there are no folders
    import release

BLOCK_SIZE = 11  # MP_STREAM_GET_BUFFER_SIZE
CLOSE = 4

# What was started: slot, trial (True, False), version, name. The new version asks here what it is.
running = {"slot": 0, "trial": False, "version": 0, "name": "0"}


# What to start: (slot, on trial, manifest), or None where no slot is whole. Counts a trial down before anything is
# started.
def choose(areas, state, feed=None):
    if state.trial > 0:
        other = 1 - state.slot
        counted = True
        try:
            state.keep(trial=state.trial - 1)
        except OSError:  # flash that cannot be written cannot count: no trial
            counted = False
        found = release.in_slot(areas[f"code_{other}"], feed) if counted else None
        if found and found["version"] > state.floor:
            return other, True, found
    # The other one only when flash has lost the confirmed one: it was signed as well, or it would not be there.
    for slot in (state.slot, 1 - state.slot):
        found = release.in_slot(areas[f"code_{slot}"], feed)
        if found:
            return slot, False, found
    return None


# A file of a slot, read where it lies.
class File(io.IOBase):
    def __init__(self, area, offset, size):
        self.area = area
        self.offset = offset
        self.end = offset + size

    def readinto(self, buffer):
        size = min(len(buffer), self.end - self.offset)
        if size:
            buffer[:size] = self.area.read(self.offset, size)
            self.offset += size
        return size

    def ioctl(self, request, _argument):
        if request == BLOCK_SIZE:
            return 512
        return 0 if request == CLOSE else -1


# The files of a manifest as a file system that nobody can write to.
class Files:
    def __init__(self, area, files):
        self.area = area
        self.files = {"/" + name: (offset, size) for name, offset, size, _ in files}
        self.folders = {"/"}
        for name in self.files:
            while name:
                name = name[: name.rfind("/")]
                self.folders.add(name or "/")

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def chdir(self, path):
        pass

    def getcwd(self):
        return "/"

    def stat(self, path):
        if path[:1] != "/":
            path = "/" + path
        if path in self.files:
            return (0x8000, 0, 0, 0, 0, 0, self.files[path][1], 0, 0, 0)
        if path.rstrip("/") in self.folders or path == "/":
            return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        raise OSError(2)

    def open(self, path, mode):
        if path[:1] != "/":
            path = "/" + path
        if path not in self.files:
            raise OSError(2)
        if "r" not in mode or "+" in mode:
            raise OSError(30)
        return File(self.area, *self.files[path])

    def ilistdir(self, path):
        at = path.rstrip("/") + "/"
        for name in self.folders:
            if name != "/" and name[: name.rfind("/") + 1] == at:
                yield name[len(at) :], 0x4000, 0
        for name, (_, size) in self.files.items():
            if name[: name.rfind("/") + 1] == at:
                yield name[len(at) :], 0x8000, 0, size


# Chooses, mounts and makes importable; False where there is nothing whole to start.
def mount(areas, state, feed=None, at="/code"):
    import vfs

    found = choose(areas, state, feed)
    if found is None:
        return False
    slot, trial, manifest = found
    running.update({"slot": slot, "trial": trial, "version": manifest["version"], "name": manifest["name"]})
    vfs.mount(Files(areas[f"code_{slot}"], manifest["files"]), at, readonly=True)
    sys.path[:] = [at, ".frozen"]
    return True


# Called by main.py of the small file system. The modules that the loader used are let go: the slot has its own.
def start():
    import flash
    import machine
    import state

    watchdog = machine.WDT(timeout=60000)
    areas = flash.areas()
    if not mount(areas, state.State(areas["state"]), watchdog.feed):
        raise RuntimeError("no slot holds a whole release: flash this device by cable")
    for name in ("flash", "state", "release"):
        sys.modules.pop(name, None)
    import main

    main.main()
