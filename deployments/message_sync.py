"""Read unknown app messages, and note which hashes have none yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from deployments import cohorts, message_facts, rebuild_lives, stored_block_times
from deployments.categories import Catalogue, category_key
from deployments.models import AppLife, MessageFact, MessagesState
from fluxtracker.api.report_serializers import described
from fluxtracker.batches import ROWS, batched, chunks
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.messages import KNOWN_VERSIONS, find_message, read_messages
from fluxtracker.upstream.records import AppSpecification
from fluxtracker.upstream.stats import Stats
from ops.jobs.runs import Run, one_line
from revenue import naming
from revenue.models import ChangedDay, Message, Payment

log = structlog.get_logger(__name__)
MANY = 50  # unknown hashes above which reading all messages is cheaper than single requests
WHOLE = timedelta(days=7)  # between two reads of all messages
DAILY = timedelta(hours=23)
LATELY = timedelta(days=3)  # payments whose messages are looked up; others once their pause is over


@dataclass(frozen=True, slots=True)
class Upstreams:
    registry: AppRegistry
    stats: Stats
    daemon: Daemon


@dataclass(frozen=True, slots=True)
class MessagesReport:
    """Result of a search for app messages."""

    read: int = field(metadata=described("Messages read."))
    added: int = field(metadata=described("New messages."))
    changed: int = field(metadata=described("Messages that moved in the chain or changed status."))
    not_found: int = field(metadata=described("Hashes without a known message."))
    left_out: dict[str, int] = field(metadata=described("Unusable records by reason."))
    lives: int = field(metadata=described("Apps with a rebuilt life."))


def learn_messages(
    *, upstreams: Upstreams, now: datetime, run: Run, full: bool
) -> tuple[MessagesReport, message_facts.Short | None]:
    """Read unknown messages, then rebuild what depends on them. UpstreamError: earlier results are kept.

    Return the report, and why an answer with all messages was rejected although the run continued.
    """
    state = MessagesState.load()
    tip = _advance(state, upstreams.daemon, run)
    _learn_daily(state, upstreams, now)
    reading = Reading(upstreams.registry, message_facts.Writer(run, _follow_catalogue(run, now)), now, run)
    specifications = _specifications(upstreams.registry)
    try:
        reading.read(state, specifications, full=full)
        changed = message_facts.prove(specifications, tip, run)
    finally:  # stored messages count, whatever happened later
        naming.end_pauses(MessageFact.objects.values("hash"), now)
        lives = rebuild_lives.rebuild_changed(run)
    _note(state, reading, _not_listed(specifications, tip))
    MessagesState.objects.filter(id=1).update(cohorts=cohorts.by_plan(tip))
    writer, left_out = reading.writer, dict(reading.left_out)
    report = MessagesReport(writer.read, writer.added, writer.changed + changed, reading.missing, left_out, lives)
    return report, reading.short


@dataclass(slots=True)
class Reading:
    """One search for unknown messages."""

    registry: AppRegistry
    writer: message_facts.Writer
    now: datetime
    run: Run
    left_out: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    whole: bool = False
    """Whether all messages were read."""
    short: message_facts.Short | None = None
    """Why an answer with all messages was rejected, if the run could continue."""

    def read(self, state: MessagesState, specifications: Sequence[AppSpecification], *, full: bool) -> None:
        """Read all messages if due or cheaper, else each unknown one."""
        unknown = _unknown(specifications, self.now)
        is_needed = full or state.complete_at is None
        is_due = state.complete_at is None or self.now - state.complete_at >= WHOLE
        if is_needed or is_due or sum(not asked for asked in unknown.values()) > MANY:
            self._try_all(is_needed)
        if self.whole:
            self._note_missing(_unknown(specifications, self.now))
        else:
            self._read_each(list(unknown)[:MANY])

    def _try_all(self, is_needed: bool) -> None:
        try:
            self._read_all()
        except UpstreamError as error:
            if is_needed:
                raise
            log.warning("all_messages_later", reason=one_line(error))
            self.short = error if isinstance(error, message_facts.Short) else None

    def _read_all(self) -> None:
        """Store all messages in batches: a kill loses one batch, and the next read skips stored ones."""
        messages = read_messages(self.registry, self.left_out)
        for batch in batched(messages):
            self.writer.store(batch)
            self.run.progress(f"{self.writer.read:,} messages")
        rows = self.writer.read + self.left_out.total()
        try:
            message_facts.require_whole(self.registry, self.writer.seen.keys(), rows, self.now)
        finally:
            self.writer.forget()
        MessagesState.objects.filter(id=1).update(complete_at=self.now)
        self.whole = True

    def _read_each(self, hashes: Sequence[str]) -> None:
        """Look up each message. Earlier results are kept on failure."""
        missing: list[str] = []
        try:
            for message_hash in hashes:
                message = find_message(self.registry, message_hash, self.left_out)
                if message:
                    self.writer.store([message])
                else:
                    missing.append(message_hash)
        finally:
            self._note_missing(missing)

    def _note_missing(self, hashes: Collection[str]) -> None:
        """Schedule single look-ups with growing pauses."""
        naming.note_missing(hashes, self.now)
        self.missing += len(hashes)


def _advance(state: MessagesState, daemon: Daemon, run: Run) -> int:
    """Date the blocks up to the tip, and mark the apps they change. Return the tip."""
    tip = max(stored_block_times.tip_of_ledger() or daemon.height(), state.tip_height)
    with transaction.atomic():
        run.guard()
        if stretch := stored_block_times.learn():
            message_facts.mark_apps(rebuild_lives.dated_again(stretch))
        message_facts.mark_apps(rebuild_lives.due(state.tip_height, tip))
        MessagesState.objects.filter(id=1).update(tip_height=tip)
    return tip


def _learn_daily(state: MessagesState, upstreams: Upstreams, now: datetime) -> None:
    """Read categories and newest version once a day. A failure keeps the old ones and is retried."""
    if state.templates_at and timedelta() <= now - state.templates_at < DAILY:
        return
    try:
        templates = {name: category_key(words) for name, words in upstreams.stats.templates().items()}
        MessagesState.objects.filter(id=1).update(templates=templates, templates_at=now)
    except UpstreamError as error:
        log.info("templates_later", reason=one_line(error))
    try:
        MessagesState.objects.filter(id=1).update(latest_version=upstreams.registry.latest_version())
    except UpstreamError as error:
        log.info("latest_version_later", reason=one_line(error))


def _follow_catalogue(run: Run, now: datetime) -> Catalogue:
    """Update the stored categories to the catalogue, and return it."""
    catalogue = Catalogue.load()
    if MessagesState.objects.filter(id=1, catalogue=catalogue.digest).exists():
        return catalogue
    moved: dict[str, list[str]] = {}
    apps: set[str] = set()
    rows = MessageFact.objects.values_list("hash", "app_key", "name", "images", "encrypted", "category")
    for message_hash, app_key, name, images, encrypted, category in rows.iterator(ROWS):
        if (current := catalogue.category(name, images, encrypted=encrypted)) != category:
            moved.setdefault(current, []).append(message_hash)
            apps.add(app_key)
    with transaction.atomic():
        run.guard()
        for category, hashes in moved.items():
            for batch in chunks(hashes):
                MessageFact.objects.filter(hash__in=batch).update(category=category)
        message_facts.mark_apps(apps)
        ChangedDay.mark(message_facts.days_paid([message_hash for hashes in moved.values() for message_hash in hashes]))
        MessagesState.objects.filter(id=1).update(catalogue=catalogue.digest, catalogue_at=now)
    return catalogue


def _specifications(registry: AppRegistry) -> Sequence[AppSpecification]:
    """Return the apps in force, none if they cannot be read; the next run can."""
    try:
        return registry.specifications_now().apps
    except UpstreamError as error:
        log.info("specifications_later", reason=one_line(error))
        return ()


def _unknown(specifications: Sequence[AppSpecification], now: datetime) -> dict[str, bool]:
    """Return the hashes to look up, and whether each was asked for before; new ones first."""
    paid = Payment.objects.filter(day__gte=(now - LATELY).date(), kind=Payment.Kind.APP).order_by()
    known = MessageFact.objects.filter(hash=OuterRef("hash"))
    due = Message.objects.filter(next_attempt_at__lte=now).exclude(Exists(known))
    hashes = {app.hash for app in specifications if app.hash}
    hashes |= {*paid.values_list("message_hash", flat=True), *due.values_list("hash", flat=True)}
    for batch in chunks(sorted(hashes)):
        hashes -= set(MessageFact.objects.filter(hash__in=batch).values_list("hash", flat=True))
        hashes -= set(Message.objects.filter(hash__in=batch, next_attempt_at__gt=now).values_list("hash", flat=True))
    asked = set(Message.objects.filter(attempts__gt=0).values_list("hash", flat=True)) & hashes
    return {message_hash: message_hash in asked for message_hash in sorted(hashes, key=lambda one: (one in asked, one))}


def _not_listed(specifications: Sequence[AppSpecification], tip: int) -> int | None:
    """Return how many apps in force by their messages are not in the network's list, None without a list.

    One message of each may not have been applied; which one is not proved.
    """
    if not specifications:
        return None
    in_force = Q(end_height__gt=tip) | Q(end_height=None, end_at__gt=stored_block_times.timeline().time_of(tip))
    listed = {app.name.lower() for app in specifications}
    return len(set(AppLife.objects.filter(in_force).values_list("app_key", flat=True)) - listed)


def _note(state: MessagesState, reading: Reading, not_listed: int | None) -> None:
    """Store what was read, and what was left out and why. New reasons are logged once."""
    before = state.coverage
    left_out = dict(sorted(reading.left_out.items())) if reading.whole else before.get("leftOut", {})
    repeated = reading.writer.repeated if reading.whole else before.get("repeated", 0)
    if left_out != before.get("leftOut", {}):
        log.info("messages_left_out", **left_out)
    coverage = _counts() | {"leftOut": left_out, "repeated": repeated, "notListed": not_listed}
    MessagesState.objects.filter(id=1).update(coverage=coverage, read_at=reading.now)


def _counts() -> dict[str, int]:
    """Return the coverage of stored messages and lives. Three queries."""
    tip = MessagesState.known().tip_height
    messages = MessageFact.objects.aggregate(
        messages=Count("hash"),
        termUnknown=Count("hash", filter=Q(term=None)),
        versionUnknown=Count("hash", filter=~Q(version__in=KNOWN_VERSIONS)),
        ownerUnknown=Count("hash", filter=Q(owner=None)),
        encrypted=Count("hash", filter=Q(encrypted=True)),
        notApplied=Count("hash", filter=Q(applied=False)),
        waiting=Count("hash", filter=Q(height__gt=tip)),
    )
    lives = AppLife.objects.aggregate(apps=Count("app_key"), endUnknown=Count("app_key", filter=Q(end_at=None)))
    return messages | lives
