"""Backups: made while the worker writes, encrypted so that this machine cannot read them, kept by a
schedule, verified, and restored to a backup, an event or a moment.
"""
