"""As much of unittest as the firmware's suite uses, for MicroPython, where it is missing; `run` tells of each case."""

import asyncio
import gc
import io
import sys
import time


class SkipTest(Exception):  # noqa: N818 - the name of the standard library
    pass


class _Raises:
    def __init__(self, expected):
        self.expected = expected
        self.exception = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            raise AssertionError(f"{self.expected} was not raised")
        self.exception = value
        return issubclass(kind, self.expected)


class _SubTest:
    def __init__(self, case, said):
        self.case, self.said = case, said

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None or not issubclass(kind, Exception) or issubclass(kind, SkipTest):
            return False
        self.case.failures.append(f"{self.said}: {_told(value)}")
        return True


class TestCase:
    def __init__(self):
        self.failures = []
        self.cleanups = []

    def setUp(self):
        pass

    def tearDown(self):
        pass

    def addCleanup(self, function, *arguments):  # noqa: N802
        self.cleanups.append((function, arguments))

    def subTest(self, *said, **named):  # noqa: N802
        return _SubTest(self, f"{said} {named}")

    def skipTest(self, reason):  # noqa: N802
        raise SkipTest(reason)

    def fail(self, msg=None):
        raise AssertionError(msg or "failed")

    # Texts are made only when something fails: what is compared may be large.
    def _holds(self, holds, said, one, other, msg):
        if not holds:
            text = f"{one!r} {said} {other!r}"
            raise AssertionError(f"{text}: {msg}" if msg else text)

    def assertEqual(self, one, other, msg=None):  # noqa: N802
        self._holds(one == other, "!=", one, other, msg)

    def assertNotEqual(self, one, other, msg=None):  # noqa: N802
        self._holds(one != other, "==", one, other, msg)

    def assertIs(self, one, other, msg=None):  # noqa: N802
        self._holds(one is other, "is not", one, other, msg)

    def assertIsNot(self, one, other, msg=None):  # noqa: N802
        self._holds(one is not other, "is", one, other, msg)

    def assertIn(self, one, other, msg=None):  # noqa: N802
        self._holds(one in other, "is not in", one, other, msg)

    def assertNotIn(self, one, other, msg=None):  # noqa: N802
        self._holds(one not in other, "is in", one, other, msg)

    def assertIsInstance(self, one, other, msg=None):  # noqa: N802
        self._holds(isinstance(one, other), "is no", one, other, msg)

    def assertLess(self, one, other, msg=None):  # noqa: N802
        self._holds(one < other, "is not below", one, other, msg)

    def assertLessEqual(self, one, other, msg=None):  # noqa: N802
        self._holds(one <= other, "is above", one, other, msg)

    def assertGreater(self, one, other, msg=None):  # noqa: N802
        self._holds(one > other, "is not above", one, other, msg)

    def assertGreaterEqual(self, one, other, msg=None):  # noqa: N802
        self._holds(one >= other, "is below", one, other, msg)

    def assertTrue(self, found, msg=None):  # noqa: N802
        self._holds(found, "is not", found, True, msg)

    def assertFalse(self, found, msg=None):  # noqa: N802
        self._holds(not found, "is not", found, False, msg)

    def assertIsNone(self, found, msg=None):  # noqa: N802
        self._holds(found is None, "is not", found, None, msg)

    def assertIsNotNone(self, found, msg=None):  # noqa: N802
        self._holds(found is not None, "is", found, None, msg)

    def assertRaises(self, expected, function=None, *arguments, **named):  # noqa: N802
        if function is None:
            return _Raises(expected)
        with _Raises(expected):
            function(*arguments, **named)
        return None


class IsolatedAsyncioTestCase(TestCase):
    async def asyncSetUp(self):
        pass

    async def asyncTearDown(self):
        pass


def skip(reason):
    def skipped(_function):
        def test(_case):
            raise SkipTest(reason)

        return test

    return skipped


def skipIf(condition, reason):  # noqa: N802
    return skip(reason) if condition else _as_it_is


def skipUnless(condition, reason):  # noqa: N802
    return _as_it_is if condition else skip(reason)


def _as_it_is(function):
    return function


def main(*_arguments, **_named):
    pass


def _told(error):
    said = io.StringIO()
    sys.print_exception(error, said)
    return said.getvalue().strip()


async def _case(kind, name):
    case = kind()
    apart = isinstance(case, IsolatedAsyncioTestCase)
    try:
        case.setUp()
        if apart:
            await case.asyncSetUp()
        try:
            running = getattr(case, name)()
            if hasattr(running, "send"):
                await running
        finally:
            if apart:
                await case.asyncTearDown()
            case.tearDown()
            for function, arguments in reversed(case.cleanups):
                function(*arguments)
    except SkipTest as error:
        return "skipped", str(error)
    except Exception as error:
        case.failures.append(_told(error))
    return ("failed", "\n".join(case.failures)) if case.failures else ("ok", "")


# `tell(name, outcome, said, ms)` of each case of each module; a module that cannot be imported is a case that failed.
async def run(modules, tell):
    for module in modules:
        try:
            inside = __import__(module)
        except Exception as error:
            tell(module, "failed", _told(error), 0)
            continue
        for kind_name in sorted(dir(inside)):
            kind = getattr(inside, kind_name)
            if not (isinstance(kind, type) and issubclass(kind, TestCase)):
                continue
            if kind is TestCase or kind is IsolatedAsyncioTestCase:
                continue
            for name in sorted(dir(kind)):
                if name.startswith("test"):
                    began = time.ticks_ms()
                    outcome, said = await _case(kind, name)
                    tell(f"{module}.{kind_name}.{name}", outcome, said, time.ticks_diff(time.ticks_ms(), began))
                    # WebAssembly collects only between two turns of JavaScript.
                    gc.collect()
                    await asyncio.sleep(0)
