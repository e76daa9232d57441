"""Bundles: nothing foreign is run, what users edit is kept, and what an export would take away is said first."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from hwmodels.basics.tool import tool_version
from hwmodels.c.toolchain import QEMU_MACHINES, ToolchainError, find_toolchain, write_sources
from hwmodels.device.device import known_devices, load_device
from hwmodels.firmware.front_end import Sensors
from hwmodels.network.interpreter import IntegerModel
from hwmodels.validation.network_check import random_model, random_windows
from nas.deploy import bundle as bundles
from nas.deploy.bundle import Contents, read_bundle, write_bundle
from nas.deploy.example import build_example, example_files
from nas.deploy.manifest import MANIFEST, BundleError
from nas.deploy.verification.verify import verify_bundle
from nas.run.run_files import MARKER, remove_leftovers, replace_folder
from supernet.space.search_space import load_space

SPACE = load_space("demo")
PREDICTED = {"latency_ms": 1.0, "cycles": 64000, "flash_kb": 8.0, "ram_kb": 2.0, "energy_mj": 0.1}
BOARD_C = "examples/bare_metal/board.c"


@pytest.fixture(scope="module")
def contents() -> Contents:
    model: IntegerModel = random_model(SPACE.lower(SPACE.smallest()), np.random.default_rng(1))
    windows = random_windows(model.graph, 3, np.random.default_rng(2))
    return Contents(model, windows, {"id": "x", "arch": "a", "predicted": PREDICTED}, load_device())


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    write_bundle(tmp_path / "export", contents)
    return tmp_path / "export"


def edit_manifest(bundle: Path, **fields: object) -> None:
    content = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps(content | fields))


def add_source(bundle: Path, name: str, text: str) -> None:
    (bundle / name).write_text(text)
    content = json.loads((bundle / MANIFEST).read_text())
    files = content["files"] | {name: bundles.digest(bundle / name)}
    edit_manifest(bundle, files=files, sources=[*content["sources"], name])


def test_what_users_are_told_to_edit_is_verified_as_before_and_survives_the_next_export(
    bundle: Path, contents: Contents
) -> None:
    (bundle / BOARD_C).write_text("/* my sensors */\n")
    (bundle / "examples/bare_metal/driver.c").write_text("/* mine */\n")
    (bundle / "CMakeLists.txt").write_text("# mine\n")
    (bundle / "board.json").write_text('{"estimate_cycles": 1, "push_cycles": 2}')
    assert read_bundle(bundle).manifest.id == "x"
    _, kept = write_bundle(bundle, contents)
    assert kept == ["CMakeLists.txt", "board.json", BOARD_C, "examples/bare_metal/driver.c"]
    assert (bundle / BOARD_C).read_text() == "/* my sensors */\n"
    assert (bundle / "examples/bare_metal/driver.c").read_text() == "/* mine */\n"
    _, again = write_bundle(bundle, contents)
    assert again == kept
    assert read_bundle(bundle).manifest.id == "x"


def test_templates_that_nobody_edited_are_brought_up_to_date(bundle: Path, contents: Contents) -> None:
    other = replace(contents, device=load_device("cortex-m4-64mhz"))
    _, kept = write_bundle(bundle, other, is_forced=True)
    assert not kept and "-mcpu=cortex-m4" in (bundle / "examples/bare_metal/Makefile").read_text()


def test_an_export_says_what_it_would_take_away(bundle: Path, contents: Contents) -> None:
    before = (bundle / MANIFEST).read_bytes()
    cases = [
        (replace(contents, formats=()), "format c would be gone"),
        (replace(contents, sensors=Sensors(ppg_hz=100)), r"sensors ppg_hz 50\.0 would become 100"),
        (replace(contents, facts={**contents.facts, "id": "y"}), "id x would become y"),
        (replace(contents, device=load_device("stm32h743")), "device cortex-m7-64mhz would become stm32h743"),
    ]
    for other, told in cases:
        with pytest.raises(BundleError, match=told + ".*--force"):
            write_bundle(bundle, other)
        assert (bundle / MANIFEST).read_bytes() == before
    write_bundle(bundle, cases[1][0], is_forced=True)
    assert read_bundle(bundle).front.sensors.ppg_hz == 100


@pytest.mark.parametrize("name", known_devices())
def test_a_bundle_builds_for_its_own_device(name: str, contents: Contents, tmp_path: Path) -> None:
    device = load_device(name)
    write_bundle(tmp_path / "export", replace(contents, device=device))
    read = read_bundle(tmp_path / "export")
    assert read.device == device and read.manifest.device == name
    folder = tmp_path / "export" / "examples" / "bare_metal"
    script, makefile = (folder / "firmware.ld").read_text(), (folder / "Makefile").read_text()
    for region in (device.regions.flash, device.regions.code, device.regions.data):
        assert f"ORIGIN = 0x{region.origin:08x}, LENGTH = {region.bytes}" in script
    assert f"-mcpu={device.core}" in makefile and QEMU_MACHINES[device.core] in makefile
    assert device.core.title() in (tmp_path / "export" / "README.md").read_text()


@pytest.mark.arm
@pytest.mark.parametrize("cc", ["arm-none-eabi-gcc", "zig"])
@pytest.mark.parametrize("name", known_devices())
def test_the_example_links_for_every_device_with_every_compiler(cc: str, name: str, bundle: Path) -> None:
    try:
        toolchain = find_toolchain(cc)
    except ToolchainError as error:
        pytest.skip(str(error))
    device = load_device(name)
    example = build_example(read_bundle(bundle).sources, example_files(device), toolchain.for_core(device.core))
    assert example.by_symbol["wearer"] < example.ram_bytes < device.ram_bytes
    assert 4096 < example.flash_bytes < device.flash_bytes


@pytest.mark.arm
@pytest.mark.parametrize("name", ["cortex-m7-64mhz", "cortex-m4-64mhz"])
def test_the_makefile_of_a_bundle_boots_its_self_test_on_its_own_core(
    name: str, contents: Contents, tmp_path: Path
) -> None:
    if not all(map(shutil.which, ("make", "arm-none-eabi-gcc", "qemu-system-arm"))):
        pytest.skip("no make, arm-none-eabi-gcc or qemu-system-arm")
    write_bundle(tmp_path / "export", replace(contents, device=load_device(name)))
    folder = tmp_path / "export" / "examples" / "bare_metal"
    done = subprocess.run(["make", "firmware.elf", "selftest"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "selftest 0\n" in done.stdout + done.stderr
    read_bundle(tmp_path / "export")  # what was built beside the sources makes it no other bundle
    assert write_bundle(tmp_path / "export", replace(contents, device=load_device(name)))[1]


def test_every_file_of_code_says_its_licence_and_the_bundle_its_version(bundle: Path) -> None:
    for name in read_bundle(bundle).sources:
        assert (bundle / name).read_text().startswith("/* SPDX-License-Identifier: Apache-2.0 */\n"), name
    assert (bundle / "LICENSE").read_bytes() == (Path(__file__).parents[2] / "LICENSE").read_bytes()
    assert f'#define PPGNET_VERSION "{tool_version()}"' in (bundle / "ppgnet_front_model.h").read_text()
    manifest = read_bundle(bundle).manifest
    assert (manifest.tool, manifest.licence) == (f"ppg-nas {tool_version()}", "Apache-2.0")


def test_no_declaration_hides_behind_the_end_of_a_comment(bundle: Path) -> None:
    for file in bundle.glob("*.[ch]"):
        for line in file.read_text().splitlines():
            before, ends, after = line.partition("*/")
            assert not ends or "/*" in before or not after.strip(), f"{file.name}: {line}"


def test_the_day_of_the_export_is_that_of_source_date_epoch(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    write_bundle(tmp_path / "export", contents)
    assert read_bundle(tmp_path / "export").manifest.exported == "1970-01-02"


@pytest.mark.parametrize("name", ["@args.c", "-wrapper.c", "a b.c", "../out.c", "/tmp/out.c", "a/../../b.c", "a\nb.c"])
def test_names_that_mean_something_to_a_compiler_are_refused(bundle: Path, name: str, tmp_path: Path) -> None:
    content = json.loads((bundle / MANIFEST).read_text())
    edit_manifest(bundle, files=content["files"] | {name: "0" * 64}, sources=[*content["sources"], name])
    with pytest.raises(BundleError, match="not a plain file name"):
        read_bundle(bundle)
    with pytest.raises(ToolchainError, match="not a plain name"):
        write_sources(tmp_path, {name: "int x;"})


@pytest.mark.arm
def test_code_that_this_version_did_not_generate_is_compiled_only_when_trusted(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_source(bundle, "ppgnet_more.c", "int more;\n")
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", lambda *given, **more: pytest.fail("something was run"))
        with pytest.raises(BundleError, match=r"ppgnet_more\.c: not what this version generates.*--trust"):
            verify_bundle(bundle)
    assert verify_bundle(bundle, is_trusted=True)["mismatches"] == 0


def test_altered_code_is_refused_even_with_a_manifest_to_match(bundle: Path) -> None:
    file = bundle / "ppgnet_model.c"
    add_source(bundle, file.name, file.read_text() + "int more;\n")
    content = json.loads((bundle / MANIFEST).read_text())
    edit_manifest(bundle, sources=sorted(set(content["sources"])))
    with pytest.raises(BundleError, match=r"ppgnet_model\.c: not what this version generates"):
        verify_bundle(bundle)


def test_links_in_a_bundle_are_neither_read_nor_written_through(
    bundle: Path, contents: Contents, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    (bundle / "verification.json").symlink_to(outside)
    with pytest.raises(BundleError, match="is a link"):
        write_bundle(bundle, contents)
    (bundle / "verification.json").unlink()
    (bundle / "model.npz").rename(tmp_path / "model.npz")
    (bundle / "model.npz").symlink_to(tmp_path / "model.npz")
    with pytest.raises(BundleError, match="is a link"):
        read_bundle(bundle)
    assert outside.read_text() == "mine"


def test_leftovers_of_others_stay_where_they_are(tmp_path: Path) -> None:
    mine, numbered = tmp_path / ".partial-mine", tmp_path / ".partial-999999999-export"
    left = tmp_path / ".partial-999999998-export"
    for folder in (mine, numbered, left):
        folder.mkdir()
        (folder / "thesis.txt").write_text("mine")
    (left / MARKER).touch()
    (tmp_path / ".partial-999999997-notes.txt").write_text("mine")
    replace_folder(tmp_path / "fresh", lambda folder: (folder / "new.txt").touch())
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {mine.name, numbered.name, ".partial-999999997-notes.txt", "fresh"}
    assert [path.name for path in (tmp_path / "fresh").iterdir()] == ["new.txt"]
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, numbered.name, "fresh"}


def test_a_damaged_bundle_is_one_clear_error(bundle: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    texts = {name: (bundle / name).read_bytes() for name in (MANIFEST, "device.yaml", "model.npz", "golden.npz")}
    outcomes = {"read": 0, "refused": 0}
    for _ in range(500):
        name = rng.choice(sorted(texts))
        damaged = _damaged(texts[name], rng)
        (bundle / name).write_bytes(damaged)
        if name != MANIFEST:
            content = json.loads(texts[MANIFEST])
            content["files"][name] = bundles.digest(bundle / name)
            (bundle / MANIFEST).write_text(json.dumps(content))
        try:
            read_bundle(bundle)
            outcomes["read"] += 1
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
            outcomes["refused"] += 1
        (bundle / name).write_bytes(texts[name])
        (bundle / MANIFEST).write_bytes(texts[MANIFEST])
    assert outcomes["refused"] > 250


def _damaged(content: bytes, rng: random.Random) -> bytes:
    at, kind = rng.randrange(len(content)), rng.randrange(5)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + rng.randbytes(rng.randrange(1, 6)) + content[at + rng.randrange(6) :]
    if kind == 2:
        bit = 1 << rng.randrange(8)
        return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
    pieces = [b"null", b"[]", b"{}", b"-1", b"1e999", b"9" * 5000, b"[" * 5000, b'"\\ud800"', b"NaN", b"true"]
    if kind == 3:
        return content.replace(rng.choice([b"1", b"2", b'"x"', b"50.0", b"c"]), rng.choice(pieces), 1)
    start = content.find(b":", at)
    end = content.find(b"\n", start)
    return content[: start + 1] + b" " + rng.choice(pieces) + content[end:]
