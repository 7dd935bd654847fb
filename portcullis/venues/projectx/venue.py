"""The ProjectX Gateway as a venue: what can be looked at, and everything that changes it."""

from __future__ import annotations

from portcullis.venues.projectx.desk import Desk
from portcullis.venues.projectx.observed import ObservedGateway


class ProjectXVenue(ObservedGateway, Desk):
    """The gateway behind a wire, enforced on. Made as `ObservedGateway` is."""
