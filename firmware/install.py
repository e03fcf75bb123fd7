# Run once on a new device, over the cable (`kraj firmware flash`), with a folder of the computer mounted.
# Secrets go into NVS, settings and state into their copies, the release into slot 0. May be run again; what it does
# last makes it count.
import binascii
import json

from node import config, release, state


# `folder` holds install.json ({"secrets": {name: text}, "release_keys": hex, "settings": {...}}) and release.bin.
def install(areas, secrets, folder, say=print):
    with open(folder + "/install.json") as file:
        plan = json.load(file)
    say("secrets")
    for name in sorted(plan["secrets"]):
        secrets.keep(name, plan["secrets"][name].encode())
    secrets.keep("release_keys", binascii.unhexlify(plan["release_keys"]))
    kept = config.Config(areas["state"])
    before = kept.settings() or {}
    if before.get("device") != plan["settings"]["device"]:
        say("ring: it holds nothing of this device, and is erased")
        for sector in range(areas["ring"].sectors):
            areas["ring"].erase(sector)
    kept.keep_settings(plan["settings"])
    say("release")
    area = areas["code_0"]
    number = 0
    with open(folder + "/release.bin", "rb") as file:
        while True:
            block = file.read(release.SECTOR)
            if not block:
                break
            area.erase(number)
            area.write(number * release.SECTOR, block)
            number += 1
    areas["code_1"].erase(0)
    found = release.in_slot(area)
    if found is None:
        raise OSError("the release in flash is not what was sent")
    state.State(areas["state"]).keep(slot=0, trial=0, floor=found["version"], failures=0, safe=0)
    say("installed: " + plan["settings"]["device"] + " runs " + found["name"])


if __name__ == "__main__":
    from board import flash
    from board import secrets as drawer

    install(flash.areas(), drawer.Secrets(), "/remote")
