from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from dialogue.storage.ids import new_id


def test_ids_are_version_7_and_ascend_within_a_process() -> None:
    ids = [new_id() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert {(row_id.version, row_id.variant) for row_id in ids} == {(7, "specified in RFC 4122")}


def test_ids_of_many_threads_never_meet() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id(), range(5000)))
    assert len(set(ids)) == 5000


def test_an_id_tells_when_it_was_made() -> None:
    made_at = datetime.fromtimestamp((new_id().int >> 80) / 1000, UTC)
    assert abs((datetime.now(UTC) - made_at).total_seconds()) < 5
