"""The documents name what exists, and nothing else."""

import re
import subprocess

import pytest

from tests.settings_names import ROOT, setting_names

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_setting_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert [name for name in sorted(setting_names()) if f"`{name}`" not in readme] == []


def test_the_readme_has_no_setting_that_is_not_read():
    table = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("## More")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`([A-Z_]+)`", "".join(first_cells))) == setting_names()


def test_references_to_headings_lead_to_one():
    files = subprocess.check_output(["git", "ls-files", "*.py", "*.js", "*.html", "*.md"], cwd=ROOT, text=True).split()
    texts = {name: (ROOT / name).read_text() for name in files}
    headings = {
        name: re.findall(r"^#+ (.+)$", text, re.MULTILINE) for name, text in texts.items() if name[-3:] == ".md"
    }
    anchors = {
        f"{name}#{re.sub('[^a-z0-9 -]', '', h.lower()).replace(' ', '-')}" for name in headings for h in headings[name]
    }
    references = {
        (name, found) for name, text in texts.items() for found in re.findall(r"docs/[a-z]+\.md#[\w-]+", text)
    }
    assert len(references) > 50
    assert [(name, found) for name, found in sorted(references) if found not in anchors] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


def test_files_that_are_named_exist():
    """History may name what was: decisions and changes are left out."""
    there = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    named = {
        (path.name, found)
        for path in DOCUMENTS
        if path.parent.name != "decisions"
        for found in re.findall(r"`([\w/]+\.(?:py|js|html|css|sh|yml))`", path.read_text())
    }
    assert len(named) > 50
    assert [pair for pair in sorted(named) if not any(f"/{name}".endswith(f"/{pair[1]}") for name in there)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(path):
    assert set(re.findall(r"`(?:[A-Z]+=\S+ )?make ([a-z-]+)", path.read_text())) <= MAKE_TARGETS


def test_commands_that_are_named_exist():
    readme = (ROOT / "README.md").read_text().partition("manage.py ...`")[2].partition("## API")[0]
    cells = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`([a-z_]+)", "".join(cells))) - {"createsuperuser"}
    ours = {path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")}
    assert named == ours


def test_the_readme_begins_with_what_it_is_a_picture_and_two_commands():
    first_screen = (ROOT / "README.md").read_text().splitlines()[:20]
    assert any("docs/img/dashboard.png" in line for line in first_screen)
    assert any(line.startswith("make up ") for line in first_screen)
    assert any(line.startswith("make test ") for line in first_screen)
