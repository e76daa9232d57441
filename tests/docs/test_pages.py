"""README and documentation: short, linked, built without a warning, with figures that are generated."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from benchmarks.support.reference_pages import commands_of
from nas.cli import build_parser
from tests.docs.documents import CHECKOUT, DOCS, blocks, documents, name_of, without_blocks

README = CHECKOUT / "README.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The built documentation, and what was warned of."""
    folder = tmp_path_factory.mktemp("site")
    warned: list[str] = []

    class Warnings(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warned.append(record.getMessage())

    handler = Warnings(logging.WARNING)
    logging.getLogger("mkdocs").addHandler(handler)
    try:
        build(load_config(str(CHECKOUT / "mkdocs.yml"), site_dir=str(folder)))
    finally:
        logging.getLogger("mkdocs").removeHandler(handler)
    return folder, warned


def test_the_documentation_is_built_without_a_warning(site: tuple[Path, list[str]]) -> None:
    folder, warned = site
    assert warned == []
    pages = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.html")}
    assert {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")} <= pages


def test_every_page_is_reached_from_the_navigation(site: tuple[Path, list[str]]) -> None:
    folder, _ = site
    home = (folder / "index.html").read_text()
    for page in folder.rglob("*.html"):
        if page.name != "404.html":
            assert f'"{page.relative_to(folder).as_posix()}"' in home, page


def test_the_reference_names_every_command_and_option(site: tuple[Path, list[str]]) -> None:
    text = (site[0] / "reference" / "command-line.html").read_text()
    for name in commands_of(build_parser(None)):
        for action in commands_of(build_parser(name))[name]._actions:
            assert action.dest == "help" or all(option in text for option in action.option_strings)
        assert f"ppg-nas {name}" in text


def test_the_reference_names_every_setting(site: tuple[Path, list[str]]) -> None:
    from nas.run.config import Config

    text = (site[0] / "reference" / "configuration.html").read_text()
    schema = Config.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for key in section.get("properties", {}):
            assert f"<code>{key}</code>" in text


def test_the_readme_has_at_most_100_lines_one_table_and_a_heart_rate_in_three_lines() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 100
    assert text.count(" begin -->") == text.count("\n| --- ") == 1
    (python,) = [block for block in blocks(README) if block.language == "python"]
    assert len(python.text.replace("\n\n", "\n").splitlines()) == 3, "a first heart rate takes three lines"
    outside = re.sub(r"<!-- accuracy begin -->.*<!-- accuracy end -->", "", text, flags=re.DOTALL)
    assert not re.search(r"\d\.\d+ (BPM|ms|KB)|\d [±%]", outside.replace("95 %", "")), (
        "figures are generated, never typed"
    )


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_links_lead_to_files_that_exist(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(document)):
        path = target.split("#")[0]
        if path and "://" not in path and path.split("/")[-1] not in ("command-line.md", "configuration.md", "api.md"):
            assert (document.parent / path).exists(), f"{name_of(document)}: {target}"


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_files_that_the_text_names_exist(document: Path) -> None:
    for name in re.findall(
        r"`((?:nas|search|supernet|hwmodels|benchmarks|tests|configs|docs)/[\w./-]+)`", document.read_text()
    ):
        path = CHECKOUT / name
        assert path.exists() or path.with_suffix(".py").exists(), f"{name_of(document)}: {name}"


def test_documents_that_the_code_names_exist() -> None:
    for folder in ("nas", "search", "supernet", "hwmodels", "benchmarks", "configs"):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".c", ".h", ".j2"):
                for name in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
                    assert (CHECKOUT / name).exists(), f"{path}: {name}"


@pytest.mark.parametrize("package", ["nas", "search", "supernet", "hwmodels"])
def test_the_tree_of_the_architecture_names_every_room(package: str) -> None:
    tree = (DOCS / "explanation" / "architecture.md").read_text().split("```")[1]
    part = tree.split(f"\n{package}/ ")[1].split("floor", 2)[1]
    named = set(re.findall(r"(?:^|\s)(\w+)/(?=\s)", part)) - {
        "nas",
        "search",
        "supernet",
        "hwmodels",
        "benchmarks",
        "configs",
    }
    rooms = {path.parent.name for path in (CHECKOUT / package).glob("*/__init__.py")}
    wrong = f"the tree lacks {sorted(rooms - named)} and names {sorted(named - rooms)}, which do not exist"
    assert named == rooms, f"docs/explanation/architecture.md: {wrong}"
