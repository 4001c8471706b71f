"""The `vsr` command: commands are imported when they are called, and errors become one line and a hint."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from vsr import __version__
from vsr.cli.interrupt import as_keyboard_interrupt
from vsr.cli.terminal import note, open_streams
from vsr.core.control import Cancelled
from vsr.core.errors import VsrError, is_out_of_memory, out_of_memory, reason
from vsr.core.secrets import masked
from vsr.files.user import config_file

INTERRUPTED = 130
INTERNAL_ERROR = 70

# Name → (module, one line of help), listed here so that `vsr --help` imports none of the modules.
COMMANDS: dict[str, tuple[str, str]] = {
    "upscale": ("vsr.cli.upscale", "Upscale video files, pictures, sequences or streams that end."),
    "jobs": ("vsr.cli.jobs", "List, show, export and remove unfinished jobs."),
    "stream": ("vsr.cli.stream", "Upscale cameras and live streams in real time."),
    "demo": ("vsr.cli.demo", "Upscale the clip that comes with vsr, and show the result."),
    "probe": ("vsr.cli.probe", "Show the streams of a file, and the plan for upscaling it."),
    "try": ("vsr.cli.try_", "Try the networks on three places of a file, and show them on a page."),
    "doctor": ("vsr.cli.doctor", "Check which packages and devices are usable, and how to get the others."),
    "model": ("vsr.cli.model", "List, show, export and import models."),
    "engine": ("vsr.cli.engine", "Build, list, show, verify and remove TensorRT engines."),
    "evaluate": ("vsr.cli.evaluate", "Measure how close a model's results are to originals."),
    "compare": ("vsr.cli.compare", "Compare two videos or pictures, and show them on a page."),
    "bench": ("vsr.cli.bench", "Measure frames per second, stage by stage."),
    "train": ("vsr.cli.train", "Train a model with a recipe."),
}


class LazyGroup(click.Group):
    """A group whose commands are the objects named `command` in the modules of COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="vsr", message="%(prog)s %(version)s")
@click.pass_context
def vsr(ctx: click.Context) -> None:
    """Make video larger and sharper, and keep everything else about it.

    \b
    vsr upscale in.mp4             writes in_x2.mp4
    vsr upscale in.mp4 out.mkv --size 1920x1080
    vsr COMMAND --help             lists the options of a command
    """
    path = config_file()
    if ctx.invoked_subcommand and path != Path(os.devnull) and (path.exists() or "VSR_CONFIG" in os.environ):
        from vsr.cli.defaults import defaults_for

        ctx.default_map = defaults_for(path, vsr, ctx.invoked_subcommand, ctx)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; never raises."""
    open_streams()
    try:
        with as_keyboard_interrupt():
            given = list(arguments) if arguments is not None else None
            code = vsr.main(args=given, prog_name="vsr", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        note(*error.format_message().splitlines())
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "vsr"
        _tell(error.format_message(), f"`{command} --help` shows how to use it")
        return error.exit_code
    except click.ClickException as error:
        _tell(error.format_message(), None)
        return error.exit_code
    except (Cancelled, KeyboardInterrupt, click.Abort):
        note("cancelled")
        return INTERRUPTED
    except VsrError as error:
        tell_error(error)
        return error.exit_code
    except BrokenPipeError:
        return _unwritten()  # The reader of our output has closed the pipe.
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            _tell(f"cannot write to standard output: {reason(error)}", None)
            return _unwritten()
        if is_out_of_memory(error):
            tell_error(no_memory := out_of_memory("to go on"))
            return no_memory.exit_code
        last = traceback.extract_tb(error.__traceback__)[-1]
        _tell(
            f"internal error: {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})",
            "this is a bug in vsr; please report it with the command and the traceback that VSR_DEBUG=1 shows",
        )
        _trace(error)
        return INTERNAL_ERROR


def _unwritten() -> int:
    # Python flushes stdout once more at exit: send that to the null device.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def tell_error(error: VsrError) -> None:
    """Print one line with the error and its place, or one for each fault, and one line with the remedy, on stderr."""
    where = "".join(f" ({place})" for place in getattr(error, "__notes__", []))
    *faults, last = getattr(error, "faults", (error.message,))
    for fault in faults:
        _tell(fault, None)
    _tell(f"{last}{where}", error.hint)
    _trace(error)


def _tell(message: str, hint: str | None) -> None:
    note(f"error: {masked(message)}")
    if hint:
        note(f"hint: {masked(hint)}")


def _trace(error: BaseException) -> None:
    if os.environ.get("VSR_DEBUG", "0") not in ("", "0"):
        note(*masked("".join(traceback.format_exception(error))).splitlines())
