"""Registries: what is registered is found by name, by whomever, and what is not is answered with what is."""

from __future__ import annotations

import sys

import pytest

from hwmodels.basics.registry import Registry, RegistryError, UnknownNameError

GROUP = "ppg_nas.test_animals"


@pytest.fixture
def registry():
    animals = Registry("animal", GROUP, str)
    animals.add("cat", "meow")
    animals.add("dog", "woof")
    return animals


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package with entry points in the group, as pip would, and gives its module's file."""

    def install(points: dict[str, str], source: str = "SOUND = 'moo'\n"):
        (tmp_path / "farm_animals.py").write_text(source)
        information = tmp_path / "farm_animals-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: farm-animals\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (information / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "farm_animals", raising=False)

    return install


def test_what_is_registered_is_found_by_name_in_order(registry):
    assert (list(registry), len(registry), registry["dog"]) == (["cat", "dog"], 2, "woof")


def test_an_unknown_name_is_answered_with_the_known_ones_and_what_adds_another(registry):
    with pytest.raises(UnknownNameError, match=f"unknown animal 'cow', known are cat, dog; .* group {GROUP}"):
        registry["cow"]
    assert "cow" not in registry and registry.get("cow") is None


def test_a_name_is_given_once(registry):
    with pytest.raises(RegistryError, match="animal 'cat': registered twice"):
        registry.add("cat", "purr")


def test_an_object_of_another_class_is_refused(registry):
    with pytest.raises(RegistryError, match=r"'cow': is a int, but .* holds str"):
        registry.add("cow", 3)


def test_an_installed_package_adds_its_own_and_is_imported_only_when_asked_for(registry, installed):
    installed({"cow": "farm_animals:SOUND"})
    assert list(registry) == ["cat", "dog", "cow"] and "farm_animals" not in sys.modules
    assert registry["cow"] == "moo"


def test_an_entry_point_cannot_replace_what_is_registered(registry, installed):
    installed({"cat": "farm_animals:SOUND"})
    with pytest.raises(RegistryError, match="'cat': the entry point farm_animals:SOUND takes a name"):
        list(registry)


@pytest.mark.parametrize(
    ("value", "source", "reason"),
    [
        ("farm_animals:NOISE", "SOUND = 1\n", "cannot be imported"),
        ("farm_animals:SOUND", "import nowhere_to_be_found\n", "cannot be imported"),
        ("farm_animals:SOUND", "SOUND = 1\n", "is a int"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_an_error_of_that_name_alone(registry, installed, value, source, reason):
    installed({"cow": value}, source)
    with pytest.raises(RegistryError, match=reason):
        registry["cow"]
    assert registry["cat"] == "meow"


def test_modules_of_a_package_register_themselves_at_the_first_look_up(tmp_path, monkeypatch):
    folder = tmp_path / "zoo_of_modules"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from hwmodels.basics.registry import Registry\n"
        f"ANIMALS = Registry('animal', '{GROUP}', str, package='zoo_of_modules')\n"
    )
    (folder / "lion.py").write_text("from zoo_of_modules import ANIMALS\nANIMALS.add('lion', 'roar')\n")
    monkeypatch.syspath_prepend(tmp_path)
    from zoo_of_modules import ANIMALS

    assert list(ANIMALS) == ["lion"]


def test_modules_named_for_their_entries_are_listed_without_an_import(tmp_path, monkeypatch):
    folder = tmp_path / "park_of_modules"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "bear.py").write_text("SOUND = 'growl'\n")
    (folder / "broken.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.syspath_prepend(tmp_path)
    animals = Registry("animal", GROUP, "builtins:str", package="park_of_modules", attribute="SOUND")
    assert list(animals) == ["bear", "broken"] and "park_of_modules.bear" not in sys.modules
    animals.add("ape", "ooh")
    assert animals["bear"] == "growl" and list(animals) == ["ape", "bear", "broken"]
