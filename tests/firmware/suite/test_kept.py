"""Orders with the real configuration on flash: the power may go at any moment, and the lamp has a whole program."""

import json
import unittest

from fakes.bench import Clock, Ring
from node.config import Config
from node.orders import Orders
from nor import Nor, PowerCut
from suite.test_orders import document


class Kept(unittest.TestCase):
    def orders(self, area):
        return Orders(Clock(), Config(area), Ring(), (0,))

    def wanted(self, version, floor):
        said = {"version": version, "programs": {"0": document(floor_pct=floor)}}
        return json.dumps(said).encode()

    def test_a_cut_at_any_moment_leaves_the_old_program_or_the_new_one(self):
        area = Nor(4)
        self.assertTrue(self.orders(area).desired(self.wanted(1, 41))["ok"])
        before, seen, left = bytes(area.data), set(), 0
        while True:
            area.data[:] = before
            area.power()
            orders = self.orders(area)
            area.power(left)
            try:
                whole = orders.desired(self.wanted(2, 42))["ok"]
            except PowerCut:
                whole = False
            area.power()
            again = self.orders(area)
            found = (again.version, again.programs[0]["floor_pct"])
            self.assertTrue(found in ((1, 41), (2, 42)), found)
            seen.add(found)
            if whole:
                break
            left += 61
        self.assertEqual(seen, {(1, 41), (2, 42)})

    def test_a_worn_sector_keeps_the_old_program_and_says_so(self):
        area = Nor(4)
        orders = self.orders(area)
        orders.desired(self.wanted(1, 41))
        area.stuck = dict.fromkeys(range(100, 8192, 512), 0)
        said = orders.desired(self.wanted(2, 42))
        if said["ok"]:
            said = orders.desired(self.wanted(3, 43))
        self.assertFalse(said["ok"])
        self.assertTrue(said["error"].startswith("no room"))
        self.assertTrue(self.orders(area).programs[0]["floor_pct"] in (41, 42))
