"""What is no longer used goes back: to the collector, and to the system."""

import gc
import sys
import weakref

import psutil
import pytest

from tasks.memory import give_back

MB = 1_000_000


class Knot:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_only_refers_to_itself_is_collected():
    gc.disable()
    try:
        seen = weakref.ref(Knot())
        assert seen() is not None
        give_back()
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.skipif(sys.platform != "linux", reason="the C library must be able to")
def test_pages_between_what_is_kept_go_back_to_the_system():
    pieces = [bytearray(20_000) for _ in range(5_000)]
    kept = pieces[::50]  # pins every part of the heap, so that nothing is trimmed by itself
    del pieces
    before = psutil.Process().memory_info().rss
    give_back()
    assert before - psutil.Process().memory_info().rss > 50 * MB
    assert len(kept) == 100
