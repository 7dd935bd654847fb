"""Portcullis: the risk gate that falls shut when anything goes wrong."""

__version__ = "0.1.0"
