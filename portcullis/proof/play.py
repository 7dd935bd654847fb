"""Playing a story from its beginning to its end."""

from __future__ import annotations

from portcullis.proof.acting import carry_out
from portcullis.proof.stage import Outcome, Stage
from portcullis.proof.story import Story
from portcullis.virtual_time import VirtualLoop, run


def play(story: Story) -> Outcome:
    """Run a story to its end; the same story leads to the same outcome."""
    loop = VirtualLoop()
    stage = Stage(story, loop, carry_out)
    try:
        return run(stage.play(), loop)
    finally:
        stage.store.close()
