from pathlib import Path

import pytest

from tests.bootstrap.checkout import Checkout, make_checkout


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """Nothing is prepared."""
    return make_checkout(tmp_path)


@pytest.fixture(scope="module")
def _developed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = make_checkout(tmp_path_factory.mktemp("developed"))
    assert checkout.run("test").status == 0
    return checkout


@pytest.fixture
def ready(_developed: Checkout) -> Checkout:
    """Prepared for developers; the test leaves it so."""
    _developed.noted()
    return _developed
