"""A deterministic venue with faults, in this process or behind real sockets."""

from portcullis.venues.simulated.contracts import instrument
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.faults import Fault, FaultPlan, Latency
from portcullis.venues.simulated.local import LocalVenue
from portcullis.venues.simulated.terms import Costs, Terms

__all__ = [
    "Costs",
    "Exchange",
    "Fault",
    "FaultPlan",
    "Latency",
    "LocalVenue",
    "Terms",
    "instrument",
]
