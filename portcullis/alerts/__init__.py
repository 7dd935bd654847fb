"""Alerts: from what the ledger says to a message a person has, and back.

Pure: `kinds`, `signals`, `policy`, `words`. With the outside: `outbox`, `channels`, `sender`.
"""
