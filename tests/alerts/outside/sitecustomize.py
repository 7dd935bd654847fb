"""Read first by every Python that a test of alerts starts: they cannot get out either."""

import importlib
import sys

sys.addaudithook(importlib.import_module("refusing").refuse)
