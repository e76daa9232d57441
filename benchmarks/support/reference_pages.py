"""MkDocs hook: pages made from the program itself, the navigation, and the list of pages that opens each part.

Command line, configuration and API are read from the parsers, the configuration's schema and the docstrings, so
that there is no list to keep. mkdocs.yml names this file.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from benchmarks import __main__ as benchmarks_cli
from benchmarks.support.markdown import table
from nas import cli
from nas.run.config import Config

PARTS = {"tutorials": "Tutorials", "how-to": "How-to guides", "reference": "Reference", "explanation": "Explanation"}
_FIRST = ("index.md", "architecture.md", "decisions.md")
_PACKAGES = ("nas", "search", "supernet", "hwmodels")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and put all pages of each part into the navigation."""
    for name, write in (("command-line", command_line), ("configuration", configuration), ("api", api)):
        files.append(File.generated(config, f"reference/{name}.md", content=write()))
    config.nav = [{"Home": "index.md"}]
    for part, title in PARTS.items():
        names = [file.src_uri for file in files.documentation_pages() if file.src_uri.startswith(f"{part}/")]
        config.nav.append({title: sorted(names, key=_rank)})
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """End the opening page of each part with a list of the part's pages and their first sentences."""
    part, _, name = page.file.src_uri.partition("/")
    if name != "index.md":
        return markdown
    others = [file for file in files.documentation_pages() if file.src_uri.startswith(f"{part}/")]
    others = [file for file in others if file.src_uri != page.file.src_uri]
    lines = [_entry(file) for file in sorted(others, key=lambda file: _rank(file.src_uri))]
    return markdown + "\n\n" + "\n".join(lines) + "\n"


def _rank(uri: str) -> tuple[int, str]:
    name = uri.split("/")[-1]
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


def _entry(file: File) -> str:
    title, _, rest = file.content_string.partition("\n")
    paragraph = " ".join(rest.strip().split("\n\n")[0].split())
    sentence = re.match(r"[^#|`<].*?[.:](?= |$)", paragraph)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", sentence[0].rstrip(":.") + ".") if sentence else ""
    return f"- [{title.lstrip('# ')}]({file.src_uri.split('/')[1]}): {text}"


def command_line() -> str:
    """Every command of `ppg-nas` and every benchmark, with its options, from their parsers."""
    lines = [
        "# Command line",
        "Every command and option, read from the parsers. Commands that print a result take `--json`.",
        "Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 infeasible budget (with the nearest feasible one).",
    ]
    for name in commands_of(cli.build_parser(None)):
        lines += _described(commands_of(cli.build_parser(name))[name], f"ppg-nas {name}", 2)
    lines += ["## Benchmarks", "Run from a checkout, as `python -m benchmarks NAME --json`; they are not installed."]
    for name in sorted(benchmarks_cli.known()):
        lines += _described(commands_of(benchmarks_cli.build_parser(name))[name], f"python -m benchmarks {name}", 3)
    return "\n\n".join(lines) + "\n"


def commands_of(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The parsers of a parser's commands, by name; empty for one without any."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


def _described(parser: argparse.ArgumentParser, name: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} {name}"
    if parser.description:
        yield _escaped(parser.description)
    if inner := commands_of(parser):
        for verb, one in inner.items():
            yield from _described(one, f"{name} {verb}", level + 1)
        return
    rows = []
    for action in parser._actions:
        if action.dest == "help":
            continue
        shown = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        if action.option_strings and action.nargs != 0:
            shown += f" {action.metavar or action.dest.upper()}"
        choices = f"; one of {', '.join(f'`{choice}`' for choice in action.choices)}" if action.choices else ""
        rows.append([f"`{shown}`", (_escaped(action.help or "") + choices).replace("|", "\\|")])
    if rows:
        yield table(["argument", "meaning"], rows)


def configuration() -> str:
    """Every key of a configuration with its type, default and meaning, from the schema that checks it."""
    schema = Config.model_json_schema()
    sections = {"Config": schema, **schema.get("$defs", {})}
    lines = [
        "# Configuration",
        "What the YAML file of a run may say, read from the schema that checks it. An unknown key is refused. Every "
        "value can also be given as `--set PATH=VALUE`, such as `--set teacher.epochs=2`.",
    ]
    for name, section in sections.items():
        if "properties" not in section:
            continue
        lines += [
            f"## {'The whole file' if section is schema else name}",
            _escaped(inspect.cleandoc(section.get("description", ""))),
        ]
        required = section.get("required", ())
        rows = []
        for key, field in section["properties"].items():
            default = "required" if key in required else _default(field.get("default"))
            rows.append([f"`{key}`", _type(field), default, _escaped(field.get("description", ""))])
        lines.append(table(["key", "type", "default", "meaning"], rows))
    return "\n\n".join(lines) + "\n"


def _type(field: Mapping[str, Any]) -> str:
    """A field's type in words: a choice, a number with its limits, a list, or a link to its section."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if "items" in field else "list"
    limits = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
    words = [str(field.get("type", "any")).replace("null", "none")]
    return ", ".join(words + [f"{word} {field[key]:g}" for key, word in limits.items() if key in field])


def _default(value: Any) -> str:
    if isinstance(value, dict):
        return "as below" if len(value) > 3 else f"`{value}`"
    return "none" if value is None else f"`{value}`"


def api() -> str:
    """Public names of the packages with their signatures and docstrings, and what every room holds."""
    lines = [
        "# API",
        "What other programs import, with its docstrings, and what each room of the packages holds. Names that are "
        "not listed here may change without notice.",
    ]
    for package in _PACKAGES:
        module = importlib.import_module(package)
        lines += [f"## {package}", _escaped(inspect.getdoc(module) or "")]
        for name in getattr(module, "__all__", ()):
            lines += _documented(package, name, getattr(module, name))
        rooms = [f"{package}.{room.name}" for room in pkgutil.iter_modules(module.__path__) if room.ispkg]
        rows = [[f"`{room}`", (importlib.import_module(room).__doc__ or "").split("\n")[0]] for room in rooms]
        lines.append(table(["room", "holds"], rows))
    return "\n\n".join(lines) + "\n"


def _documented(package: str, name: str, value: Any) -> Iterator[str]:
    if not callable(value):
        return
    yield f"### {package}.{name}"
    if not (inspect.isclass(value) and issubclass(value, Exception)):
        parameters = [str(one) for one in inspect.signature(value).parameters.values()]
        lines = "".join(f"    {one},\n" for one in parameters)
        yield f"```python\n{name}(\n{lines})\n```" if parameters else f"```python\n{name}()\n```"
    yield _escaped(inspect.getdoc(value) or "")


def _escaped(text: str) -> str:
    """Text of a help line or docstring as Markdown: no HTML, no emphasis by accident."""
    pieces = re.split(r"(`[^`]*`)", text.replace("%%", "%"))
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([<*_\[])", r"\\\1", piece).replace("%(default)s", "default")
        for piece in pieces
    )
