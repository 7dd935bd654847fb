"""A file a day, packed whole or not at all, and thirty of them."""

from __future__ import annotations

import gzip

import pytest

from portcullis.daily_log import KEPT, DailyLog

DAY = 86_400_000_000
START = 1_772_550_000_000_000


class Clock:
    at = START

    def now(self) -> int:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def texts(folder, name="worker"):
    return {
        path.name: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in sorted(folder.glob(f"{name}*"))
    }


def test_each_day_has_its_file_and_only_the_newest_thirty_stay(tmp_path, clock):
    log = DailyLog(tmp_path / "worker.log", clock.now)
    for number in range(KEPT + 3):
        clock.at = START + number * DAY
        log.write(f"day {number}".encode())
    log.close()
    found = texts(tmp_path)
    assert found.pop("worker.log") == f"day {KEPT + 2}\n".encode()
    assert len(found) == KEPT
    assert next(iter(found.values())) == b"day 2\n"
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_a_long_day_has_several(tmp_path, clock):
    log = DailyLog(tmp_path / "worker.log", clock.now, bytes_max=10)
    for number in range(5):
        log.write(b"0123456789" + str(number).encode())
    log.close()
    found = texts(tmp_path)
    assert [name for name in found if name.endswith(".gz")] == [
        f"worker-2026-03-03.{number:03d}.log.gz" for number in range(1, 5)
    ]
    assert b"".join(sorted(found.values())).count(b"\n") == 5


def test_a_packing_that_was_cut_short_is_done_at_the_next_start(tmp_path, clock):
    aside = tmp_path / "worker-2026-03-01.001.log"
    aside.write_bytes(b"all of it\n")
    (tmp_path / "worker-2026-03-01.001.log.tmp").write_bytes(b"half")
    (tmp_path / "worker-2026-03-01.002.jsonl").write_bytes(b"of another log\n")
    log = DailyLog(tmp_path / "worker.log", clock.now)
    log.close()
    found = texts(tmp_path)
    assert found["worker-2026-03-01.001.log.gz"] == b"all of it\n"
    assert sorted(found) == [
        "worker-2026-03-01.001.log.gz", "worker-2026-03-01.002.jsonl", "worker.log",
    ]  # fmt: skip
