"""What a release is made of: workflows are read and not run, the rest is tried."""

import re
import tomllib

import pytest
import yaml
from django.template.loader import render_to_string

from fluxtracker import __version__
from tests import release
from tests.settings_names import ROOT

WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(workflow):
    return "\n".join(step.get("run", "") for step in steps(workflow))


def test_there_are_the_workflows_that_the_documents_name():
    assert set(WORKFLOWS) == {"ci", "release", "audit"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_write_only_what_it_publishes(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    writers = {job: set(body["permissions"]) for job, body in WORKFLOWS[name]["jobs"].items() if "permissions" in body}
    assert writers == ({"image": {"contents", "packages"}, "publish": {"contents"}} if name == "release" else {})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_calls_targets_and_scripts_that_exist(name):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = re.findall(r"^make ([a-z -]+?)(?: [A-Z]+=\S+)?$", commands(WORKFLOWS[name]), re.MULTILINE)
    assert {word for words in called for word in words.split()} <= targets
    files = re.findall(r"^(?:bash|python3 -m) (\S+)", commands(WORKFLOWS[name]), re.MULTILINE)
    paths = [word if "/" in word else word.replace(".", "/") + ".py" for word in files]
    assert called or paths
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_a_release_is_tested_on_each_python_before_anything_is_published():
    jobs = WORKFLOWS["release"]["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert [jobs[name].get("needs") for name in ("version", "test", "image", "publish")] == [
        None,
        "version",
        "test",
        "image",
    ]
    build = next(step for step in steps(WORKFLOWS["release"]) if "build-push" in step.get("uses", ""))
    assert build["with"]["platforms"] == "linux/amd64,linux/arm64"
    assert build["with"]["sbom"] is build["with"]["provenance"] is True


CHANGES = "# Changes\n\n## 1.2.0 (2026-12-01)\n\n### Added\n- More.\n\n## 1.1.0\n- Less.\n"


def test_the_notes_of_a_release_are_its_part_of_the_changelog():
    assert release.versions(CHANGES) == ["1.2.0", "1.1.0"]
    assert release.notes(CHANGES, "1.2.0") == "### Added\n- More."
    with pytest.raises(ValueError, match=r"1\.0\.0"):
        release.notes(CHANGES, "1.0.0")


def test_the_tag_of_this_version_would_pass_and_its_notes_are_not_empty():
    """The workflow begins with this step."""
    first = steps(WORKFLOWS["release"])[1]["run"]
    assert first.startswith('python3 -m tests.release "${GITHUB_REF_NAME}"')
    assert "### Added" in release.check(f"v{__version__}")


def test_pyproject_takes_the_version_from_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert (project["project"]["dynamic"], "version" in project["project"]) == (["version"], False)
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "fluxtracker.__version__"}
    assert release.code_version() == __version__


@pytest.mark.django_db
def test_pages_api_and_description_name_the_version(client):
    assert client.get("/api/health").json()["version"] == __version__
    assert yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())["info"]["version"] == __version__
    assert f"Version {__version__}" in render_to_string("base.html")


def test_images_are_labelled_and_named_by_the_tag():
    labels = next(step for step in steps(WORKFLOWS["release"]) if step.get("id") == "names")
    assert "type=semver,pattern={{version}}" in labels["with"]["tags"]
    build = next(step for step in steps(WORKFLOWS["release"]) if "build-push" in step.get("uses", ""))
    assert build["with"]["labels"] == "${{ steps.names.outputs.labels }}"
    assert set(re.findall(r"fluxtracker:([0-9.]+)-", (ROOT / "deploy/fluxos.json").read_text())) == {__version__}


def test_a_tag_of_another_version_is_refused():
    with pytest.raises(ValueError, match="the tag says"):
        release.check("v0.0.9")
