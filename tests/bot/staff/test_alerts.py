"""Danger is told to the admins, unless they want no alerts."""

from bot.services import BotServices
from tests.bot.staff.chat import BOSS, OTHER, order, owed
from tests.builders import message


async def test_danger_alarms_the_admins_in_the_same_breath(desk: BotServices) -> None:
    await desk.inbox.receive(message("我最近一直想自杀"))
    for admin in (BOSS, OTHER):
        (alert,) = owed(desk, admin)
        assert "等级 2" in alert
        assert "自杀" not in alert
    await desk.inbox.receive(message("我还是想自杀"))
    assert owed(desk, BOSS) == []
    await desk.inbox.receive(message("我今晚就想结束自己"))
    assert "等级 3" in owed(desk, BOSS)[0]


async def test_alerts_can_be_turned_off_by_each_admin(desk: BotServices) -> None:
    assert "其他管理员" in await order(desk, "/admin alerts off")
    assert "没有任何管理员" in await order(desk, "/admin 提醒 关", by=OTHER)
    await desk.inbox.receive(message("我今晚就想结束自己"))
    assert owed(desk, BOSS) == []
    await order(desk, "/admin alerts on")
    await desk.inbox.receive(message("我今晚就想结束自己", who="小李"))
    assert len(owed(desk, BOSS)) == 1
    assert "on" in await order(desk, "/admin alerts")
