"""One image, one name: in the history that is stored, imported, restored, and in what asks for it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from carousel.models import Feed
from metrics.models import ImageCount
from snapshots.models import ImageDay, Snapshot
from tests.admin.conftest import olivia
from tests.api.conftest import plain_static_files
from tests.ops.backing_up import contents, manage, rewritten
from tests.snapshots import original
from tests.snapshots.network import DAY, at, collected, snapshot

__all__ = ["olivia", "plain_static_files"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

D1, D2 = DAY - timedelta(days=1), DAY - timedelta(days=2)
MERGES = {"snapshots": "_merge_image_names", "metrics": "_merge_image_names", "carousel": "_mend_lists"}
SPELLED = [
    (D2, "presearch/node", "crypto", 100), (D2, "docker.io/presearch/node", "crypto", 20),
    (D2, "index.docker.io/presearch/node", "", 3), (D2, "registry-1.docker.io/presearch/node", "crypto", 1),
    (D2, "ghcr.io/presearch/node", "crypto", 7), (D2, "nginx", "", 5),
    (D1, "docker.io/presearch/node", "crypto", 30), (D1, "library/nginx", "", 2),
    (D1, "docker.io/library/nginx", "", 4),
    (DAY, "ghcr.io/presearch/node", "crypto", 8),
]  # fmt: skip
MERGED = [
    (D2, "ghcr.io/presearch/node", "crypto", 7), (D2, "nginx", "", 5), (D2, "presearch/node", "crypto", 124),
    (D1, "nginx", "", 6), (D1, "presearch/node", "crypto", 30),
    (DAY, "ghcr.io/presearch/node", "crypto", 8),
]  # fmt: skip


def top(rank, name, value, label):
    return {"type": "app", "rank": rank, "name": name, "label": label, "value": value, "category": None, "asOf": None}


BEST = {"type": "benchmark", "rank": 1, "name": "Stratus node", "value": 128}
LIST = [
    top(1, "ghcr.io/presearch/node", 60, "Node"), top(2, "presearch/node", 50, "Presearch"),
    top(3, "index.docker.io/presearch/node", 40, "Node"), BEST,
]  # fmt: skip


def spell():
    """Rows as the releases before wrote them."""
    ImageDay.objects.bulk_create(ImageDay(day=d, image=i, category=c, count=n) for d, i, c, n in SPELLED)
    for image, count in (
        ("presearch/node", 50),
        ("index.docker.io/presearch/node", 40),
        ("docker.io/presearch/node", 9),
        ("ghcr.io/presearch/node", 60),
    ):
        ImageCount.objects.create(image=image, category="crypto", count=count)
    Feed.objects.create(name="network", items=LIST)
    Feed.objects.create(
        name="deployed", items=[{"type": "deployed", "name": "a", "image": "docker.io/library/nginx:1"}]
    )
    ends = [{"type": "expiring", "rank": rank, "name": name, "version": version, "image": None}
            for rank, (name, version) in enumerate([("invented", 9), ("known", 8)], 1)]  # fmt: skip
    Feed.objects.create(name="expiring", items=ends, coverage={"rows": 9, "leftOut": 0, "endWithin7Days": 1})


def days():
    return sorted(ImageDay.objects.values_list("day", "image", "category", "count"))


def assert_merged():
    assert days() == sorted(MERGED)
    counts = {"presearch/node": ("crypto", 99), "ghcr.io/presearch/node": ("crypto", 60)}
    assert {image: rest for image, *rest in ImageCount.objects.values_list("image", "category", "count")} == {
        image: list(rest) for image, rest in counts.items()
    }
    assert Feed.objects.get(name="network").items == [
        top(1, "presearch/node", 99, "Presearch"), top(2, "ghcr.io/presearch/node", 60, "Node"), BEST,
    ]  # fmt: skip
    assert Feed.objects.get(name="deployed").items[0]["image"] == "nginx:1"
    ends = Feed.objects.get(name="expiring")
    assert [(item["rank"], item["name"]) for item in ends.items] == [(1, "known")]
    assert ends.coverage == {"rows": 9, "leftOut": 0, "endWithin7Days": 1, "endsUnknown": 1}


# What is stored


@pytest.mark.django_db(transaction=True)
def test_migrate_merges_the_history_once_and_for_all():
    loader = MigrationLoader(connection)
    merges = [(app, name) for app, name in loader.graph.nodes if app in MERGES and name.endswith(MERGES[app])]
    assert len(merges) == len(MERGES)
    for app, name in merges:
        before = next(parent for parent in loader.graph.node_map[app, name].parents if parent[0] == app)
        call_command("migrate", *before, verbosity=0)
    spell()
    newest = max(ImageDay.objects.values_list("pk", flat=True))
    call_command("migrate", verbosity=0)
    assert_merged()
    assert max(ImageDay.objects.values_list("pk", flat=True)) > newest  # what ETags are made of
    rows = list(ImageDay.objects.values())
    for app, name in merges:
        call_command("migrate", app, name, fake=True, verbosity=0)
        before = next(parent for parent in loader.graph.node_map[app, name].parents if parent[0] == app)
        call_command("migrate", *before, fake=True, verbosity=0)
    for merge in merges:  # the merges once more, over tables that later migrations have made already
        call_command("migrate", *merge, verbosity=0)
    call_command("migrate", fake=True, verbosity=0)
    assert_merged()
    assert list(ImageDay.objects.values()) == rows


@pytest.mark.engine
def test_a_backup_from_before_does_not_bring_the_pieces_back(tmp_path: Path):
    def as_before(lines):
        migrations = lines[0]["migrations"]
        for app in MERGES:
            migrations[app] = [name for name in migrations[app] if not name.endswith(MERGES[app])]

    spell()
    path = tmp_path / "all.jsonl.gz"
    assert manage("backup", path).code == 0
    assert manage("restore", rewritten(path, as_before), "--yes").code == 0
    assert_merged()


def test_a_backup_of_this_version_is_restored_as_it_is(tmp_path: Path):
    spell()
    before = contents()
    path = tmp_path / "all.jsonl.gz"
    assert manage("backup", path).code == 0
    assert manage("restore", path, "--yes").code == 0
    assert contents() == before


@pytest.mark.engine
def test_counts_that_add_up_to_too_much_are_cut_to_what_a_column_holds(tmp_path: Path):
    for image in ("nginx", "library/nginx"):
        ImageDay.objects.create(day=D1, image=image, count=2**31 - 1)

    def as_before(lines):
        names = lines[0]["migrations"]["snapshots"]
        names[:] = [name for name in names if not name.endswith(MERGES["snapshots"])]

    path = tmp_path / "all.jsonl.gz"
    assert manage("backup", path).code == 0
    assert manage("restore", rewritten(path, as_before), "--yes").code == 0
    assert days() == [(D1, "nginx", "", 2**31 - 1)]


def test_the_import_merges_the_spellings_of_the_old_tracker(tmp_path, in_process):
    names = ["presearch/node:latest", "docker.io/presearch/node", "Index.Docker.io/presearch/node:1"]
    names += ["library/nginx", "nginx:1"]
    for _ in range(2):
        path = tmp_path / "flux-performance.db"
        path.unlink(missing_ok=True)
        original.write(path, images=[original.image(D1, name, 10, "crypto") for name in names])
        outcome = in_process("import_original", str(path), "--json")
        assert outcome.code == 0, outcome.err
        assert sorted(ImageDay.objects.values_list("image", "count")) == [("nginx", 20), ("presearch/node", 30)]
    assert outcome.report["imageSnapshots"] == 0


def test_a_snapshot_names_each_image_once_whoever_counted(in_process, clock):
    collected(at("00:07"))
    ImageCount.objects.create(image="docker.io/presearch/node", category="crypto", count=5)  # by a worker of before
    assert in_process("take_snapshot").code == 0
    assert Snapshot.objects.get().day == DAY
    counts = dict(ImageDay.objects.values_list("image", "count"))
    assert (counts["presearch/node"], len(counts)) == (1_205, 4)


# What asks for it


SPELLINGS = [
    "nginx",
    "nginx:1.27",
    "library/nginx",
    "Docker.io/Library/Nginx",
    "https://index.docker.io/nginx@sha256:ab",
]


@pytest.fixture
def counted():
    for day, count in ((D2, 3), (D1, 4)):
        snapshot(day)
        ImageDay.objects.create(day=day, image="nginx", count=count)
    ImageCount.objects.create(image="nginx", count=5)


@pytest.mark.engine
@pytest.mark.parametrize("image", SPELLINGS)
def test_the_history_of_an_image_is_found_in_every_spelling(get, counted, image):
    answer = get("history/images", image=image)
    assert (answer["image"], [row["count"] for row in answer["data"]]) == ("nginx", [3, 4])


@pytest.mark.parametrize("image", ["docker.io/", ":1", "https://"])
def test_an_image_without_a_name_is_refused(refused, image):
    assert "image: is needed" in refused("history/images", image=image)


@pytest.mark.parametrize("image", SPELLINGS)
def test_a_series_is_found_in_every_spelling(get, counted, image):
    (series,) = get("history/series", metrics=f"image:{image}", start=D2, end=D1)["series"]
    assert (series["key"], series["points"]) == ("image:nginx", [3, 4])


def test_a_series_that_is_asked_for_twice_is_told_once(get, counted):
    answer = get("history/series", metrics="image:nginx,image:docker.io/nginx,node_total,image:library/nginx")
    assert [series["key"] for series in answer["series"]] == ["image:nginx", "node_total"]


def test_nothing_else_is_taken_for_an_image(refused, counted):
    assert "unknown metrics: image:ghcr.io/library/nginx" in refused(
        "history/series", metrics="image:ghcr.io/library/nginx"
    )


@pytest.mark.parametrize(
    ("search", "found"), [("docker.io/ngi", 1), ("library/nginx", 1), ("Docker.IO/", 0), ("ghcr.io/nginx", 0)]
)
def test_a_search_of_the_metrics_takes_every_spelling(get, counted, search, found):
    assert get("history/metrics", search=search)["total"] == found


@pytest.mark.parametrize(
    "text", ["nginx:1", "Docker.io/library/nginx", "image:index.docker.io/nginx", "docker.io/ngin"]
)
def test_the_chart_adds_an_image_in_every_spelling(client, counted, text):
    body = client.get("/panels/chart/", {"metrics": "node_total", "add": text}).content.decode()
    assert "Nothing is called" not in body
    assert "node_total,image:nginx" in body.replace("%3A", ":").replace("%2C", ",")


@pytest.mark.engine
def test_distinct_images_are_counted_by_name(get, counted):
    assert get("stats")["distinctRepos"] == 1


@pytest.mark.usefixtures("plain_static_files")
def test_the_admins_search_finds_a_day_in_every_spelling(olivia, counted):
    body = olivia.get("/admin/snapshots/imageday/", {"q": "docker.io/library/nginx:1"}).content.decode()
    assert body.count('<th class="field-image">') == 2
