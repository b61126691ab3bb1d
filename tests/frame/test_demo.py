import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.management import CommandError, get_commands, load_command_class
from django.http import QueryDict
from django.test import Client
from django_celery_beat.models import PeriodicTask

from dashboard.panels.status_strip import read_strip
from fluxtracker.env import DEMO_FILE
from fluxtracker.supervisor import demo, main
from fluxtracker.supervisor.demo import BEGINNING, LONGEST_DEMO
from fluxtracker.supervisor.processes import Program
from fluxtracker.upstream.records import NEW_SECONDS
from revenue.models import LivePrice
from revenue.selectors import transaction_url
from tests.run import clean_environment
from tests.settings_names import ROOT
from tests.simnet.world import World

UPSTREAMS = (
    *("FLUX_API_URL", "FLUX_STATS_URL", "BLOCKBOOK_URLS", "COINGECKO_URL"),
    *("BINANCE_URL", "CRYPTOCOMPARE_URL", "FLUX_EXPLORER_URL"),
)
NAMES = (*UPSTREAMS, "ALERT_WEBHOOK_URL", "HEARTBEAT_URL", "ALERT_URLS", "EMBEDDED_BROKER", "DEMO")
LOOK = (
    "import json; from fluxtracker import settings as s; "
    f"print(json.dumps({{name: getattr(s, name) for name in {NAMES}}} | {{'db': s.DATABASES['default']['NAME']}}))"
)
PLAIN_FILES = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PUBLIC = {
    "DATABASE_URL": "postgres://me@db.example/flux", "REDIS_URL": "redis://redis.example/0",
    "BLOCKBOOK_URLS": "https://blockbook.example/api/v2", "FLUX_API_URL": "https://api.example",
    "ALERT_WEBHOOK_URL": "https://hook.example/x", "HEARTBEAT_URL": "https://beat.example/x",
}  # fmt: skip


def settings_of(data_dir, **environment):
    """The settings that a command reads with this data dir."""
    command = [sys.executable, "-c", LOOK]
    found = subprocess.check_output(command, cwd=ROOT, env=clean_environment(data_dir, environment), text=True)
    return json.loads(found)


@pytest.fixture
def data_dir(tmp_path):
    """The data dir of a demo that was started once."""
    settings = demo.environment(tmp_path)
    path = tmp_path / "demo"
    path.mkdir()
    demo.remember(path, 1, settings)
    return path


def test_a_command_with_the_demos_data_asks_its_network_alone(data_dir):
    found = settings_of(data_dir, **PUBLIC)
    urls = [url for name in UPSTREAMS for url in (found[name] if isinstance(found[name], list) else [found[name]])]
    assert len(urls) >= 7
    assert all(url.startswith("http://127.0.0.1:") for url in urls)
    assert (found["DEMO"], found["db"]) == (True, str(data_dir / "fluxtracker.sqlite3"))
    assert (found["ALERT_WEBHOOK_URL"], found["HEARTBEAT_URL"], found["ALERT_URLS"]) == ("", "", [])
    assert found["EMBEDDED_BROKER"]


def test_a_command_with_other_data_asks_whom_the_environment_names(data_dir):
    found = settings_of(data_dir.parent, BLOCKBOOK_URLS=PUBLIC["BLOCKBOOK_URLS"])
    assert (found["DEMO"], found["BLOCKBOOK_URLS"]) == (False, [PUBLIC["BLOCKBOOK_URLS"]])


def test_a_start_on_the_live_network_refuses_the_data_of_a_demo(data_dir, monkeypatch, capsys):
    monkeypatch.setenv("FLUXTRACKER_DATA_DIR", str(data_dir))
    assert main.main([]) == 1
    assert "make demo" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/", "/data/", "/nowhere", "/admin/login/", "/api/stats", "/api/docs/", "/reports/"])
@pytest.mark.django_db
def test_every_page_of_a_demo_says_so(settings, path):
    settings.STORAGES = settings.STORAGES | {"staticfiles": PLAIN_FILES}
    say = 'class="demo"'
    assert say not in Client().get(path, headers={"accept": "text/html"}, follow=True).text
    settings.DEMO = True
    assert Client().get(path, headers={"accept": "text/html"}, follow=True).text.count(say) == 1


def test_blocks_of_the_demo_come_as_fast_as_terms_are_counted(tmp_path):
    for pace in (1, 60):
        options = network_options(demo.network(9, tmp_path, pace))
        assert options.block_seconds == NEW_SECONDS
        assert options.payments_per_block == pytest.approx(pace * 12_000 / (760 * 2880), rel=0.01)


def test_the_demo_keeps_its_data_apart_and_asks_nobody_outside(tmp_path):
    settings = demo.environment(tmp_path)
    assert settings["FLUXTRACKER_DATA_DIR"] == str(tmp_path / "demo")
    assert settings["DATABASE_URL"] == settings["REDIS_URL"] == settings["ALERT_WEBHOOK_URL"] == ""
    urls = [value for name, value in settings.items() if name.endswith(("_URL", "_URLS")) and value]
    assert len(urls) >= 7
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


@pytest.mark.parametrize(("age", "stays"), [(60.0, True), (LONGEST_DEMO + 60, False)])
def test_a_demo_of_today_goes_on_and_an_old_one_begins_anew(tmp_path, age, stays):
    fill(tmp_path)
    began = os.stat(tmp_path / BEGINNING).st_mtime
    demo.forget_when_old(tmp_path, began + age, 1)
    left = {path.name for path in tmp_path.iterdir()}
    assert "secret_key" in left
    assert ("fluxtracker.sqlite3" in left, "broker" in left, BEGINNING in left) == (stays, stays, stays)


def fill(data_dir):
    """What a demo leaves behind."""
    for name in (BEGINNING, "fluxtracker.sqlite3", "fluxtracker.sqlite3-wal", "secret_key"):
        (data_dir / name).write_text("")
    (data_dir / "broker").mkdir()
    demo.remember(data_dir, 1, {})


@pytest.mark.parametrize("change", ["pace", "version"])
def test_a_demo_with_another_network_begins_anew(tmp_path, change):
    fill(tmp_path)
    if change == "version":
        (tmp_path / DEMO_FILE).unlink()
    demo.forget_when_old(tmp_path, os.stat(tmp_path / BEGINNING).st_mtime + 1, 1 if change == "version" else 2)
    assert not (tmp_path / "fluxtracker.sqlite3").exists()


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
    demo.fill(told, tmp_path, 1)
    assert told.programs[-1] == ("snapshot", False)  # the page is served from here on
    demo.complete(told)
    names = [name for name, _ in told.programs]
    assert names == [
        "network", "schedule", "sync", "metrics", "carousel", "history", "services", "snapshot",
        "messages", "census", "files", "report",
    ]  # fmt: skip
    assert not any(needed for name, needed in told.programs if name != "network")
    assert len(told.words) == len(names)
    assert "marked as simulated" in " ".join(told.words)


@pytest.mark.parametrize(
    "step", [step for step in (*demo.STEPS, *demo.LATER) if "manage.py" in step[2]], ids=lambda step: step[0]
)
def test_every_step_of_the_demo_is_a_command(step):
    assert step[2][-1] in get_commands()


@pytest.mark.django_db
def test_a_step_waits_for_the_workers_first_run_of_the_same(monkeypatch):
    asked = []

    def call(command):
        asked.append(command)
        if len(asked) < 3:
            raise CommandError("sync_messages is already running")

    monkeypatch.setattr("django.core.management.call_command", call)
    demo.run_patiently("sync_messages")
    assert asked == ["sync_messages"] * 3


def network_options(program):
    parser = load_command_class("fluxtracker", "simulate_network").create_parser("manage.py", "simulate_network")
    return parser.parse_args(program.command[program.command.index("simulate_network") + 1 :])


def test_the_demo_network_understands_its_options(tmp_path):
    options = network_options(demo.network(9, tmp_path, 1))
    assert (options.port, options.nodes, options.payments) == (9, 1200, 12_000)


def test_the_demo_network_is_neither_idle_nor_overbooked():
    world = World(seed=1, payments=12_000, days=760, nodes=1200, old_messages=0, frozen=True)
    found = world.expected_metrics()
    assert 0.15 < found.cloud["used_cpu_cores"] / found.cloud["total_cpu_cores"] < 0.6
    assert 1.5 < found.containers["all"] / found.rows["reachable"] < 3
    assert min(found.apps[key] for key in ("gitapps_count", "gaming_apps_total", "wordpress_count")) > 50


@pytest.mark.django_db
def test_a_transaction_of_a_demo_leads_to_our_own_record_of_it(settings):
    live = transaction_url("ab12")
    assert live == f"{settings.FLUX_EXPLORER_URL.removesuffix('/api')}/tx/ab12"
    settings.DEMO = True
    assert transaction_url("ab12") == "/api/revenue/transactions?search=ab12"
    assert Client().get(transaction_url("ab12")).status_code == 200


@pytest.mark.django_db
def test_a_simulated_price_is_marked(settings):
    now = datetime(2026, 11, 18, 14, tzinfo=UTC)
    LivePrice.objects.create(id=1, price_usd=Decimal("0.07"), source="coingecko", read_at=now)
    assert read_strip(QueryDict(), now)["price"]["source"] == "coingecko"
    settings.DEMO = True
    assert read_strip(QueryDict(), now)["price"]["source"] == "simulated"


@pytest.mark.parametrize("pace", ["0", "x", "1e9", "nan"])
def test_a_pace_that_cannot_be_kept_is_refused(pace, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["--demo", "--pace", pace])
    assert ended.value.code == 2
