"""
The page at `/` of the admin server: for people who would rather look than read.

Queues on the left, routes in the middle, Machines on the right, and below them what there is to
know in tables. The server renders all of it (rendering.py, html/), so that it is complete without
a script; the script in static/ puts changes in as they come and draws the lines between the cards.

`Page` is what to wire: an Observer, and the routes for the server.
"""

from lambdo_router.admin.page.page import Page

__all__ = ["Page"]
