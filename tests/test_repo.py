"""The house rules, as tests: sizes, names, imports, packaging, and documents that keep up."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from packaging.requirements import Requirement

from portcullis.domain.rules import RULES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILE_LINES = 400
FUNCTION_LINES = 60

TOO_LONG = {
    "portcullis/domain/events.py": "one catalogue: every kind of event, its union, its codec",
    "portcullis/domain/engine.py": "the one place where precedence is decided",
    "portcullis/store/migrations/ledger/versions/ledger_1.py:upgrade": "a schema, frozen as it was",
}


def run(*command: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def committed() -> list[Path]:
    """Every file of the checkout that git tracks and that is there."""
    names = run("git", "ls-files", "-z").stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def sources() -> list[Path]:
    return [path for path in committed() if path.suffix == ".py"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- sizes and names ------------------------------------------------------------------------------


def too_long() -> dict[str, int]:
    """Files and functions over the limit, with their lines."""
    found = {}
    for path in sources():
        text = path.read_text()
        if (lines := text.count("\n")) > FILE_LINES:
            found[name_of(path)] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    found[f"{name_of(path)}:{node.name}"] = lines
    return found


def test_files_and_functions_are_short_or_excused() -> None:
    found = too_long()
    assert {name: lines for name, lines in found.items() if name not in TOO_LONG} == {}
    assert [name for name in TOO_LONG if name not in found] == [], (
        "no longer too long: excuse it not"
    )


def test_no_module_hides_one_of_the_standard_library() -> None:
    folders = ("flows", "tasks", "checks")
    names = {path.stem for path in sources() if path.relative_to(ROOT).parts[0] in folders}
    assert sorted(names & sys.stdlib_module_names - {"__init__", "__main__"}) == []


def test_tests_are_no_package() -> None:
    """An `__init__.py` below tests would make `import flows` mean tests/flows."""
    assert [name_of(p) for p in sources() if "tests" in p.parts and p.stem == "__init__"] == []


def test_nothing_names_a_registry_or_a_machine() -> None:
    hosts = ("pypi" + r"\.org", "pythonhosted" + r"\.", "npmjs" + r"\.", r"deb\.debian" + r"\.")
    places = r"(?<![\w.])/(?:" + "|".join(("ro" + "ot", "wo" + "rk")) + ")/"
    pattern = re.compile("|".join((*hosts, places, r"\.\./\.?(?:lib" + "rary|sha" + "red)")))
    found = []
    for path in committed():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()[:80]}")
    assert found == []


# --- imports --------------------------------------------------------------------------------------


def test_imports_point_inward() -> None:
    result = run(Path(sys.executable).parent / "lint-imports", "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_core_loads_neither_orchestrator_nor_frames() -> None:
    """Not even where nothing imports them directly: import all of it and look. The API is a
    process of its own that nothing of the core loads.
    """
    program = (
        "import pkgutil, sys, importlib, portcullis\n"
        "skip = ('portcullis.store.migrations', 'portcullis.__main__', 'portcullis.api.')\n"
        "for module in pkgutil.walk_packages(portcullis.__path__, 'portcullis.'):\n"
        "    if not module.name.startswith(skip): importlib.import_module(module.name)\n"
        "heavy = ('prefect', 'pandas', 'great_expectations', 'numpy', 'fastapi')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    result = run(sys.executable, "-c", program)
    assert (result.stdout, result.returncode) == ("[]\n", 0), result.stderr


# --- packaging ------------------------------------------------------------------------------------


def test_the_wheel_holds_only_the_core(tmp_path: Path) -> None:
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"portcullis"}
    for needed in ("ledger/env.py", "ledger/versions/ledger_1.py", "inbox/versions/inbox_1.py"):
        assert f"portcullis/store/migrations/{needed}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def locked() -> dict[str, set[str]]:
    """Names and versions in the lock; a name may have one version for each Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", lock_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def lock_text() -> str:
    return (ROOT / "requirements.lock").read_text()


def direct() -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    lists = (PROJECT["project"]["dependencies"], *extras)
    return [Requirement(text) for group in lists for text in group]


def test_the_lock_names_no_place_and_gives_a_hash_for_everything() -> None:
    text = lock_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash=)", text, re.MULTILINE)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert len(entries) > 50


def test_the_lock_holds_what_the_project_asks_for() -> None:
    versions = locked()
    for wanted in direct():
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        assert name in versions, f"{name} is not in the lock: run `make lock`"
        assert all(wanted.specifier.contains(version) for version in versions[name]), wanted


def test_every_choice_of_a_dependency_is_recorded() -> None:
    records = "\n".join(path.read_text().lower() for path in (ROOT / "docs/decisions").glob("*.md"))
    tools = {Requirement(text).name for text in PROJECT["project"]["optional-dependencies"]["dev"]}
    names = [wanted.name for wanted in direct() if wanted.name not in tools]
    assert [
        name for name in names if name.lower().replace("-", " ") not in records.replace("-", " ")
    ] == []


# --- what documents must hold ---------------------------------------------------------------------


def test_rules_are_listed_and_documented() -> None:
    folder = ROOT / "portcullis/domain/rules"
    modules = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    assert sorted(rule.__name__.rsplit(".", 1)[1] for rule in RULES) == modules
    assert len({rule.CODE for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.__name__.rsplit(".", 1)[1] == rule.NAME


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.NAME)
def test_a_rule_is_documented_with_every_parameter(rule: ModuleType) -> None:
    """One row of the table: its code, its name, and each parameter by name."""
    text = (ROOT / "docs/rules.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(f"| {rule.CODE} ")]
    assert len(rows) == 1, f"docs/rules.md has no row, or several, for {rule.CODE}"
    assert f"`{rule.NAME}`" in rows[0]
    fields = rule.Params.__struct_fields__
    assert [field for field in fields if f"`{field}`" not in rows[0]] == []


def commands() -> list[str]:
    """Every command as it is typed, without the program's name."""
    from portcullis.cli.main import app

    def below(command: Any, words: tuple[str, ...]) -> list[str]:
        if not hasattr(command, "commands"):
            return [" ".join(words)]
        return [
            line
            for name, sub in sorted(command.commands.items())
            for line in below(sub, (*words, name))
        ]

    return below(typer.main.get_command(app), ())


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    assert len(commands()) > 5
    assert [name for name in commands() if not re.search(rf"(portcullis |`){name}\b", text)] == []


FEATURES = [
    *(f"R{n}" for n in range(1, 10)),
    *(f"G{n}" for n in range(1, 7)),
    *(f"K{n}" for n in range(1, 5)),
    "H1", "H2",
    *(f"P{n}" for n in range(1, 11)),
    *(f"A{n}" for n in range(1, 6)),
    *(f"V{n}" for n in range(1, 7)),
    *(f"Z{n}" for n in range(1, 4)),
    *(f"N{n}" for n in range(1, 17)),
]  # fmt: skip


def test_every_promise_has_its_state_and_what_is_done_has_its_place() -> None:
    text = (ROOT / "docs/features.md").read_text()
    rows = re.findall(r"^\| ([A-Z]\d+) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == FEATURES
    for name, promise, state, where, shown in rows:
        assert promise
        assert re.match(r"(done|partly|not yet)\b", state), f"{name} is {state!r}"
        places = re.findall(r"[\w.-]+/[\w./-]*", f"{where} {shown}")
        gone = [place for place in places if not (ROOT / place.rstrip(".")).exists()]
        assert gone == [], f"{name} names what is not there"
        if state.startswith("done"):
            assert any(not place.startswith("tests/") for place in places), f"{name}: done where?"
            assert any(place.startswith("tests/") for place in places), f"{name}: shown where?"


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert heads[0] == "[Unreleased]"
    version = re.compile(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}")
    assert [head for head in heads[1:] if not version.fullmatch(head)] == []
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Migration"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_make_has_every_target_the_documents_name() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / ".ci/run"):
        named = set(re.findall(r"(?:^ {4}|`|^)make ([a-z-]+)", path.read_text(), re.MULTILINE))
        assert named <= targets, name_of(path)


# --- deployments ----------------------------------------------------------------------------------


def entrypoints() -> list[str]:
    timetable = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    return [deployment["entrypoint"] for deployment in timetable["deployments"]]


def test_every_entrypoint_imports_and_every_flow_is_deployed() -> None:
    """By module, never by path: a path would put flows/ first on the import path."""
    names = entrypoints()
    assert [name for name in names if not re.fullmatch(r"flows\.\w+\.\w+", name)] == []
    program = (
        "import importlib, sys, prefect\n"
        "for name in sys.argv[1:]:\n"
        "    module, _, attribute = name.rpartition('.')\n"
        "    found = getattr(importlib.import_module(module), attribute)\n"
        "    assert isinstance(found, prefect.Flow), name\n"
    )
    result = run(sys.executable, "-c", program, *names)
    assert result.returncode == 0, result.stderr
    files = {path.stem for path in (ROOT / "flows").glob("*.py") if not path.stem.startswith("_")}
    assert files == {name.split(".")[1] for name in names}
