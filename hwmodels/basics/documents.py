"""Reading text, JSON and YAML that anyone may have written: every failure is one clear line, and sizes are bounded.

What a document may say is checked afterwards, by a typed record (`validated`); here it is only made sure that it can
be read at all, within limits on bytes, nesting and digits, and that it is what its ending says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hwmodels.basics.errors import InputError

MOST_BYTES = 64 << 20
MOST_DEPTH = 64
MOST_ENTRIES = 1_000_000
MOST_YAML_BYTES = 1 << 20
MOST_YAML_ENTRIES = 50_000
_LARGEST_INTEGER = 1 << 63
_MOST_DIGITS = 80
_LFS_BEGINNING = b"version https://git-lfs.github.com/spec/"
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
    except (OSError, ValueError):
        return
    _refuse_lfs_beginning(path, beginning)


def _refuse_lfs_beginning(path: str | Path, content: bytes) -> None:
    if content.startswith(_LFS_BEGINNING):
        raise DocumentError(f"{path}: is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`")


def read_bytes(path: str | Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a file. Raises DocumentError when it cannot be opened or holds more than `most_bytes`."""
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DocumentError(f"{path}: cannot be read ({reason})") from None
    _refuse_lfs_beginning(path, content)
    if len(content) > most_bytes:
        raise UndecodableError(f"{path}: holds more than {most_bytes:,} bytes, too many for a file of this kind")
    return content


def read_text(path: str | Path, most_bytes: int = MOST_BYTES, kind: str = "text") -> str:
    """The text of a UTF-8 file; raises what `read_bytes` does, and UndecodableError for other encodings."""
    try:
        return read_bytes(path, most_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start:,} is no UTF-8; save it as that"
        raise UndecodableError(f"{path}: not valid {kind}: {reason}") from None


def read_json(path: str | Path, most_bytes: int = MOST_BYTES) -> Any:
    """What a JSON file holds; raises what `read_text` and `parse_json` do."""
    return parse_json(read_text(path, most_bytes, "JSON"), str(path))


def parse_json(text: str, origin: str) -> Any:
    """Parsed JSON of finite numbers, integers of at most 64 bits, each key once.

    Raises UndecodableError naming `origin`.
    """
    try:
        # An upper bound on values, before memory is taken for any of them.
        if sum(map(text.count, "[{,")) > MOST_ENTRIES:
            raise ValueError(f"more than {MOST_ENTRIES:,} entries")
        content = json.loads(
            text,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_finite,
            object_pairs_hook=_distinct,
        )
        _check_depth(content)
        if "\\u" in text:
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = "text that is no Unicode" if isinstance(error, UnicodeEncodeError) else error
        if isinstance(error, RecursionError):
            reason = _TOO_DEEP
        raise UndecodableError(f"{origin}: not valid JSON: {' '.join(str(reason).split())}") from None
    return content


_TOO_DEEP = f"nested more than {MOST_DEPTH} levels deep"


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


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return fields


def _check_depth(content: Any) -> None:
    level, depth = [content], 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(_TOO_DEEP)
        level = [value for one in level for value in (one.values() if isinstance(one, dict) else one)]


def read_yaml(path: str | Path, most_bytes: int = MOST_YAML_BYTES) -> Any:
    """What a YAML file holds; raises what `read_text` and `parse_yaml` do."""
    return parse_yaml(read_text(path, most_bytes, "YAML"), str(path))


def parse_yaml(text: str, origin: str) -> Any:
    """Parsed YAML of plain values, each key once, aliases written out. Raises UndecodableError naming `origin`."""
    try:
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


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader with limits: on entries and nesting, both with aliases written out, and on digits.

    A key that stands twice is refused, too.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._extents: dict[int, tuple[int, int]] = {}
        self._entries = self._level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node of the document, whose extent is known before anything is built of it."""
        if self.check_event(yaml.AliasEvent):
            named = self.anchors.get(self.peek_event().anchor)
            if named is not None and id(named) not in self._extents:
                raise ValueError("an alias stands inside of what it names")
        self._level += 1
        if self._level > MOST_DEPTH:
            raise ValueError(_TOO_DEEP)
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is not None and id(node) not in self._extents:
            self._extents[id(node)] = self._extent(node)
        return node

    def _extent(self, node: yaml.Node) -> tuple[int, int]:
        """Entries and levels of a node. Raises ValueError beyond the limits, and for a node inside of itself."""
        if isinstance(node, yaml.ScalarNode):
            node.value.encode("utf-8")  # half a surrogate pair is no text
            inner = []
        elif isinstance(node, yaml.MappingNode):
            _require_distinct(node)
            inner = [part for pair in node.value for part in pair]
        else:
            inner = node.value
        extents = [self._extents[id(part)] for part in inner]
        entries, levels = 1 + sum(size for size, _ in extents), 1 + max((depth for _, depth in extents), default=0)
        self._entries += 1
        if max(entries, self._entries) > MOST_YAML_ENTRIES:
            raise ValueError(f"more than {MOST_YAML_ENTRIES:,} entries")
        if levels > MOST_DEPTH:
            raise ValueError(_TOO_DEEP)
        return entries, levels

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number of at most 64 bits."""
        value: int = super().construct_yaml_int(node) if len(node.value) <= _MOST_DIGITS else _LARGEST_INTEGER
        if not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
            raise ValueError(f"the number {node.value[:20]} is out of range")
        return value


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


def _require_distinct(node: yaml.MappingNode) -> None:
    keys: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            keys.add((key.tag, key.value))


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
