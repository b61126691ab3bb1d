"""How many queries each list and each row's page takes. A list takes the same for sixty rows as for two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)  # fmt: skip

from carousel.models import Feed
from deployments.models import AppEvent, AppLife, FillDay, MessageFact, MessagesState
from metrics.models import (
    Category,
    CensusDay,
    DeploymentTerms,
    ImageCount,
    InstanceChange,
    Memory,
    NodeChange,
    Reading,
    RunningApp,
    Source,
    TrackedApp,
)
from ops.models import (
    Alert,
    AlertDelivery,
    ApiToken,
    AuditEntry,
    Job,
    Lease,
    Passkey,
    ServiceCheck,
    ServiceState,
    SignInAttempt,
    Tally,
    TaskRun,
    TaskState,
    WorkerSeen,
)  # fmt: skip
from reports.models import ReportDelivery
from revenue.models import (
    App,
    ChangedDay,
    Cursor,
    DailyPrice,
    DailyTotal,
    Label,
    LedgerState,
    LivePrice,
    Message,
    Payment,
    PendingPayments,
    PrunedPayment,
    Quarantined,
    RemovedPayment,
    ShareRule,
)
from snapshots.models import ImageDay, Refusal, Snapshot
from tests.dashboard.rows import ADDRESS, NOW, made, pay, store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plain_static_files")]

DAY = timedelta(days=1)
FEW, MANY = 2, 60


def payment(n: int) -> None:
    app = App.objects.create(name=f"payer{n}")
    store([made(n, NOW - timedelta(minutes=n), app, message_hash=f"{n:064x}")])
    Message.objects.create(hash=f"{n:064x}", app=app)


def token(n: int) -> None:
    user = User.objects.create(username=f"u{n}", is_staff=True)
    ApiToken.objects.create(user=user, prefix=f"{n:08x}", digest=f"{n:064x}", created_at=NOW)


def passkey(n: int) -> None:
    user = User.objects.create(username=f"u{n}", is_staff=True)
    moments = {"created_at": NOW, "last_used_at": NOW}
    Passkey.objects.create(user=user, name="Phone", digest=f"{n:064x}", sign_count=0, **moments)


def beat(n: int) -> None:
    interval = IntervalSchedule.objects.create(every=1000 + n, period="minutes")
    PeriodicTask.objects.create(name=f"t{n}", task="x.y", interval=interval)


def message(n: int) -> None:
    MessageFact.objects.create(
        hash=f"{n:064x}", kind="register", name=f"a{n}", app_key=f"a{n}", version=8, encrypted=False, height=n,
        category="other", txid=f"{n:064x}",
    )  # fmt: skip


def event(n: int) -> None:
    app = AppLife.objects.create(app_key=f"a{n}", name=f"a{n}", category="other")
    AppEvent.objects.create(app=app, position=1, life=1, kind="new", height=n, at=NOW, day=NOW.date())


HEIGHTS = {"first_height": 1, "height": 2, "tip_height": 3, "tip_hash": "ab"}
MAKE: dict[type, Callable[[int], object]] = {
    Alert: lambda n: Alert.objects.create(key=f"k{n}", message="m", raised_at=NOW, seen_at=NOW),
    AlertDelivery: lambda n: AlertDelivery.objects.create(
        alert=Alert.objects.create(key=f"d{n}", message="m", raised_at=NOW, seen_at=NOW), channel="email"
    ),
    ApiToken: token,
    Passkey: passkey,
    AuditEntry: lambda n: AuditEntry.objects.create(at=NOW, action="a", outcome="done"),
    Job: lambda n: Job.objects.create(name="prune", state="done", actor="a", via="api", created_at=NOW),
    Lease: lambda n: Lease.objects.create(name=f"l{n}"),
    SignInAttempt: lambda n: SignInAttempt.objects.create(at=NOW, client=f"192.0.2.{n}", mark=f"{n:016x}"),
    ServiceCheck: lambda n: ServiceCheck.objects.create(kind="api", name="s", status="ok", at=NOW),
    ServiceState: lambda n: ServiceState.objects.create(kind="api", name=f"s{n}", status="ok", checked_at=NOW),
    Tally: lambda n: Tally.objects.create(name="runs", label=f"l{n}"),
    TaskRun: lambda n: TaskRun.objects.create(name="prune", trigger="api", started_at=NOW),
    TaskState: lambda n: TaskState.objects.create(name=f"t{n}"),
    WorkerSeen: lambda n: WorkerSeen.objects.create(hostname=f"h{n}", seen_at=NOW),
    App: lambda n: pay(app=f"app{n}"),
    Cursor: lambda n: Cursor.objects.create(address=f"t{n}", **HEIGHTS),
    DailyPrice: lambda n: DailyPrice.objects.create(day=NOW.date() - n * DAY, price_usd=Decimal("0.07")),
    DailyTotal: lambda n: DailyTotal.objects.create(day=NOW.date() - n * DAY, address=ADDRESS),
    Message: lambda n: Message.objects.create(hash=f"{n:064x}", app=App.objects.create(name=f"a{n}")),
    Payment: payment,
    Quarantined: lambda n: Quarantined.objects.create(
        txid=f"{n:064x}", address=ADDRESS, reason="sender", first_seen_at=NOW, next_attempt_at=NOW
    ),
    RemovedPayment: lambda n: RemovedPayment.objects.create(
        txid=f"{n:064x}", vout=0, amount_sat=5, day=NOW.date(), usd_micro=1
    ),
    ImageCount: lambda n: ImageCount.objects.create(image=f"i{n}", count=n),
    Memory: lambda n: Memory.objects.create(name=f"m{n}", data=b"x", updated_at=NOW),
    Reading: lambda n: Reading.objects.create(at=NOW - n * DAY, values={}),
    TrackedApp: lambda n: TrackedApp.objects.create(name=f"n{n}", key=f"k{n}", category="gaming"),
    Feed: lambda n: Feed.objects.create(name=f"f{n}"),
    ImageDay: lambda n: ImageDay.objects.create(day=NOW.date(), image=f"i{n}", count=n),
    Refusal: lambda n: Refusal.objects.create(day=NOW.date() - n * DAY, reason="r", last_at=NOW),
    Snapshot: lambda n: Snapshot.objects.create(day=NOW.date() - n * DAY, source="taken", made_at=NOW),
    User: lambda n: User.objects.create(username=f"u{n}"),
    Group: lambda n: Group.objects.create(name=f"g{n}"),
    PeriodicTask: beat,
    IntervalSchedule: lambda n: IntervalSchedule.objects.create(every=1000 + n, period="minutes"),
    CrontabSchedule: lambda n: CrontabSchedule.objects.create(minute=str(n % 60), hour=str(n // 60)),
    ClockedSchedule: lambda n: ClockedSchedule.objects.create(clocked_time=NOW + n * DAY),
    MessageFact: lambda n: message(n),
    AppLife: lambda n: AppLife.objects.create(app_key=f"a{n}", name=f"a{n}", category="other"),
    AppEvent: lambda n: event(n),
    CensusDay: lambda n: CensusDay.objects.create(day=NOW.date() - n * DAY),
    NodeChange: lambda n: NodeChange.objects.create(day=NOW.date() - n * DAY, tier="CUMULUS", since=NOW),
    RunningApp: lambda n: RunningApp.objects.create(app_key=f"a{n}", name=f"a{n}", instances=1, hashes={}),
    InstanceChange: lambda n: InstanceChange.objects.create(app_key=f"a{n}", at=NOW, instances=1),
    DeploymentTerms: lambda n: DeploymentTerms.objects.create(at=NOW - n * DAY, prices=[], limits={}),
    PrunedPayment: lambda n: PrunedPayment.objects.create(
        txid=f"{n:064x}", day=NOW.date(), paid_at=NOW, height=n, amount_sat=1, payments=1
    ),
    ChangedDay: lambda n: ChangedDay.objects.create(day=NOW.date() - n * DAY),
    Label: lambda n: Label.objects.create(subject=f"t1{n}", kind="address", category="card", words="w", source="s"),
    ReportDelivery: lambda n: ReportDelivery.objects.create(
        period="month", first_day=NOW.date() - n * DAY, channel="email"
    ),
    FillDay: lambda n: FillDay.objects.create(
        day=NOW.date() - n * DAY, read_at=NOW, ordered=1, running=1, expired_running=0
    ),
    SolarSchedule: lambda n: SolarSchedule.objects.create(event="sunrise", latitude=n, longitude=n),
}
A_FEW_ROWS = {  # tables of a row or of a few that never become more
    LedgerState: lambda: LedgerState.load(),
    LivePrice: lambda: LivePrice.objects.create(id=1, price_usd=1, source="x", read_at=NOW),
    PendingPayments: lambda: PendingPayments.objects.create(id=1, source="x", read_at=NOW),
    Source: lambda: Source.objects.create(name="nodes"),
    Category: lambda: None,
    ShareRule: lambda: None,
    MessagesState: lambda: MessagesState.load(),
}
# Queries of the list and of a row's page, with those for the session and the user.
COUNTS: dict[type, tuple[int, int]] = {
    Alert: (5, 5),
    AlertDelivery: (4, 5),
    ApiToken: (4, 5),
    Passkey: (4, 5),
    AuditEntry: (5, 4),
    Job: (6, 4),
    Lease: (4, 4),
    SignInAttempt: (4, 4),
    ServiceCheck: (5, 4),
    ServiceState: (4, 4),
    Tally: (5, 4),
    TaskRun: (7, 4),
    TaskState: (4, 4),
    WorkerSeen: (4, 4),
    App: (5, 4),
    Cursor: (4, 4),
    DailyPrice: (5, 4),
    DailyTotal: (5, 4),
    LedgerState: (4, 4),
    LivePrice: (4, 4),
    PendingPayments: (4, 4),
    Message: (5, 5),
    Payment: (6, 6),
    Quarantined: (5, 4),
    RemovedPayment: (5, 4),
    Category: (5, 4),
    ImageCount: (5, 4),
    Memory: (4, 4),
    Reading: (5, 4),
    Source: (4, 4),
    TrackedApp: (5, 4),
    Feed: (4, 4),
    ImageDay: (6, 4),
    Refusal: (4, 4),
    Snapshot: (8, 4),
    User: (6, 8),
    Group: (5, 6),
    PeriodicTask: (8, 9),
    IntervalSchedule: (5, 10),  # of a row with five tasks: each takes a query
    MessageFact: (5, 4),
    AppLife: (5, 4),
    AppEvent: (5, 5),
    CensusDay: (5, 4),
    NodeChange: (6, 4),
    RunningApp: (5, 4),
    InstanceChange: (5, 4),
    DeploymentTerms: (4, 4),
    PrunedPayment: (5, 4),
    ChangedDay: (4, 4),
    Label: (5, 4),
    ReportDelivery: (5, 4),
    FillDay: (4, 4),
    ShareRule: (5, 4),
    MessagesState: (4, 4),
    CrontabSchedule: (5, 5),
    ClockedSchedule: (5, 5),
    SolarSchedule: (5, 5),
}


def queries(client: Client, page: str) -> int:
    ContentType.objects.clear_cache()  # as in a process that has not looked yet
    with CaptureQueriesContext(connection) as captured:
        assert client.get(page).status_code == 200, page
    return len(captured)


def name_of(model: type) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}"


def test_every_page_of_the_admin_is_counted() -> None:
    admin.autodiscover()
    assert set(admin.site._registry) == MAKE.keys() | A_FEW_ROWS.keys() == COUNTS.keys()


@pytest.mark.parametrize("model", [*MAKE, *A_FEW_ROWS], ids=lambda model: model.__name__)
def test_its_pages_take_so_many_queries(olivia: Client, model: type) -> None:
    make = MAKE.get(model)
    for n in range(1, 1 + FEW):
        make(n) if make else n == 1 and A_FEW_ROWS[model]()
    page = reverse(f"{name_of(model)}_changelist")
    row = model._default_manager.order_by("pk").first()
    few = (queries(olivia, page), queries(olivia, reverse(f"{name_of(model)}_change", args=[row.pk])))
    if make:
        for n in range(1 + FEW, 1 + MANY):
            make(n)
        assert queries(olivia, page) == few[0]
    assert few == COUNTS[model]
