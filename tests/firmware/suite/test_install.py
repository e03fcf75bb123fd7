"""What the cable does to a new device, and that the loader then starts what was put there."""

import json
import os
import unittest
from binascii import hexlify, unhexlify

import install
import loader
from node import config, state
from nor import Nor

with open(__file__[: -len("suite/test_install.py")] + "releases.json") as file:
    RELEASES = json.load(file)
FOLDER = "install-test"
SETTINGS = {"version": 1, "kind": "lamp", "host": "broker", "port": 8883, "municipality": "a-b", "device": "lamp-1"}


class Drawer:
    def __init__(self):
        self.kept = {}

    def keep(self, name, value):
        self.kept[name] = value


class Installing(unittest.TestCase):
    def setUp(self):
        self.areas = {"state": Nor(4), "ring": Nor(3), "code_0": Nor(34), "code_1": Nor(34)}
        self.drawer = Drawer()
        self.said = []
        os.mkdir(FOLDER)

    def tearDown(self):
        for name in ("install.json", "release.bin"):
            os.remove(FOLDER + "/" + name)
        os.rmdir(FOLDER)

    def put(self, number, device="lamp-1", cut=0):
        case = RELEASES["cases"][number]
        data = unhexlify(case["head"] + RELEASES["tails"][case["tail"]])
        with open(FOLDER + "/release.bin", "wb") as file:
            file.write(data[: len(data) - cut])
        settings = dict(SETTINGS)
        settings["device"] = device
        plan = {"secrets": {"key": "PEM", "wifi": "a\nb"}, "release_keys": RELEASES["keys"], "settings": settings}
        with open(FOLDER + "/install.json", "w") as file:
            json.dump(plan, file)

    def install(self):
        install.install(self.areas, self.drawer, FOLDER, self.said.append)

    def test_a_new_device_starts_its_release_and_knows_who_it_is(self):
        self.put(0)
        self.install()
        kept = state.State(self.areas["state"])
        self.assertEqual(loader.choose(self.areas, kept)[:2], (0, False))
        self.assertEqual(kept.floor, 7)
        self.assertEqual(config.Config(self.areas["state"]).settings(), SETTINGS)
        self.assertEqual(self.drawer.kept["key"], b"PEM")
        self.assertEqual(hexlify(self.drawer.kept["release_keys"]).decode(), RELEASES["keys"])
        self.assertEqual(self.said[-1], "installed: lamp-1 runs 1.0.7")

    def test_a_release_that_did_not_arrive_whole_is_said(self):
        self.put(0, cut=1)
        with self.assertRaises(OSError):
            self.install()
        self.put(0)

    def test_readings_are_kept_for_the_same_device_and_erased_for_another(self):
        self.put(0)
        self.install()
        kept = state.State(self.areas["state"])
        kept.keep(boot=7)
        self.areas["ring"].write(5, b"reading")
        self.install()
        self.assertEqual(self.areas["ring"].read(5, 7), b"reading")
        self.assertEqual(state.State(self.areas["state"]).boot, 7)
        self.put(0, device="lamp-2")
        self.install()
        self.assertEqual(self.areas["ring"].read(5, 7), b"\xff" * 7)
