"""The page of each thing: an app, an owner, a sender, a transaction, a day, a block."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.test import Client

from deployments.models import AppEvent, AppLife, MessageFact
from deployments.splits import daily
from ops.jobs import runs
from revenue import ledger
from revenue.models import App, ChangedDay, LedgerState, Payment
from tests.dashboard.reading import html, words
from tests.dashboard.rows import ADDRESS, FLUX, NOW, SENDER, made, pay, store, synced
from tests.factories import AppFactory, digest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

OTHER = "t1Mzja9wWxxxxxxxxxxxxxxxxxxxxxxxxxx"
OWNER = "1EMnhoCZ6vqqcYqUuVoQRbQM2pVvvnsPgX"
LAST_MONTH = datetime(2026, 10, 5, 12, tzinfo=UTC)


def named(client: Client, address: str) -> str:
    return words(html(client, address))


def not_found(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 404
    return response.content.decode()


def split_all() -> None:
    """Split what waits for it, as update_economics does."""
    with ledger.writing():
        daily.recompute(list(ChangedDay.objects.values_list("day", flat=True)))
        ChangedDay.objects.all().delete()


def prune(settings: Any) -> None:
    """Keep single payments of the last 30 days alone."""
    settings.RETENTION_DAYS = 30
    with runs.run("prune", trigger="command") as run:
        ledger.prune(now=NOW, run=run)


def message(payment: Payment, name: str, **more: Any) -> MessageFact:
    values = {
        "hash": payment.message_hash, "kind": "register", "name": name, "app_key": name.lower(), "owner": OWNER,
        "version": 8, "encrypted": False, "category": "web", "height": payment.height, "txid": payment.txid,
    }  # fmt: skip
    return MessageFact.objects.create(**values | more)


def life(name: str, **more: Any) -> AppLife:
    values: dict[str, Any] = {
        "app_key": name.lower(), "name": name, "owner": OWNER, "category": "web", "image": "nginx", "instances": 3,
        "registered_at": LAST_MONTH, "end_height": 9_000_000, "end_at": NOW + timedelta(days=20),
    }  # fmt: skip
    return AppLife.objects.create(**values | more)


def event(app: AppLife, payment: Payment, kind: str, position: int = 0) -> AppEvent:
    """One event, and the sums by day and kind of all there are, as a migration adds them up."""
    row = AppEvent.objects.create(
        app=app, position=position, life=1, kind=kind, message_hash=payment.message_hash, txid=payment.txid,
        owner=app.owner, instances=3, height=payment.height, at=payment.paid_at, day=payment.day,
        end_height=app.end_height, end_at=app.end_at, payments=1, revenue_sat=payment.amount_sat,
        usd_micro=payment.usd_micro or 0, priced=int(payment.usd_micro is not None),
    )  # fmt: skip
    import_module("deployments.migrations.0010_kind_days").add_up(apps, None)
    return row


@pytest.fixture
def minecraft() -> list[Payment]:
    """An app with two payments in October and one in November that has no price, and its life."""
    synced()
    rows = [
        pay(3 * FLUX, at=LAST_MONTH, app="Minecraft7", kind="app", message_hash=digest("m", 1)),
        pay(FLUX, at=LAST_MONTH + timedelta(days=2), app="Minecraft7", kind="app", message_hash=digest("m", 2)),
        pay(2 * FLUX, at=NOW, app="Minecraft7", kind="app", message_hash=digest("m", 3), priced=False),
    ]
    app = life("Minecraft7")
    for position, (row, kind) in enumerate(zip(rows, ("new", "renewal", "change"), strict=True)):
        message(row, "Minecraft7")
        event(app, row, kind, position)
    return rows


def test_an_app_has_its_totals_its_months_its_life_and_its_payments(client: Client, minecraft: list[Payment]) -> None:
    page = html(client, "/app/Minecraft7")
    shown = words(page)
    assert "Payments 3 FLUX 6.00 USD $0.30 Unpriced 1 payment" in shown
    assert "Oct 2026 2 4.00000000 $0.30 0" in shown
    assert "Nov 2026 1 2.00000000 — 1" in shown
    assert "State running, paid until 8 Dec 2026" in shown
    assert f'href="/owner/{OWNER}"' in page
    steps = re.findall(r"<td>(registered|renewed|changed)</td>", page)
    assert steps == ["changed", "renewed", "registered"]
    assert page.count('<tr role="row" id="p') == 3
    assert 'href="/?app=Minecraft7#panel-payments"' in page
    assert 'href="/export/payments.csv?app=Minecraft7"' in page


def test_the_months_are_the_same_before_and_after_their_days_are_split(
    client: Client, minecraft: list[Payment]
) -> None:
    before = html(client, "/app/Minecraft7")
    split_all()
    assert html(client, "/app/Minecraft7") == before
    before = html(client, f"/owner/{OWNER}")
    ChangedDay.mark([row.day for row in minecraft])
    assert html(client, f"/owner/{OWNER}") == before


def test_an_app_in_another_case_redirects_to_its_own(client: Client, minecraft: list[Payment]) -> None:
    answer = client.get("/app/MINECRAFT7")
    assert (answer.status_code, answer["Location"]) == (301, "/app/Minecraft7")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"end_height": 1}, "expired on 8 Dec 2026"),
        ({"cancelled": True}, "cancelled on 8 Dec 2026"),
        ({"end_height": None, "end_at": NOW - timedelta(days=1)}, "expired on 17 Nov 2026"),
        ({"end_height": None, "end_at": None}, "State unknown"),
    ],
)
def test_an_app_says_how_it_stands(
    client: Client, minecraft: list[Payment], change: dict[str, Any], state: str
) -> None:
    AppLife.objects.update(**change)
    assert state in named(client, "/app/Minecraft7")


def test_an_app_that_only_messages_name_has_a_page_without_payments(client: Client) -> None:
    life("Silent")
    shown = named(client, "/app/silent".replace("s", "S", 1))
    assert "Payments 0 FLUX 0.00" in shown
    assert "No payments." in shown


def test_an_app_that_only_payments_name_says_that_its_messages_are_not_read(client: Client) -> None:
    pay(app="Lonely")
    assert "No message of this app has been read yet." in named(client, "/app/Lonely")


def test_an_unknown_app_is_not_found_with_the_closest_names(client: Client, minecraft: list[Payment]) -> None:
    pay(app="wordpress9")
    page = not_found(client, "/app/minecraft77")
    assert 'href="/app/Minecraft7"' in page
    assert "wordpress9" not in page


def test_a_name_with_any_characters_has_a_page(client: Client) -> None:
    pay(app="=cmd|' /C calc'!A0")
    page = html(client, "/app/%3Dcmd%7C'%20/C%20calc'!A0")
    assert "=cmd|&#x27; /C calc&#x27;!A0" in page


@pytest.mark.parametrize("kind", ["app", "owner", "payer", "tx", "day", "block"])
@pytest.mark.parametrize("name", ["x%00y", "%0a", "%FF", "a" * 129, "%3Cscript%3E", "٣", "9" * 100, "-1", "..."])
def test_what_names_nothing_is_not_found(client: Client, kind: str, name: str) -> None:
    synced()
    assert "<script>" not in not_found(client, f"/{kind}/{name}").split("<main", 1)[1]


def test_an_owner_has_what_was_paid_for_its_messages_and_its_apps(client: Client, minecraft: list[Payment]) -> None:
    pay(9 * FLUX, app="Minecraft7", kind="app", message_hash=digest("of another owner"))
    page = html(client, f"/owner/{OWNER}")
    assert "Payments 3 FLUX 6.00" in words(page)
    assert 'href="/app/Minecraft7"' in page
    assert page.count('<tr role="row" id="p') == 3
    assert f'title="{OWNER}"' not in page  # its own page has it whole
    assert OWNER in page


def test_an_unknown_owner_is_not_found_with_those_that_begin_so(client: Client, minecraft: list[Payment]) -> None:
    assert f'href="/owner/{OWNER}"' in not_found(client, f"/owner/{OWNER[:8]}x")


def test_a_sender_has_its_payments_alone(client: Client) -> None:
    synced()
    pay(3 * FLUX, at=LAST_MONTH)
    pay(FLUX)
    pay(5 * FLUX, from_address=OTHER)
    page = html(client, f"/payer/{SENDER}")
    assert "Payments 2 FLUX 4.00" in words(page)
    assert "Oct 2026 1 3.00000000" in words(page)
    assert page.count('<tr role="row" id="p') == 2
    assert f'href="/?sender={SENDER}#panel-payments"' in page
    assert f'href="/?sender={SENDER}&amp;from=2026-10-01&amp;to=2026-10-31#panel-payments"' in page


@pytest.mark.parametrize("sender", ["a/b", "/", "//example.org", "a%2Fb?c#d"])
def test_a_sender_of_any_characters_has_a_page_and_links_to_it(client: Client, sender: str) -> None:
    synced()
    row = pay(from_address=sender)
    address = f"/payer/{quote(sender)}"
    assert "Payments 1 FLUX 1.00" in named(client, address)
    for page in ("/", "/panels/payments/?tab=payers&from=2026-11-01", f"/tx/{row.txid}", "/day/2026-11-18", address):
        assert f'href="{address}"' in html(client, page)


def test_a_sender_counts_payments_that_are_pruned(client: Client, settings: Any) -> None:
    synced()
    pay(3 * FLUX, at=LAST_MONTH)
    pay(FLUX)
    prune(settings)
    assert Payment.objects.count() == 1
    shown = named(client, f"/payer/{SENDER}")
    assert "Payments 2 FLUX 4.00" in shown
    assert "Individual payments go back to" in shown


def test_an_unknown_sender_is_not_found_with_those_that_begin_so(client: Client) -> None:
    pay()
    pay(from_address=OTHER)
    page = not_found(client, f"/payer/{SENDER[:7]}zz")
    assert f'href="/payer/{SENDER}"' in page
    assert f'href="/payer/{OTHER}"' in page


def test_a_transaction_has_all_its_outputs_and_links(client: Client) -> None:
    synced()
    row = pay(3 * FLUX, app="Minecraft7")
    pay(FLUX, txid=row.txid, vout=1, height=row.height)
    page = html(client, f"/tx/{row.txid}")
    assert "Payments 2 FLUX 4.00" in words(page)
    for link in ("/app/Minecraft7", f"/payer/{SENDER}", f"/block/{row.height}", "/day/2026-11-18"):
        assert f'href="{link}"' in page
    assert f'href="/api/revenue/transactions?search={row.txid}"' in page
    assert client.get(f"/tx/{row.txid.upper()}")["Location"] == f"/tx/{row.txid}"


def test_a_transaction_that_is_pruned_keeps_its_sum(client: Client, settings: Any) -> None:
    synced()
    row = pay(3 * FLUX, at=LAST_MONTH)
    prune(settings)
    shown = named(client, f"/tx/{row.txid}")
    assert "Payments 1 FLUX 3.00" in shown
    assert "no longer kept" in shown


def test_an_unknown_transaction_is_not_found_with_those_that_begin_so(client: Client) -> None:
    row = pay()
    assert f'href="/tx/{row.txid}"' in not_found(client, f"/tx/{row.txid[:12]}")


def test_a_block_has_its_payments_and_its_neighbours(client: Client) -> None:
    synced()
    for height in (100, 200, 200, 300):
        pay(FLUX, height=height, vout=Payment.objects.count())
    page = html(client, "/block/200")
    assert "Payments 2 FLUX 2.00" in words(page)
    assert re.findall(r'href="(/block/\d+)" rel="(\w+)"', page) == [("/block/100", "prev"), ("/block/300", "next")]
    assert client.get("/block/0200")["Location"] == "/block/200"
    twin = client.get("/api/revenue/transactions?block=200").json()
    assert [row["block_height"] for row in twin["transactions"]] == [200, 200]


def test_a_block_without_payments_is_not_found_with_the_nearest_that_have_some(client: Client) -> None:
    pay(height=100)
    pay(height=300)
    assert re.findall(r'href="(/block/\d+)"', not_found(client, "/block/250")) == ["/block/100", "/block/300"]


def test_a_day_has_its_payments_and_its_month(client: Client) -> None:
    synced()
    pay(3 * FLUX, at=NOW - timedelta(days=1))
    pay(FLUX, at=NOW)
    page = html(client, "/day/2026-11-17")
    assert "Payments 1 FLUX 3.00" in words(page)
    assert "State complete" in words(page)
    assert re.findall(r'href="(/day/[^"]+)" rel="next"', page) == ["/day/2026-11-18"]
    assert 'rel="prev"' not in page  # the ledger begins here
    assert 'href="/?from=2026-11-17&amp;to=2026-11-17#panel-payments"' in page
    assert "State in progress" in named(client, "/day/2026-11-18")


def test_a_day_without_payments_adds_up_to_nothing(client: Client) -> None:
    synced()
    pay(at=NOW - timedelta(days=4))
    assert "Payments 0 FLUX 0.00 USD $0.00 Unpriced 0 payments" in named(client, "/day/2026-11-16")


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("2026-11-01", "2026-11-16"), ("2027-01-01", "2026-11-18"), ("2026-11-31", "2026-11-18"), ("x", "2026-11-18")],
)
def test_a_day_that_the_ledger_has_not_leads_to_the_nearest(client: Client, wrong: str, nearest: str) -> None:
    synced()
    pay(at=NOW - timedelta(days=2))
    assert f'href="/day/{nearest}"' in not_found(client, f"/day/{wrong}")


PATHS = ("/app/Minecraft7", f"/owner/{OWNER}", f"/payer/{SENDER}", "/day/2026-11-18", "tx", "block")


@pytest.fixture
def paths(minecraft: list[Payment]) -> list[str]:
    row = minecraft[-1]
    return [{"tx": f"/tx/{row.txid}", "block": f"/block/{row.height}"}.get(path, path) for path in PATHS]


def test_each_page_can_be_shared(client: Client, paths: list[str]) -> None:
    for path in paths:
        page = html(client, path)
        assert f'<link rel="canonical" href="http://testserver{path}">' in page
        assert f'<meta property="og:url" content="http://testserver{path}">' in page
        assert re.search(r'<meta property="og:description" content="[A-Z][^"]+ FLUX[^"]*">', page)
        assert " style=" not in page


def test_each_page_is_made_once_for_who_has_it(client: Client, paths: list[str]) -> None:
    etags = {path: client.get(path)["ETag"] for path in paths}
    assert len(set(etags.values())) == len(paths)
    for path, etag in etags.items():
        assert client.get(path, headers={"if-none-match": etag}).status_code == 304
    pay()
    for path, etag in etags.items():
        assert client.get(path, headers={"if-none-match": etag}).status_code == 200


def test_an_app_and_an_owner_have_the_same_sums_as_json(client: Client, minecraft: list[Payment]) -> None:
    split_all()
    for path, sums in (("apps/Minecraft7", "payments"), (f"owners/{OWNER}", "totals")):
        found = client.get(f"/api/{path}").json()[sums]
        count = found.get("count", found.get("payments"))
        page = named(client, f"/{path.replace('s/', '/')}")
        assert f"Payments {count} FLUX {found['flux']:.2f} USD ${found['usd']:.2f} Unpriced 1 payment" in page
        assert found["usdMissing"] == 1


def test_their_json_has_the_same_sums(client: Client, minecraft: list[Payment]) -> None:
    split_all()
    for path in ("/day/2026-11-18", f"/tx/{minecraft[0].txid}", f"/block/{minecraft[0].height}"):
        page = html(client, path)
        twin = re.search(r'href="([^"]+)" rel="alternate"', page)
        assert twin
        rows = client.get(twin[1].replace("&amp;", "&")).json()
        payments, flux = rows["total"], sum(row["amount"] for row in rows["transactions"])
        assert f"Payments {payments} FLUX {flux:.2f}" in words(page)


@pytest.mark.parametrize(
    ("path", "most"),
    [("/app/Minecraft7", 12), (f"/owner/{OWNER}", 13), (f"/payer/{SENDER}", 8), ("/day/2026-11-18", 10)],
)
def test_the_number_of_queries_does_not_grow_with_the_rows(
    client: Client, minecraft: list[Payment], django_assert_max_num_queries: Any, path: str, most: int
) -> None:
    split_all()
    with django_assert_max_num_queries(most) as few:
        html(client, path)
    app = AppFactory(name="Minecraft7")
    store([made(number + 10, NOW - timedelta(hours=7 * number), app) for number in range(60)])
    split_all()
    with django_assert_max_num_queries(most) as more:
        html(client, path)
    assert len(more) == len(few)


def test_nothing_is_known_before_the_first_sync(client: Client) -> None:
    assert not App.objects.exists()
    assert "The ledger is empty." in not_found(client, "/day/2026-11-18")
    assert LedgerState.load().tip_height is None
    row = pay()
    assert "The chain&#x27;s tip has not been read yet." in html(client, f"/tx/{row.txid}")
    assert ADDRESS in html(client, f"/tx/{row.txid}")
