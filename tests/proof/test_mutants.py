"""The planted defects: each can still be planted, and the hunt finds one for real."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from portcullis.errors import Fatal
from portcullis.proof.mutants import MUTANTS, PACKAGE, Mutant, hunt, plant


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources that mutants change."""
    for mutant in MUTANTS:
        place = tmp_path / mutant.file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / mutant.file, place)
    return tmp_path


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_defect_can_be_planted_and_is_still_a_program(mutant: Mutant, copy: Path):
    plant(mutant, copy)
    changed = (copy / mutant.file).read_text()
    assert changed != (PACKAGE / mutant.file).read_text()
    compile(changed, mutant.file, "exec")


def test_a_defect_whose_place_has_changed_is_said_and_not_passed_over(copy: Path):
    mutant = MUTANTS[0]._replace(old="no such line stands there")
    with pytest.raises(Fatal, match="stands 0 times"):
        plant(mutant, copy)


def test_the_hunt_finds_a_forgotten_lock():
    mutant = next(each for each in MUTANTS if each.name == "forget a lock on restart")
    found = hunt(mutant, 1, 600)
    assert found.found, found.by
    assert found.by.startswith("locks_do_not_outlive_their_time")
