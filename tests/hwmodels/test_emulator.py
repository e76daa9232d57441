"""The emulated core: exact block-edge counts, stack high-water marks, faults."""

from __future__ import annotations

import struct

import pytest

from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import ElfImage, ToolchainError, find_toolchain, read_elf
from hwmodels.device.target import Cache, Flash, Target
from hwmodels.emulation.emulator import ENTRY, RAM_BASE, EmulationError, Emulator, count_thumb_instructions

pytestmark = pytest.mark.arm

SOURCE = """
#include <stdint.h>
int32_t count_odd(const uint32_t *values, int32_t length)
{
    int32_t found = 0;
    for (int32_t index = 0; index < length; index++)
        if (values[index] & 1)
            found += (int32_t)(values[index] >> 4);
    return found;
}
int32_t deep(int32_t depth, volatile int32_t *above)
{
    volatile int32_t kept[16];
    for (int32_t index = 0; index < 16; index++)
        kept[index] = depth + (above ? above[index] : 0);
    return depth == 0 ? kept[0] : deep(depth - 1, kept) + kept[1];
}
float scaled(const float *values, int32_t length)
{
    float sum = 0.0f;
    for (int32_t index = 0; index < length; index++)
        sum += values[index] * 0.5f;
    return sum;
}
int32_t fault(void) { return *(volatile int32_t *)0x70000000; }
int32_t sixth(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f)
{
    return a + b + c + d + e * f;
}
"""


@pytest.fixture(scope="module")
def image() -> ElfImage:
    try:
        toolchain = find_toolchain()
    except ToolchainError as error:
        pytest.skip(str(error))
    return toolchain.link({"probe.c": SOURCE}, keep=("count_odd", "deep", "scaled", "fault", "sixth"))


def words(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


@pytest.mark.parametrize("native", [True, False])
def test_a_call_computes_what_c_says(image: ElfImage, native: bool) -> None:
    emulator = Emulator(image, native)
    values = [0x13, 0x24, 0x35, 0x46]
    done = emulator.call("count_odd", (RAM_BASE, 4), [(RAM_BASE, words(values))])
    assert done.return_value == 1 + 3
    assert emulator.call("sixth", (1, 2, 3, 4, 5, 6)).return_value == 40


CACHES = Flash(fill_cycles=11, instruction_cache=Cache(64, 2, 16), constant_cache=Cache(128, 2, 32))


def test_missed_lines_are_those_of_the_constants_alone(image: ElfImage) -> None:
    """300 words of 4 bytes in lines of 32: once through each, whatever else is read."""
    emulator = Emulator(image, flash=CACHES, constants=((RAM_BASE, RAM_BASE + 1199),))
    values = [(RAM_BASE, words(list(range(300))))]
    done = emulator.call("count_odd", (RAM_BASE, 300), values)
    assert done.constant_misses == -(-1200 // 32)
    assert 0 < done.instruction_misses <= 6
    assert emulator.call("count_odd", (RAM_BASE, 300), values) == done
    bare = Emulator(image).call("count_odd", (RAM_BASE, 300), values)
    assert (bare.constant_misses, bare.instruction_misses, bare.edges) == (0, 0, done.edges)
    assert Target("cortex-m7", CACHES).stall_cycles(2, 3) == 55 and Target().stall_cycles(2, 3) == 0


@pytest.mark.parametrize("function", ["count_odd", "deep"])
def test_native_and_python_caches_miss_the_same_lines(image: ElfImage, function: str) -> None:
    spans = ((RAM_BASE, RAM_BASE + 511),)
    native, python = (Emulator(image, native, CACHES, spans) for native in (True, False))
    arguments = (RAM_BASE, 128) if function == "count_odd" else (9, 0)
    writes = [(RAM_BASE, words(list(range(128))))]
    assert native.call(function, arguments, writes) == python.call(function, arguments, writes)


def test_native_and_python_counts_are_equal(image: ElfImage) -> None:
    native, python = Emulator(image), Emulator(image, native=False)
    if not native.is_native:
        pytest.skip("no host compiler for the native hook")
    values = words(list(range(301)))
    for function, arguments in (("count_odd", (RAM_BASE, 301)), ("deep", (9, 0)), ("scaled", (RAM_BASE, 7))):
        assert native.call(function, arguments, [(RAM_BASE, values)]) == python.call(
            function, arguments, [(RAM_BASE, values)]
        )


def test_counts_are_a_flow_through_blocks(image: ElfImage) -> None:
    """Every block but the last is left as often as it is entered; one edge comes from outside."""
    done = Emulator(image).call("count_odd", (RAM_BASE, 100), [(RAM_BASE, words(list(range(100))))])
    entered = {block: sum(n for (_, target), n in done.edges.items() if target == block) for block in done.blocks}
    left = {block: sum(n for (source, _), n in done.edges.items() if source == block) for block in done.blocks}
    assert sorted(entered[block] - left[block] for block in done.blocks) == [0] * (len(done.blocks) - 1) + [1]
    assert sum(n for (source, _), n in done.edges.items() if source == ENTRY) == 1
    lengths = {block: count_thumb_instructions(image.read(block, size)) for block, size in done.blocks.items()}
    assert done.instructions == sum(entered[block] * lengths[block] for block in done.blocks)


def test_instructions_grow_by_the_same_number_per_iteration(image: ElfImage) -> None:
    emulator = Emulator(image)
    counts = [emulator.call("scaled", (RAM_BASE, n), [(RAM_BASE, bytes(400))]).instructions for n in (10, 11, 12, 90)]
    step = counts[1] - counts[0]
    assert step > 0
    assert counts[2] - counts[1] == step
    assert counts[3] - counts[2] == 78 * step


def test_stack_use_is_proportional_to_recursion(image: ElfImage) -> None:
    emulator = Emulator(image)
    used = [emulator.call("deep", (depth, 0)).stack_bytes for depth in (1, 2, 3, 10)]
    frame = used[1] - used[0]
    assert frame >= 64
    assert used[2] - used[1] == frame
    assert used[3] - used[2] == 7 * frame


def test_a_fault_names_function_and_address(image: ElfImage) -> None:
    with pytest.raises(EmulationError, match=r"fault: .*0x"):
        Emulator(image).call("fault")


def test_a_missing_function_is_refused_in_one_line(image: ElfImage) -> None:
    with pytest.raises(InputError, match="no symbol 'absent'") as caught:
        Emulator(image).call("absent")
    assert "\n" not in str(caught.value)


def test_a_foreign_file_is_no_image() -> None:
    with pytest.raises(ToolchainError, match="not a linked image"):
        read_elf(b"not an ELF file")


def test_a_missing_compiler_is_told_with_the_command_that_installs_one() -> None:
    with pytest.raises(ToolchainError, match="apt-get install"):
        find_toolchain("no-such-compiler")
