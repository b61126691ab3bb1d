import os

import pytest
from django.core.management import get_commands, load_command_class
from django_celery_beat.models import PeriodicTask

from fluxtracker.supervisor import demo
from fluxtracker.supervisor.demo import BEGINNING, LONGEST_DEMO
from fluxtracker.supervisor.processes import Program
from tests.simnet.world import World


def test_the_demo_keeps_its_data_apart_and_asks_nobody_outside(tmp_path):
    settings = demo.environment(tmp_path)
    assert settings["FLUXTRACKER_DATA_DIR"] == str(tmp_path / "demo")
    assert settings["DATABASE_URL"] == settings["REDIS_URL"] == settings["ALERT_WEBHOOK_URL"] == ""
    urls = [value for name, value in settings.items() if name.endswith(("_URL", "_URLS")) and value]
    assert len(urls) >= 7
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


@pytest.mark.parametrize(("age", "stays"), [(60.0, True), (LONGEST_DEMO + 60, False)])
def test_a_demo_of_today_goes_on_and_an_old_one_begins_anew(tmp_path, age, stays):
    for name in (BEGINNING, "fluxtracker.sqlite3", "fluxtracker.sqlite3-wal", "secret_key"):
        (tmp_path / name).write_text("")
    (tmp_path / "broker").mkdir()
    began = os.stat(tmp_path / BEGINNING).st_mtime
    demo.forget_when_old(tmp_path, began + age)
    left = {path.name for path in tmp_path.iterdir()}
    assert "secret_key" in left
    assert ("fluxtracker.sqlite3" in left, "broker" in left, BEGINNING in left) == (stays, stays, stays)


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "seconds"), [("sync-revenue", 10), ("collect-metrics", 60)])
def test_the_demo_does_not_keep_its_visitors_waiting(name, seconds):
    demo.hasten()
    row = PeriodicTask.objects.get(name=name)
    assert (row.interval.every, row.interval.period) == (seconds, "seconds")
    assert row.expire_seconds <= seconds


class Told:
    """What the supervisor was asked to do."""

    stopping = False

    def __init__(self) -> None:
        self.words: list[str] = []
        self.programs: list[tuple[str, bool]] = []

    def say(self, text: str) -> None:
        self.words.append(text)

    def start(self, program: Program) -> None:
        self.programs.append((program.name, True))

    def run_once(self, program: Program, *, needed: bool = True) -> None:
        self.programs.append((program.name, needed))

    def wait_until(self, condition: object, seconds: float) -> bool:
        return True


def test_the_demo_fills_everything_and_says_what_it_does(tmp_path, monkeypatch):
    monkeypatch.setenv("FLUX_API_URL", "http://127.0.0.1:9")
    told = Told()
    demo.fill(told, tmp_path)
    names = [name for name, _ in told.programs]
    assert names == ["network", "schedule", "sync", "metrics", "carousel", "history", "services", "snapshot"]
    assert not any(needed for name, needed in told.programs if name != "network")
    assert len(told.words) == len(names)
    assert "marked as simulated" in " ".join(told.words)


@pytest.mark.parametrize("step", [step for step in demo.STEPS if "manage.py" in step[2]], ids=lambda step: step[0])
def test_every_step_of_the_demo_is_a_command(step):
    assert step[2][-1] in get_commands()


def test_the_demo_network_understands_its_options(tmp_path):
    command = demo.network(9, tmp_path).command
    parser = load_command_class("fluxtracker", "simulate_network").create_parser("manage.py", "simulate_network")
    options = parser.parse_args(command[command.index("simulate_network") + 1 :])
    assert (options.port, options.nodes, options.payments) == (9, 1200, 12_000)


def test_the_demo_network_is_neither_idle_nor_overbooked():
    world = World(seed=1, payments=12_000, days=400, nodes=1200, old_messages=0, frozen=True)
    found = world.expected_metrics()
    assert 0.15 < found.cloud["used_cpu_cores"] / found.cloud["total_cpu_cores"] < 0.6
    assert 1.5 < found.containers["all"] / found.rows["reachable"] < 3
    assert min(found.apps[key] for key in ("gitapps_count", "gaming_apps_total", "wordpress_count")) > 50
