from pathlib import Path

import pytest

from tests.bootstrap.checkout import Checkout, make_checkout, with_quick_pip


@pytest.fixture
def untouched(tmp_path: Path) -> Checkout:
    """Nothing is prepared, and pip is this Python's own."""
    return make_checkout(tmp_path)


@pytest.fixture
def fresh(untouched: Checkout) -> Checkout:
    """Nothing is prepared; for what happens after pip has fetched uv."""
    return with_quick_pip(untouched)


@pytest.fixture(scope="module")
def _developed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = with_quick_pip(make_checkout(tmp_path_factory.mktemp("developed")))
    assert checkout.run("test").status == 0
    return checkout


@pytest.fixture
def ready(_developed: Checkout) -> Checkout:
    """Prepared for developers; the test leaves it so."""
    _developed.noted()
    return _developed
