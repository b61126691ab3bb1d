"""Who came, went and paid, and what was earned of it: exact numbers from hand-made rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from deployments import cohorts, customers
from deployments.models import AppEvent, AppLife, DailyAccrual, FillDay, MessagesState
from fluxtracker.money import SAT
from fluxtracker.periods import Period, Span
from metrics.models import CensusDay, NodeChange
from reports.sections import customers as groups
from reports.sections.money import State
from revenue.models import ChangedDay
from tests.factories import pay, settle
from tests.reports import rows
from tests.reports.conftest import NOW, noon

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Kpi = Callable[..., dict[str, Any]]
AUGUST = date(2026, 8, 20)
MONTH = 2_629_800  # seconds


@pytest.fixture(autouse=True)
def ledger() -> None:
    rows.ledger()
    rows.messages_read()
    ChangedDay.objects.all().delete()


def values(figures: dict[str, Any], *keys: str) -> dict[str, tuple[Any, Any]]:
    return {key: (figures[key]["value"], figures[key]["previous"]) for key in keys}


def test_organic_is_without_the_team_and_card_is_a_share(kpi: Kpi) -> None:
    rows.split(date(2026, 9, 1), "source", team=100, card=150, other=50)
    rows.split(date(2026, 10, 1), "source", team=90, card=315, other=45)
    figures = kpi()["figures"]
    assert values(figures, "organic_flux", "card_share") == {"organic_flux": (360.0, 200.0), "card_share": (70.0, 50.0)}
    assert (figures["card_share"]["change"], figures["card_share"]["change_unit"]) == (20.0, "points")


def test_splits_that_do_not_add_up_to_the_fees_are_not_shown(kpi: Kpi) -> None:
    rows.split(date(2026, 10, 1), "source", team=90, card=315)
    organic = kpi()["figures"]["organic_flux"]
    assert (organic["value"], organic["reason"]) == (None, "the payments have not been split by sender yet")


def test_days_that_are_still_to_be_split_are_named(kpi: Kpi) -> None:
    ChangedDay.objects.create(day=date(2026, 10, 10))
    figures = kpi()["figures"]
    reason = "the payments of 1 day are still being split"
    assert {figures[key]["reason"] for key in ("organic_flux", "paying_owners", "top10_share", "mrr_usd")} == {reason}


def test_without_app_messages_nothing_that_rests_on_them_is_known(kpi: Kpi) -> None:
    MessagesState.objects.update(complete_at=None)
    found = kpi()["notes"]
    unread = {key for key, words in found.items() if "app messages have not been read completely yet" in words}
    assert unread >= {"accrued_flux", "mrr_usd", "deferred_flux", "new_apps", "lost_apps", "renewal_rate",
                      "net_retention", "instance_months", "effect_volume"}  # fmt: skip


def test_accrued_is_a_sum_and_run_rate_and_deferred_are_means(kpi: Kpi) -> None:
    """100 FLUX of September are earned at 1 FLUX a day in October, 31 of them; 69 are left at its end."""
    DailyAccrual.objects.create(day=date(2026, 9, 30), cash_sat=100 * SAT)
    DailyAccrual.objects.bulk_create(
        DailyAccrual(day=day, accrued_sat=SAT, accrued_usd_micro=80_000) for day in rows.OCTOBER.days()
    )
    found = kpi()["figures"]
    assert values(found, "accrued_flux", "accrued_usd", "mrr_flux", "deferred_flux") == {
        "accrued_flux": (31.0, 0.0),
        "accrued_usd": (2.48, 0.0),
        "mrr_flux": (30.4375, 0.0),
        "deferred_flux": (84.0, pytest.approx(100 / 30)),
    }


def test_kinds_are_counted_by_the_day_of_their_message(kpi: Kpi) -> None:
    for kind, many in {"new": 3, "reregistered": 1, "renewal": 4, "won_back": 2, "cancelled": 1}.items():
        for _ in range(many):
            rows.event(kind, date(2026, 10, 5))
    rows.event("new", date(2026, 9, 5))
    assert values(
        kpi()["figures"], "new_apps", "reregistered_apps", "renewed_apps", "won_back_apps", "cancelled_apps"
    ) == {
        "new_apps": (3, 1), "reregistered_apps": (1, 0), "renewed_apps": (4, 0), "won_back_apps": (2, 0),
        "cancelled_apps": (1, 0),
    }  # fmt: skip


def test_losses_are_certain_seven_days_after_the_end(kpi: Kpi) -> None:
    """On 3 November everything before 27 October is decided."""
    rows.event("lost", date(2026, 9, 10))
    rows.event("lost", date(2026, 10, 10))
    AppLife.objects.create(app_key="x", name="x", category="other", end_at=noon(date(2026, 10, 30)))
    AppLife.objects.create(app_key="y", name="y", category="other", end_at=NOW + timedelta(days=9))
    figures = kpi()["figures"]
    assert values(figures, "lost_apps", "ended_apps") == {"lost_apps": (None, 1), "ended_apps": (2, 1)}
    assert figures["lost_apps"]["reason"] == "an app counts as lost 7 days after its end: known on 8 Nov 2026"
    assert figures["ended_apps"]["coverage"] == pytest.approx(100 * 26 / 31, abs=0.01)


def test_the_renewal_rate_is_of_terms_that_fell_due(kpi: Kpi) -> None:
    for due in (date(2026, 10, 3), date(2026, 10, 20), date(2026, 10, 31)):
        rows.event("renewal", date(2026, 9, 25), previous_end_at=noon(due))
    rows.event("renewal", date(2026, 10, 25), previous_end_at=noon(date(2026, 11, 4)))
    rows.event("lost", date(2026, 10, 10))
    rows.event("won_back", date(2026, 10, 16), previous_end_at=noon(date(2026, 10, 10)))
    rows.event("won_back", date(2026, 10, 17), previous_end_at=noon(date(2026, 10, 10)))
    figures = kpi()["figures"]
    assert figures["renewal_rate"]["value"] == 80.0
    assert figures["renewal_rate"]["previous_reason"] == "no term fell due"


def paid(app: AppLife, day: date, flux: int, *, owner: str | None, days: int = 30, position: int = 1) -> None:
    """A payment for so many days from noon on, in one life, at ten cents a FLUX."""
    money = {"payments": 1, "priced": 1, "revenue_sat": flux * SAT, "usd_micro": flux * 100_000}
    AppEvent.objects.create(
        app=app, kind="new", position=position, life=position, height=1, at=noon(day), day=day, owner=owner,
        end_at=noon(day) + timedelta(days=days), left_usd_micro=money["usd_micro"], **money,
    )  # fmt: skip


def apps(*names: str, **values: Any) -> list[AppLife]:
    return [AppLife.objects.create(app_key=name, name=name, category="other", **values) for name in names]


def test_owners_are_new_or_came_back_and_the_largest_apps_are_of_what_is_known(kpi: Kpi) -> None:
    """Of 300 FLUX in September 200 have an owner, of 450 in October 350."""
    one, two, three, four, nobodys = apps("one", "two", "three", "four", "nobodys")
    paid(one, AUGUST, 10, owner="anna")
    paid(two, date(2026, 9, 1), 100, owner="bert")
    paid(three, date(2026, 9, 1), 100, owner="carl")
    paid(one, date(2026, 10, 1), 50, owner="anna", position=2)
    paid(two, date(2026, 10, 1), 150, owner="bert", position=2)
    paid(four, date(2026, 10, 31), 150, owner="dora")
    paid(nobodys, date(2026, 10, 31), 50, owner=None)
    figures = kpi()["figures"]
    assert values(figures, "paying_owners", "new_owners", "returning_owners", "top10_share", "apps_for_80") == {
        "paying_owners": (3, 2), "new_owners": (1, 2), "returning_owners": (2, 0),
        "top10_share": (100.0, 100.0), "apps_for_80": (3, 2),
    }  # fmt: skip
    assert figures["paying_owners"]["coverage"] == pytest.approx(100 * 350 / 450, abs=0.01)
    assert figures["top10_share"]["previous_coverage"] == pytest.approx(100 * 200 / 300, abs=0.01)


def test_the_api_has_the_figures_of_the_report_for_the_same_days(kpi: Kpi, client: Client) -> None:
    """On 31 October at noon the last 30 days were 1 to 30 October; the report of those is made of the same functions.

    At the start anna earns 1 FLUX a day, bert 2, carl 4; at the end anna earns 3 with a second app, bert 1, carl none.
    """
    first, last = date(2026, 10, 1), date(2026, 10, 30)
    one, more, two, three = apps("one", "more", "two", "three", weekly=False)
    paid(one, date(2026, 9, 20), 30, owner="anna")
    paid(one, date(2026, 10, 20), 30, owner="anna", position=2)
    paid(more, date(2026, 10, 20), 60, owner="anna")
    paid(two, date(2026, 9, 20), 60, owner="bert")
    paid(two, date(2026, 10, 20), 30, owner="bert", position=2)
    paid(three, date(2026, 9, 20), 120, owner="carl")
    period = Period.of_days(first, last)
    kept = customers.retention(period)
    assert (kept.percent, {name: round(usd, 1) for name, usd in kept.usd_a_month.items()}) == (
        57.14, {"start": 21.3, "expansion": 6.1, "contraction": 3.0, "lost": 12.2},
    )  # fmt: skip
    MessagesState.objects.update(cohorts={"all": cohorts.report([], NOW) | cohorts.of_customers("all", period)})
    state, fees_sat = State.load(), 120 * SAT
    told = {
        **groups.owners(period, period.previous(), fees_sat, state),
        **groups.concentration(period, fees_sat, state),
    }
    answer = client.get("/api/economics/cohorts").json()
    assert answer["period"] == {"start": "2026-10-01", "end": "2026-10-30"}
    assert {key: known.value for key, known in told.items()} == {
        "net_retention": answer["netRetention"],
        **{f"{key}_owners": number for key, number in answer["owners"].items()},
        "top10_share": answer["concentration"]["top10_percent"],
        "apps_for_80": answer["concentration"]["apps_for_80_percent"],
    }
    DailyAccrual.objects.bulk_create(
        DailyAccrual(day=day, accrued_sat=SAT + day.day, accrued_usd_micro=80_001) for day in rows.OCTOBER.days()
    )
    query = {"start": "2026-10-01", "end": "2026-10-31", "by": "month"}
    (month,) = client.get("/api/economics/accrual", query).json()["data"]
    figures = kpi()["figures"]
    assert figures["mrr_flux"]["value"] == month["mrr_sat"] / SAT == 30.43750487
    assert figures["mrr_usd"]["value"] == round(month["mrr_usd"], 2)
    (day,) = client.get("/api/economics/accrual", {"start": "2026-11-02", "end": "2026-11-02"}).json()["data"]
    assert day["mrr_sat"] == client.get("/api/economics/accrual").json()["mrr"]["flux_sat"]


def sold(day: date, months: int, flux: int, usd: int) -> None:
    end = noon(day) + timedelta(seconds=MONTH)
    paid = {"payments": 1, "priced": 1, "revenue_sat": flux * SAT, "usd_micro": usd * 1_000_000}
    rows.event("new", day, instances=months, end_at=end, added_s=MONTH, **paid)


def test_volume_and_the_parts_of_the_change_add_up(kpi: Kpi) -> None:
    sold(date(2026, 9, 1), months=10, flux=300, usd=30)
    sold(date(2026, 10, 1), months=15, flux=450, usd=36)
    figures = kpi()["figures"]
    assert values(figures, "instance_months", "usd_per_instance_month") == {
        "instance_months": (15.0, 10.0), "usd_per_instance_month": (2.4, 3.0),
    }  # fmt: skip
    parts = [figures[f"effect_{name}"]["value"] for name in ("flux_price", "volume", "unit_price", "uncovered")]
    assert sum(parts) == pytest.approx(150.0)
    assert parts[0] > 0
    assert parts[1] == pytest.approx(150.0)
    assert parts[2] == pytest.approx(-parts[0])
    assert figures["effect_volume"]["previous_reason"].startswith("one of the two periods has no revenue")


def test_each_category_has_a_line_and_0_where_it_was_not_paid(kpi: Kpi) -> None:
    rows.split(date(2026, 9, 1), "category", gaming=120, unknown=180)
    rows.split(date(2026, 10, 1), "category", gaming=225, vpn=135, unknown=90)
    figures = kpi()["figures"]
    assert values(figures, "category_gaming", "category_vpn", "category_unknown", "classified_percent") == {
        "category_gaming": (225.0, 120.0), "category_vpn": (135.0, 0.0), "category_unknown": (90.0, 180.0),
        "classified_percent": (80.0, 40.0),
    }  # fmt: skip
    assert figures["category_gaming"]["coverage"] == 80.0


def test_rewards_are_the_blocks_of_the_period_at_the_mean_price(kpi: Kpi) -> None:
    """About 89,280 blocks of 14 and, from 26 October on, 12.6 FLUX: 1,223,000 FLUX, against 100,000."""
    pay("99550", at=noon(date(2026, 10, 2)), price_usd=Decimal("0.08"))
    settle(NOW)
    found = kpi()["figures"]["reward_coverage"]
    assert found["value"] == pytest.approx(8.18, abs=0.05)


CENSUS = {
    "nodes": '{"by_payment_address": {"count": 840, "nakamoto33": 9, "nakamoto50": 31, "hhi": 120.5}}',
    "facts": '{"concentration": {"countries": {"count": 50}, "providers": {"count": 200}}, "arcane_percent": 40.0,'
    '"versions": {"fluxos": [{"version": "8.9.0", "nodes": 70}, {"version": "8.17.0", "nodes": 30}]},'
    '"coverage": {"withFluxos": 120}}',
}


def test_the_census_gives_operators_places_and_versions(kpi: Kpi) -> None:
    CensusDay.objects.bulk_create(CensusDay(day=day, **CENSUS) for day in rows.OCTOBER.days())
    figures = kpi()["figures"]
    assert {key: figures[key]["value"] for key in (
        "operators", "nakamoto33", "nakamoto50", "hhi", "countries", "providers", "arcane_percent",
        "newest_fluxos_percent",
    )} == {
        "operators": 840, "nakamoto33": 9, "nakamoto50": 31, "hhi": 120.5, "countries": 50, "providers": 200,
        "arcane_percent": 40.0, "newest_fluxos_percent": 25.0,
    }  # fmt: skip
    assert figures["hhi"]["previous_reason"].startswith("no census has it on 30 of 30 days")


def test_joins_and_leaves_need_every_day(kpi: Kpi) -> None:
    def change(span: Span) -> None:
        NodeChange.objects.bulk_create(
            NodeChange(day=day, tier=tier, since=NOW, joins=2, leaves=1) for day in span.days() for tier in ("A", "B")
        )

    change(rows.OCTOBER)
    change(Span(date(2026, 9, 2), date(2026, 9, 30)))
    figures = kpi()["figures"]
    assert values(figures, "joins", "leaves") == {"joins": (124, None), "leaves": (62, None)}
    assert figures["joins"]["previous_reason"] == "no node list was compared on 1 of 30 days (1 Sep 2026)"


def test_fill_is_the_mean_of_what_was_recorded(kpi: Kpi) -> None:
    FillDay.objects.bulk_create(
        FillDay(day=day, read_at=NOW, ordered=200, running=150, expired_running=21) for day in rows.OCTOBER.days()
    )
    assert values(kpi()["figures"], "fill_percent", "expired_running") == {
        "fill_percent": (75.0, None), "expired_running": (21, None),
    }  # fmt: skip
