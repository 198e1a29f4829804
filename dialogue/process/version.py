"""Which version of the product this is."""

from importlib.metadata import PackageNotFoundError, version

_DISTRIBUTION = "mindglm-bot"


def product_version() -> str:
    """As it was installed; "source" for code that runs from its checkout."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "source"
