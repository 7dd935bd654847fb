"""docs/settings.md says what the class says."""

import re
from pathlib import Path

from portcullis.config.settings import PREFIX, Settings, as_environment, read_settings

TABLE = Path(__file__).parent.parent.parent / "docs" / "settings.md"
ROW = re.compile(r"^\| `PORTCULLIS_(\w+)` \| (?:`([^`]*)`)? ?\| (.+) \|$", re.MULTILINE)


def test_every_setting_is_there_with_its_default():
    rows = {name.lower(): default for name, default, _ in ROW.findall(TABLE.read_text())}
    assert list(rows) == list(Settings.__struct_fields__)
    written = {f"{PREFIX}{name.upper()}": value for name, value in rows.items() if value}
    assert read_settings(written) == Settings()


def test_a_setting_with_a_value_survives_the_way_to_another_process():
    assert read_settings(as_environment(Settings(config="/etc/x"))).config == "/etc/x"
