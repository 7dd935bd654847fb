"""The API: a process of its own for people and monitors. It looks; what it may change, it asks for.

It holds no venue credential and not the administrator's key, and cannot import a venue.
"""
