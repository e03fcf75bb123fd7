"""Keys for browser tests, pressed once the page can hear them."""

from playwright.sync_api import Locator, Page

TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def enter(target: Locator | Page) -> None:
    """Press Enter on an element, or where the focus is, after two frames of the page.

    A browser under load may lose a key that is pressed while a page is being swapped in for another.
    """
    page = target if isinstance(target, Page) else target.page
    page.wait_for_load_state()
    page.evaluate(TWO_FRAMES)
    (target.keyboard if isinstance(target, Page) else target).press("Enter")
