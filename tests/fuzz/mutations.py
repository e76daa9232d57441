"""Ways to damage a file: blindly, byte by byte, and knowingly, where a value or a number stands."""

from __future__ import annotations

import random

_PIECES = [
    b"null",
    b"[]",
    b"{}",
    b"-1",
    b"0",
    b"1e999",
    b"-1e-999",
    b"NaN",
    b".inf",
    b"true",
    b"0b",
    b"0x",
    b"9" * 30,
    b"9" * 5000,
    b"[" * 300,
    b"{a: " * 300,
    b'"\\ud800"',
    b'""',
    b"''",
    b"!!python/object/apply:os.system ['true']",
    b"&a [*a]",
    b"2001-99-99",
    b"12:99",
    b"\xff\xfe",
    b"\x00",
    b"- ",
    b": ",
    b",",
    b"\n",
    b"*a",
    b"x" * 1000,
]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One damaged form of a file; the same for the same state of `rng`."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = _once(content, rng)
    return content


def _once(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return rng.choice(_PIECES)
    at, kind = rng.randrange(len(content)), rng.randrange(9)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    if kind == 2:
        return content[:at] + rng.randbytes(rng.randrange(1, 9)) + content[at + rng.randrange(9) :]
    if kind == 3:  # a stretch twice
        end = min(len(content), at + rng.randrange(1, 200))
        return content[:end] + content[at:end] + content[end:]
    if kind == 4:  # a stretch gone
        return content[:at] + content[at + rng.randrange(1, 200) :]
    if kind == 5:
        return content[:at] + rng.choice(_PIECES) + content[at:]
    if kind == 6:  # in the place of what follows a colon or a comma
        start = max(content.find(b":", at), content.find(b",", at))
        stops = [found for mark in (b"\n", b",", b"}", b"]") if (found := content.find(mark, start + 1)) > 0]
        return content[: start + 1] + b" " + rng.choice(_PIECES) + content[min(stops, default=len(content)) :]
    if kind == 7:  # in the place of a number
        digits = [place for place in range(at, min(len(content), at + 400)) if content[place : place + 1].isdigit()]
        place = digits[0] if digits else at
        return content[:place] + rng.choice(_PIECES) + content[place + 1 :]
    lines = content.split(b"\n")  # lines in another order
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)
