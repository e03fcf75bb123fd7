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
FOLDER, FILE = 4, 5  # of ROMFS
MAGIC_SIZE = 3

# What was started: slot, trial (True, False), version, name, and whether its bytecode runs where it lies in flash or
# was read into memory. The new version asks here what it is.
running = {"slot": 0, "trial": False, "version": 0, "name": "0", "in_place": False}


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


# The files of an image that begins there, for an interpreter that maps no flash: what is imported from here lies in
# memory. Nobody can write to it, and it is whole: it was signed.
class Files:
    def __init__(self, area, begin):
        self.area = area
        self.files = {}
        self.folders = {"/"}
        size, at = self._number(begin + MAGIC_SIZE)
        self._walk("", at, at + size)

    # A number of seven bits a byte, and where it ends.
    def _number(self, at):
        number = 0
        while True:
            byte = self.area.read(at, 1)[0]
            at += 1
            number = number << 7 | byte & 127
            if byte < 128:
                return number, at

    def _walk(self, folder, at, end):
        while at < end:
            kind = self.area.read(at, 1)[0]
            size, at = self._number(at + 1)
            then = at + size
            size, at = self._number(at)
            name = folder + "/" + self.area.read(at, size).decode()
            at += size
            if kind == FOLDER:
                self.folders.add(name)
                self._walk(name, at, then)
            elif kind == FILE:
                size, at = self._number(at + 1)
                self.files[name] = (at, size)
            at = then

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


# The slot's image as the interpreter maps it into memory; None where it maps none, or another one than was read.
def mapped(begin, manifest, feed=None):
    import vfs

    try:
        view = memoryview(vfs.rom_ioctl(2, 0))[begin + manifest["begin"] : begin + manifest["end"]]
        release.check(lambda at, size: view[at - manifest["begin"] : at - manifest["begin"] + size], manifest, feed)
        return vfs.VfsRom(view)
    except (AttributeError, TypeError, OSError, release.Refused):
        return None


# Chooses, mounts and makes importable; False where there is nothing whole to start.
def mount(areas, state, feed=None, at="/code"):
    import vfs

    found = choose(areas, state, feed)
    if found is None:
        return False
    slot, trial, manifest = found
    area = areas[f"code_{slot}"]
    files = mapped(slot * area.sectors * release.SECTOR, manifest, feed)
    running.update({"slot": slot, "trial": trial, "version": manifest["version"], "name": manifest["name"]})
    running["in_place"] = files is not None
    if files is None:
        files = Files(area, manifest["begin"])
    vfs.mount(files, at, readonly=True)
    sys.path[:] = [at, ".frozen"]
    return True


# Called by main.py of the small file system. What the loader used is let go: the slot has its own.
def start():
    import machine

    begin(machine.WDT(timeout=60000).feed)
    for name in ("flash", "state", "release"):
        sys.modules.pop(name, None)
    done = ("begin", "choose", "mapped", "mount", "release")
    for name in done + (("File", "Files") if running["in_place"] else ()):
        del globals()[name]
    import main

    main.main()


def begin(feed):
    import flash
    import state

    areas = flash.areas()
    if not mount(areas, state.State(areas["state"]), feed):
        raise RuntimeError("no slot holds a whole release: flash this device by cable")
    where = "in place" if running["in_place"] else "in memory"
    print("slot", running["slot"], running["name"], where)  # noqa: T201 - for who is at the cable
