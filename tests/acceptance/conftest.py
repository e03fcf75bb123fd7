"""Browser tests wait for what a page is to show as long as any test does: a machine that is busy draws late."""

from playwright.sync_api import expect

from tests.waiting import PATIENCE_S

expect.set_options(timeout=PATIENCE_S * 1000)
