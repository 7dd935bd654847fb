"""`portcullis doctor`: rows that say how things are, and where needed what to do about it."""
