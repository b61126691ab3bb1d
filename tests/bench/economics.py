"""Fill what the economics rest on, a message for each payment and a census for each day, and measure them.

For benchmarks only.
"""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Iterator
from datetime import timedelta

import orjson
from django.db import transaction
from django.utils import timezone

from deployments import stored_block_times
from deployments.jobs import update_economics
from deployments.models import FillDay, MessageFact, MessagesState
from fluxtracker.batches import ROWS, chunks
from fluxtracker.periods import midnight
from fluxtracker.upstream.node_facts import NodeFacts
from fluxtracker.upstream.records import TIERS, ListedNode
from metrics.census.distribution import of_the_facts, of_the_list
from metrics.models import CensusDay, NodeChange, RunningApp, Source
from revenue.models import App, ChangedDay, DailyTotal, Label, LedgerState, Payment
from tests.bench.rows import TIP

DAYS = 1_095
NODES, OWNERS = 8_000, 1_300
CATEGORIES = ("gaming", "crypto", "wordpress", "front-end", "other", "unknown", "ai", "vpn")
BATCH = 20_000


def fill_messages() -> None:
    """Store a message for each payment for an app. Every day and life waits to be computed then."""
    names, known = dict(App.objects.values_list("id", "name")), set[int]()
    columns = ("message_hash", "txid", "app_id", "height", "paid_at", "amount_sat")
    with transaction.atomic():
        rows = Payment.objects.exclude(app=None).order_by("height", "id").values_list(*columns)
        for batch in _batches(_facts(rows.iterator(ROWS), names, known)):
            MessageFact.objects.bulk_create(batch, batch_size=ROWS)
        state, now = MessagesState.load(), timezone.now()
        state.complete_at, state.read_at, state.tip_height = now, now, TIP
        state.save()
        largest = LedgerState.load()
        largest.settled_height, largest.settled_at = TIP - 1, now
        largest.save()
        ChangedDay.mark(DailyTotal.objects.values_list("day", flat=True).distinct())
        _labels()
        stored_block_times.learn()


def _facts(rows: Iterator[tuple[object, ...]], names: dict[int, str], known: set[int]) -> Iterator[MessageFact]:
    for message_hash, txid, app_id, height, paid_at, amount_sat in rows:
        assert isinstance(app_id, int)
        yield MessageFact(
            hash=message_hash,
            kind=MessageFact.Kind.UPDATE if app_id in known else MessageFact.Kind.REGISTER,
            name=names[app_id],
            app_key=names[app_id],
            owner=f"1{app_id % OWNERS:033d}",
            version=7,
            term=(22_000, 88_000)[app_id % 2],
            instances=3 + app_id % 5,
            cpu_tenths=5,
            ram_mb=500,
            hdd_gb=5,
            encrypted=app_id % 8 == 5,
            images=[f"acme/image{app_id % 300}:1"],
            category=CATEGORIES[app_id % 8],
            height=height,
            sent_at=paid_at,
            txid=txid,
            value_sat=amount_sat,
        )
        known.add(app_id)


def _batches(facts: Iterator[MessageFact]) -> Iterator[list[MessageFact]]:
    batch: list[MessageFact] = []
    for fact in facts:
        batch.append(fact)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _labels() -> None:
    senders = Payment.objects.order_by().values_list("from_address", flat=True).distinct()
    kinds = (Label.Category.TEAM, Label.Category.CARD)
    for number, address in enumerate(sorted(filter(None, senders))[:2]):
        Label.objects.create(subject=address, kind=Label.Kind.ADDRESS, category=kinds[number], words="bench")


def fill_census(days: int, seed: int = 1) -> None:
    """Store a census for each of the last days, and what runs now."""
    rng, now = random.Random(seed), timezone.now().replace(microsecond=0)
    every = [now.date() - timedelta(days=back) for back in range(days)]
    facts, listed = [_node(number, rng) for number in range(NODES)], [_listed(number) for number in range(NODES)]
    shown, lists = of_the_facts(facts)
    nodes = of_the_list(listed, {fact.collateral: fact.cores for fact in facts if fact.collateral and fact.cores})
    told = {"nodes": orjson.dumps(nodes).decode(), "facts": orjson.dumps(shown).decode()}
    packed = zlib.compress(orjson.dumps(lists), 6)
    running = {"apps": 1_900, "instances": 8_300, "changed": 40}
    for some in chunks(every, 100):
        CensusDay.objects.bulk_create(
            CensusDay(
                day=day, nodes_at=midnight(day), facts_at=midnight(day), running_at=midnight(day), running=running,
                lists=packed, **told,
            )
            for day in some
        )  # fmt: skip
    NodeChange.objects.bulk_create(
        NodeChange(day=day, tier=tier, since=midnight(day), joins=5, leaves=4, moves=3)
        for day in every
        for tier in TIERS
    )
    FillDay.objects.bulk_create(
        FillDay(day=day, read_at=midnight(day), ordered=8_300, running=8_100, expired_running=21) for day in every
    )
    of_the_month = Payment.objects.filter(day__gt=every[0] - timedelta(days=30)).exclude(app=None)
    RunningApp.objects.bulk_create(
        RunningApp(app_key=name, name=name, instances=3 + app_id % 5, hashes={"": 3 + app_id % 5})
        for app_id, name in of_the_month.order_by().values_list("app_id", "app__name").distinct()
    )
    for name in Source.Census.values:
        Source.objects.create(name=name, tried_at=now, read_at=now, values={}, coverage={}, size=NODES)


def _node(number: int, rng: random.Random) -> NodeFacts:
    country = f"{chr(65 + number % 7)}{chr(65 + number % 11)}"
    return NodeFacts(
        f"{number:064x}:0", TIERS[number % 3], True, country, "EU" if number % 4 else "NA", 20_000 + number % 120,
        (f"Provider {number % 120}",), float(rng.choice((4, 8, 16))), f"zelid{number % 900}", f"8.{number % 5}.0",
        f"7.{number % 3}.0", f"5.{number % 3}.0", number % 10 != 0,
    )  # fmt: skip


def _listed(number: int) -> ListedNode:
    return ListedNode(f"{number:064x}:0", TIERS[number % 3], "", f"t1{number % 840}", f"02{number % 1_100}")


def computed() -> Iterator[tuple[str, float]]:
    """Fill both, and yield the CPU seconds of computing everything, then of following the payments of a day."""
    fill_census(DAYS)
    fill_messages()
    last = DailyTotal.objects.order_by("-day").values_list("day", flat=True).first()
    assert last is not None
    for name, days in (("from nothing", ()), ("after a day changed", (last,))):
        ChangedDay.mark(days)
        began = time.process_time()
        update_economics(trigger="bench")
        yield name, time.process_time() - began


def targets() -> list[str]:
    """Return the reads of economics over all days."""
    last = timezone.now().date()
    first = last - timedelta(days=DAYS - 1)
    days = f"start={first}&end={last}"
    of_days = ("economics/accrual", "economics/kinds", "revenue/sources", "revenue/categories", "export/fees")
    paths = [f"{path}?{days}" for path in (*of_days, "network/decentralisation", "network/nodes")]
    paths += [f"analytics/apps?from={first}&to={last}", "economics/forecast", "economics/cohorts", "network/fill"]
    return [f"/api/{path}" for path in (*paths, "reports/kpi")]
