"""Keys for browser tests, pressed once the page can hear them."""

from playwright.sync_api import Locator, Page

FRAMES_MS = 100
"""Several frames; a page without scripts cannot say when one is drawn."""


def enter(target: Locator | Page) -> None:
    """Press Enter on an element, or where the focus is, a few frames after the page has come.

    A browser under load may lose a key that is pressed while a page is being swapped in for another.
    """
    page = target if isinstance(target, Page) else target.page
    page.wait_for_load_state()
    page.wait_for_timeout(FRAMES_MS)
    (target.keyboard if isinstance(target, Page) else target).press("Enter")
