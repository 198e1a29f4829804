"""The wheel holds all that the product needs, and needs to write nowhere but in its home."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import image
from tests.deploy.image import Container


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the wheel lays down, read-only."""
    directory = tmp_path_factory.mktemp("wheel")
    unpacked = image.unpack(image.build_wheel(directory), directory / "site")
    yield unpacked
    image.allow_writing(unpacked)


@pytest.fixture
def container(tree: Path, tmp_path: Path) -> Container:
    """With the dependencies of the tests' environment."""
    (tmp_path / "home").mkdir()
    variables = {"PYTHONPATH": str(tree), "MINDGLM_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    return Container(bin=Path(sys.executable).parent, data=tmp_path / "home", environment=variables)


def test_it_is_the_wheel_that_runs_and_its_tree_cannot_be_written(container: Container, tree: Path) -> None:
    program = "import mindglm, migrations, os; print(mindglm.__file__, *migrations.__path__, os.geteuid())"
    file, place, user = container.run("python", "-c", program).split()
    assert (Path(file).parent, Path(place)) == (tree / "mindglm", tree / "migrations")
    assert user != "0"
    assert "PermissionError" in container.run(
        "python", "-c", f"try: open('{tree}/x', 'w')\nexcept PermissionError as error: print(repr(error))"
    )


def test_the_migrations_are_found_in_it(container: Container) -> None:
    container.run("python", "-m", "mindglm", "migrate")
    assert (container.data / "mindglm.db").exists()


def test_the_bundled_model_and_all_words_are_in_it(tree: Path) -> None:
    packed = {str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file()}
    data = (".toml", ".bin", ".safetensors", ".json", ".jinja", ".txt", ".py", ".html", ".css", ".svg")
    for package in ("bot", "care", "dialogue", "mindglm", "migrations", "training", "worker"):
        for path, _, names in os.walk(image.ROOT / package):
            wanted = {str(Path(path, name).relative_to(image.ROOT)) for name in names if name.endswith(data)}
            assert wanted <= packed


def test_it_installs_its_commands(tree: Path) -> None:
    (points,) = tree.glob("*.dist-info/entry_points.txt")
    assert "mindglm = mindglm.__main__:main" in points.read_text()
