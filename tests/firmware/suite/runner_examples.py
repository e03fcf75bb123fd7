"""Cases that pass, fail and are skipped on purpose: what the runner says of them is tested in test_suite.py."""

import unittest


class Works(unittest.TestCase):
    def test_it_fails(self):
        self.assertEqual(1, 2)

    def test_it_is_skipped(self):
        self.skipTest("on purpose")

    @unittest.skipIf(True, "on purpose")
    def test_it_is_left_out(self):
        self.fail()

    def test_it_raises_what_it_must(self):
        with self.assertRaises(ValueError) as caught:
            int("x")
        self.assertIsInstance(caught.exception, ValueError)
        self.assertRaises(KeyError, {}.__getitem__, 1)

    def test_every_subtest_is_run(self):
        seen = []
        for number in range(3):
            with self.subTest(number=number):
                seen.append(number)
                self.assertNotEqual(number, 0)
        self.assertEqual(seen, [0, 1, 2])


class Waits(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.ready = True

    async def test_a_coroutine_is_awaited(self):
        self.assertTrue(self.ready)

    async def test_a_coroutine_that_fails_is_told(self):
        self.fail("on purpose")
