from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from console.charts import Span, all_charts, periods
from console.figures import HOUR, KEPT_HOURS, Gatherer, count
from console.histograms import bucket, quantile
from dialogue.states import Role, TurnState
from dialogue.storage.ids import first_id_at, new_id
from dialogue.tables import TURNS
from tests.console import demo
from tests.console.conftest import House
from tests.patience import wait_until

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 21, 3, 20, tzinfo=UTC)


def test_ids_of_a_time_are_between_those_before_and_after() -> None:
    now = datetime.now(UTC)
    assert first_id_at(now - timedelta(seconds=1)) < new_id() < first_id_at(now + timedelta(hours=1))


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_quantile_of_buckets_is_near_that_of_the_lengths(any_house: House, share: float) -> None:
    chance = Random(3)
    lengths = sorted(chance.random() ** 3 * 40 for _ in range(300))
    now = any_house.clock()
    heard = any_house.rooms.heard()
    with any_house.services.database.begin() as session:
        counts: dict[int, int] = {}
        for length in lengths:
            times = {"created_at": now, "finished_at": now + timedelta(seconds=length)}
            session.execute(update(TURNS).where(TURNS.c.id == heard.turn_id).values(**times))
            number = session.scalars(select(bucket(TURNS.c.finished_at, TURNS.c.created_at))).one()
            counts[number] = counts.get(number, 0) + 1
    exact = lengths[round(share * len(lengths)) - 1]
    found = quantile(counts, share)
    assert found is not None
    assert abs(found - exact) <= max(0.05, 0.15 * exact)


def test_what_has_no_end_yet_is_in_no_bucket(any_house: House) -> None:
    any_house.rooms.heard()
    with any_house.services.database.read() as session:
        assert session.scalars(select(bucket(TURNS.c.finished_at, TURNS.c.created_at))).one() is None
    assert quantile({}, 0.5) is None


def test_the_hours_of_a_week_hold_every_turn_once(any_house: House) -> None:
    services = any_house.services
    demo.fill(services.database, services.keys, now=NOW)
    any_house.clock.now = NOW
    gatherer = Gatherer(services.database, clock=any_house.clock)
    assert gatherer.week().as_of is None
    gatherer.gather()
    week = gatherer.week()
    assert week.is_complete
    assert len(week.hours) == KEPT_HOURS
    with services.database.read() as session:
        stored = session.scalars(select(TURNS.c.state)).all()
    for state in TurnState:
        assert sum(hour.turns.get(state, 0) for hour in week.hours.values()) == stored.count(state)
    alarms = [hour.alarms for hour in week.hours.values()]
    assert sum(each.get("tier 3", 0) for each in alarms) == 1
    assert sum(each.get("tier 2", 0) for each in alarms) == 5


def test_an_hour_with_open_turns_is_counted_again_and_a_settled_one_is_not(house: House) -> None:
    starts_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    late = starts_at + HOUR + timedelta(minutes=10)
    heard = house.rooms.heard()
    with house.services.database.read() as session:
        assert not count(session, starts_at, now=late).is_settled
    with house.services.database.begin() as session:
        session.execute(update(TURNS).where(TURNS.c.id == heard.turn_id).values(state=TurnState.DISCARDED))
    with house.services.database.read() as session:
        assert count(session, starts_at, now=late).is_settled
        assert not count(session, starts_at, now=starts_at + timedelta(minutes=59)).is_settled


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
@pytest.mark.parametrize("span", list(Span))
def test_the_bars_hold_every_hour_once_in_every_time_zone(house: House, span: Span, zone: str) -> None:
    house.clock.now = datetime(2026, 11, 3, 6, 30, tzinfo=UTC)  # New York put its clocks back two days before
    gatherer = Gatherer(house.services.database, clock=house.clock)
    gatherer.gather()
    bars = periods(gatherer.week(), span, ZoneInfo(zone), now=house.clock())
    hours = [hour.starts_at for bar in bars for hour in bar.hours]
    assert len(hours) == len(set(hours))
    assert max(hours) == house.clock().replace(minute=0)
    assert sorted(hours) == [min(hours) + HOUR * index for index in range(len(hours))]
    assert len(hours) >= {Span.DAY: 23, Span.WEEK: 7 * 24 - 6}[span]  # half an hour less where zones are odd


def test_a_chart_draws_what_its_numbers_say(house: House) -> None:
    demo.fill(house.services.database, house.services.keys, now=NOW)
    house.clock.now = NOW
    house.services.gatherer.gather()
    turns, _, first_token, *_ = all_charts(house.services.gatherer.week(), Span.WEEK, SHANGHAI, now=NOW)
    assert not turns.is_empty
    values = [value for *_, numbers in turns.columns for value in numbers if value]
    assert len(turns.boxes) == len(values)
    assert all(box.height > 0 and box.y >= 0 for box in turns.boxes)
    medians = [numbers[0] for *_, numbers in first_token.columns if numbers[0] is not None]
    assert medians
    assert all(0.3 < median < 4 for median in medians)
    for span in Span:
        page = house.browser(Role.VIEWER).get(f"/figures?span={span}").text
        assert page.count("<svg") >= 4


def test_before_anything_was_counted_the_page_says_so(house: House) -> None:
    page = house.browser(Role.VIEWER).get("/figures").text
    assert "正在统计" in page
    assert "这段时间没有数据" in page


def test_the_charts_go_on_after_an_error_that_nobody_expected(house: House) -> None:
    calls: list[datetime] = []

    def clock() -> datetime:
        calls.append(house.clock())
        if len(calls) == 1:
            raise RuntimeError
        return calls[-1]

    gatherer = Gatherer(house.services.database, period_seconds=0.01, clock=clock)
    gatherer.start()
    wait_until(lambda: gatherer.week().as_of is not None, 10)
    gatherer.stop()
