"""Reading text, JSON and YAML that anyone may have written: every failure is one clear line, and sizes are bounded.

What a document may say is checked afterwards, by a typed record (`validated`); here it is only made sure that it can
be read at all, within limits on bytes, nesting and digits, and that it is what its ending says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hwmodels.basics.errors import InputError

MOST_BYTES = 64 << 20
MOST_DEPTH = 64
MOST_NODES = 200_000
_LARGEST_INTEGER = 1 << 63
_LFS_BEGINNING = b"version https://git-lfs.github.com/spec/"
_JSON_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_Record = TypeVar("_Record", bound=BaseModel)


class DocumentError(InputError):
    """A file that cannot be read as what it should be; the message names it and what is wrong."""


class UndecodableError(DocumentError):
    """A file that is there, but whose content does not parse."""


def refuse_lfs_pointer(path: str | Path) -> None:
    """Raise DocumentError if the file is a Git LFS pointer, which stands for content that was never fetched."""
    try:
        with Path(path).open("rb") as stream:
            beginning = stream.read(len(_LFS_BEGINNING))
    except OSError:
        return
    if beginning == _LFS_BEGINNING:
        raise DocumentError(f"{path}: is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`")


def read_bytes(path: str | Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a file. Raises DocumentError when it cannot be opened or holds more than `most_bytes`."""
    refuse_lfs_pointer(path)
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DocumentError(f"{path}: cannot be read ({reason})") from None
    if len(content) > most_bytes:
        raise UndecodableError(f"{path}: holds more than {most_bytes:,} bytes, too many for a file of this kind")
    return content


def read_text(path: str | Path, most_bytes: int = MOST_BYTES, kind: str = "text") -> str:
    """The text of a UTF-8 file; raises what `read_bytes` does, and UndecodableError for other encodings."""
    try:
        return read_bytes(path, most_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UndecodableError(
            f"{path}: not valid {kind}: byte {error.start:,} is not UTF-8; save it as such"
        ) from None


def read_json(path: str | Path, most_bytes: int = MOST_BYTES) -> Any:
    """What a JSON file holds; raises what `read_text` and `parse_json` do."""
    return parse_json(read_text(path, most_bytes, "JSON"), str(path))


def parse_json(text: str, origin: str) -> Any:
    """Parsed JSON of finite numbers, integers of at most 64 bits. Raises UndecodableError naming `origin`."""
    depth = 0
    for match in _JSON_BRACKETS.finditer(text):
        depth += (match[0] in ("[", "{")) - (match[0] in ("]", "}"))
        if depth > MOST_DEPTH:
            raise UndecodableError(f"{origin}: not valid JSON: nested more than {MOST_DEPTH} levels deep")
    try:
        content = json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_finite)
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = "text that is no Unicode" if isinstance(error, UnicodeEncodeError) else error
        raise UndecodableError(f"{origin}: not valid JSON: {' '.join(str(reason).split())}") from None
    return content


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= 20 else _LARGEST_INTEGER
    if not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        raise ValueError(f"the number {digits[:20]} is out of range")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not abs(value) < float("inf"):
        raise ValueError(f"the number {digits[:20]} is out of range")
    return value


def read_yaml(path: str | Path, most_bytes: int = 1 << 20) -> Any:
    """What a YAML file holds; raises what `read_text` and `parse_yaml` do."""
    return parse_yaml(read_text(path, most_bytes, "YAML"), str(path))


def parse_yaml(text: str, origin: str) -> Any:
    """Parsed YAML of plain values, each key once. Raises UndecodableError naming `origin`."""
    try:
        _check_events(text)
        return yaml.load(text, _PlainLoader)
    # What PyYAML's constructors raise for damaged numbers, dates and characters, besides its own errors.
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UndecodableError(f"{origin}: not valid YAML: {reason}") from None


def _check_events(text: str) -> None:
    """Look through a document before anything of it is built; what is repeated by reference counts each time."""
    sizes: dict[str, int] = {}
    open_collections: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"*{event.anchor} stands before or within what it refers to")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            open_collections.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_collections.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            event.value.encode("utf-8")  # half a surrogate pair is no text
            total += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if len(open_collections) > MOST_DEPTH:
            raise ValueError(f"nested more than {MOST_DEPTH} levels deep")
        if total > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES:,} entries")


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses a key that stands twice and numbers beyond 64 bits."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys differ."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number of at most 64 bits."""
        value: int = super().construct_yaml_int(node)
        if not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
            raise ValueError("a number is out of range")
        return value


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


def validated(record: type[_Record], content: Any, origin: str, error: type[InputError], remedy: str) -> _Record:
    """`content` as a checked `record`; raises `error` naming `origin`, the first wrong field, and the remedy."""
    try:
        return record.model_validate(content)
    except ValidationError as failure:
        first = failure.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise error(f"{origin}, {field[:100]}: {first['msg']}; {remedy}") from None
    except RecursionError:
        raise error(f"{origin}: nested too deep; {remedy}") from None
