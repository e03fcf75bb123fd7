"""Putting the public pages into the application: their routes, and the shelf that stands before everything costly."""

from fastapi import FastAPI

from api.mounting import mount
from api.public import pages, phone_pages, report_pages
from api.public.facts import Facts
from api.public.guarding import Guard
from api.public.report_pages import Desk
from api.public.shelf import Shelf
from api.site import Site


def install(app: FastAPI, site: Site) -> Shelf:
    """Add the routes; gives the shelf for ``Front``."""
    facts = Facts(site.service, site.zone)
    shelf = Shelf(pages.Pages(site, facts).make)
    mount(
        app,
        pages.routes(shelf),
        report_pages.routes(Desk(site, facts, Guard())),
        phone_pages.routes(site),
        documented=False,
    )
    return shelf
