"""The numbers: dated, sourced, never invented."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from care.hotlines import Kind, directory, parse, regions


@pytest.mark.parametrize("region", regions())
def test_every_region_has_emergency_numbers_and_a_helpline_with_source_and_date(region: str) -> None:
    lines = directory(region).lines
    assert {Kind.EMERGENCY, Kind.HELPLINE} <= {line.kind for line in lines}
    assert all(line.source and line.digits and isinstance(line.checked_on, date) for line in lines)


def test_the_mainland_names_its_numbers() -> None:
    assert {"12356", "120", "110", "01082951332"} <= directory("cn").numbers()


def test_an_unknown_region_is_an_error() -> None:
    with pytest.raises(KeyError):
        directory("../secrets")


def test_an_entry_that_nobody_checked_for_a_year_is_stale() -> None:
    mainland = directory("cn")
    newest = max(line.checked_on for line in mainland.lines)
    old = replace(mainland.lines[0], checked_on=newest - timedelta(days=400))
    assert replace(mainland, lines=(old, *mainland.lines[1:])).stale(newest) == (old,)
    assert mainland.stale(newest + timedelta(days=366)) == mainland.lines


def test_an_operators_own_file_is_read_the_same_way() -> None:
    own = parse(
        'region = "x"\nemergency_words = "112"\nemergency_words_en = "112"\n[[line]]\nnumber = "112"\nname = "急救"\n'
        'name_en = "emergency"\nhours = "24"\nkind = "emergency"\nsource = "dialled"\nchecked_on = 2026-01-02\n'
    )
    assert own.numbers() == {"112"}


@pytest.mark.parametrize("number", ["12345", "12333", "96110", "12348", "12315"])
def test_a_reply_may_name_public_services_and_our_scripts_do_not(number: str) -> None:
    known = directory("cn")
    assert number in known.numbers()
    assert not any(line.number == number for kind in Kind for line in known.offered(kind))
