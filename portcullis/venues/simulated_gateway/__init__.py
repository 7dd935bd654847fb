"""A ProjectX Gateway to test against: REST and both hubs on the simulated venue's exchange."""
