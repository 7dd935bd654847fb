"""Markets for the simulator: recorded days that ship with it, and a person's own data."""
