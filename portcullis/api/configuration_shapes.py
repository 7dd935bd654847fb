"""Shapes of the configuration: what is in force, and what waits to be."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from portcullis.api.shapes import Shape


class Waiting(Shape):
    """A looser setting that is not in force yet."""

    account: str = Field(examples=["DEMO-50K"])
    rule: str = Field(examples=["daily_realized_loss"])
    setting: str = Field(examples=["limit"])
    recorded: str = Field(description="What is in force", examples=["500.00"])
    new: str = Field(examples=["800.00"])
    waits_for: str = Field(examples=["the session after 2026-03-03, or an approver"])


class Loosening(Shape):
    """Who asked for looser settings."""

    plan: str = Field(description="The digest of the plan of which they are", examples=["0" * 64])
    by: str
    reason: str
    asked_at: str = Field(examples=["2026-03-02T14:30:00.000Z"])
    approved_by: str | None = Field(description="The approver who agreed, if one did")
    changes: list[Waiting]


class ApproverRow(Shape):
    """A second person; `key` is the public half."""

    name: str
    key: str
    enrolled_at: str = Field(examples=["2026-03-02T14:30:00.000Z"])
    enrolled_by: str


class Pending(Shape):
    """What waits to be loosened; null: nothing does."""

    live: bool
    loosening: Loosening | None
    approvers: list[ApproverRow]


class EffectiveConfiguration(Shape):
    """The configuration, without any secret."""

    settings: list[dict[str, Any]]
    folder: str
    files: list[dict[str, Any]]
    faults: list[str]
    plan_in_force: str
    plan_of_files: str | None
    reload_needed: bool


# --- keys -----------------------------------------------------------------------------------------
