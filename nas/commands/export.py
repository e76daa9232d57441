"""`ppg-nas export RUN --arch ID --format c,tflite,onnx --out DIR`: any archived subnet as a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nas.deploy.formats.registry import CODE, FORMATS
from nas.terminal.arguments import positive_count
from nas.terminal.output import print_fields, print_json

if TYPE_CHECKING:
    from hwmodels.firmware.front_end import Sensors
    from hwmodels.firmware.learner import PersonalSettings
    from hwmodels.network.interpreter import IntegerModel
    from nas.run.run_directory import RunDirectory
    from supernet.space.arch import Arch


_SENSORS_HELP = (
    "what the sensors deliver, such as ppg_hz=25,acc_hz=26,acc_counts_per_g=2048; also ppg_channels, and "
    "LOWEST:HIGHEST counts of ppg_range, acc_range and contact (default: both at 50 Hz, 4096 counts a g)"
)


def _sensors(text: str) -> Sensors:
    """The sensors of `--sensors`; the usual ones for nothing."""
    from nas.deploy.sensor_options import sensors

    return sensors(text)


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--arch", help="id of an archived architecture (default: the chosen one)")
    parser.add_argument("--out", type=Path, help="folder to write (default: subnets/ID/export of the run)")
    parser.add_argument("--device", help="device that the prediction is for (default: the run's)")
    parser.add_argument(
        "--mode",
        choices=("window", "streaming"),
        default="window",
        help="read whole windows, or new samples alone (fine-tuned for it first)",
    )
    parser.add_argument(
        "--format",
        type=_formats,
        default=(CODE,),
        metavar="LIST",
        dest="formats",
        help=f"what to write, of {','.join(FORMATS)} (default: {CODE})",
    )
    parser.add_argument(
        "--epochs",
        type=positive_count,
        help="fine-tune anew for streaming, for so many (default: once, for as many as suffice)",
    )
    parser.add_argument("--personal", action="store_true", help="with the C that learns its wearer")
    parser.add_argument("--sensors", type=_sensors, default="", metavar="LIST", help=_SENSORS_HELP)
    parser.add_argument("--force", action="store_true", help="replace a bundle that holds what this one would not")
    parser.add_argument("--json", action="store_true", help="print the manifest as JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Finish the subnet where needed, write the bundle, and say where it is."""
    from hwmodels.basics.errors import InputError
    from hwmodels.firmware.front_end import Front
    from hwmodels.firmware.learner import PersonalSettings
    from hwmodels.firmware.sources import require_small_filters
    from nas.assembly.choice import arch_of, chosen_arch
    from nas.assembly.hardware import cost_model
    from nas.compress.finish import finish_subnet, is_finished
    from nas.compress.quantize import input_settings
    from nas.compress.streaming_subnets import require_streamable
    from nas.deploy.destination import check_destination, check_replacement, identity_of
    from nas.deploy.export import export_bundle
    from nas.deploy.formats.registry import check_formats
    from nas.run.run_directory import RunDirectory

    if options.epochs and options.mode == "window":
        raise InputError("--epochs: is for --mode streaming; window mode is fine-tuned as the run's file says")
    run = RunDirectory.open(options.run)
    with run.exclusive():
        arch = arch_of(run, options.arch) if options.arch else chosen_arch(run)
        if options.mode == "streaming":
            require_streamable(run, arch)
        check_formats(options.formats, options.mode == "streaming")
        folder = "export" if options.mode == "window" else "export-streaming"
        out = options.out or run.subnet(arch.id) / folder
        # Whatever can go wrong is found out before minutes of training.
        check_destination(out)
        device = run.device(options.device)
        wanted_learner = PersonalSettings() if options.personal else None
        identity = identity_of(arch.id, options.mode, device.name, options.sensors, wanted_learner)
        check_replacement(out, identity, options.formats, options.force)
        cost_model(run, device)
        require_small_filters(Front.of(options.sensors, input_settings(run.config, arch)))
        learner = _learner(run, arch, options) if options.personal else None
        if not is_finished(run, arch):
            run.say(f"{arch.id} is not finished yet: fine-tuning and quantizing it")
            finish_subnet(run, arch)
        streamed = _streamed(run, arch, options.epochs) if options.mode == "streaming" else None
        manifest, kept = export_bundle(
            run,
            arch,
            out,
            device,
            streamed=streamed,
            formats=options.formats,
            sensors=options.sensors,
            learner=learner,
            is_forced=options.force,
        )
    if kept:
        run.say(f"kept as you edited them: {', '.join(kept)}")
    if options.json:
        print_json(manifest)
    else:
        print_fields({"bundle": str(out), "arch": manifest["arch"], **manifest["predicted"]})
    return 0


def _learner(run: RunDirectory, arch: Arch, options: argparse.Namespace) -> PersonalSettings:
    """How a wearer is learnt. Raises InputError where the C of this network cannot."""
    from hwmodels.basics.errors import InputError
    from hwmodels.firmware.learner import PersonalSettings, learnt_form
    from nas.assembly.run_space import space_of

    if options.mode == "streaming" or CODE not in options.formats:
        raise InputError("--personal: is C for window mode; leave it out, or export that (--format c)")
    settings = PersonalSettings()
    learnt_form(space_of(run.config).lower(arch), settings)
    return settings


def _formats(text: str) -> tuple[str, ...]:
    """Formats separated by commas, each once, in the order of FORMATS."""
    given = {part.strip() for part in text.split(",")}
    if unknown := sorted(given - set(FORMATS)):
        raise argparse.ArgumentTypeError(
            f"unknown format {unknown[0]!r}; choose from {', '.join(FORMATS)}, separated by commas"
        )
    return tuple(name for name in FORMATS if name in given)


def _streamed(run: RunDirectory, arch: Arch, epochs: int | None) -> IntegerModel:
    """The subnet fine-tuned for incremental mode, as it was before unless `epochs` are given."""
    from nas.compress.streaming_subnets import SETTINGS, adapt_to_streaming, adapted_model, save_adapted

    model = adapted_model(run, arch) if epochs is None else None
    if model is None:
        run.say(f"{arch.id}: fine-tuning for incremental mode")
        model = adapt_to_streaming(run, arch, SETTINGS.model_copy(update={"epochs": epochs or SETTINGS.epochs}))
        save_adapted(run, arch, model)
    return model
