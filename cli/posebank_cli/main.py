"""The ``posebank`` command: finds a command's module when it is asked for."""

from __future__ import annotations

import atexit
import difflib
import errno
import gc
import importlib
import warnings

import click

from posebank.errors import PosebankError, PosebankWarning
from posebank_pipelines.processes import end_on_sigterm

COMMANDS = {
    "fetch": "Download a MoCap or annotation data set, or say how to get it.",
    "demo": "Generate data in the original formats, then do everything with it.",
    "run": "Do every stage of a configuration that is out of date.",
    "ingest": "Read MoCap clips into the bank.",
    "annotate": "Read 2D annotations.",
    "index": "Index random views of the bank.",
    "match": "Match people with the bank, 2D to 3D.",
    "query": "Tell how large the matching error is.",
    "label": "Make full-body 2D + 3D labels.",
    "anchors": "Fit anchor-poses.",
    "shards": "Write Parquet shards.",
    "train": "Train LCR-Net on the shards.",
    "predict": "Find 2D and 3D poses in images.",
    "evaluate": "Score a network with the paper's metrics.",
    "export": "Write labels or shards for other training code.",
    "report": "Write an HTML report of a workspace.",
    "inspect": "Show what a file or an artefact holds.",
}
"""Command -> one line of help; the module ``posebank_cli.commands.NAME`` holds it."""


_EXTRA_OF = {
    "torch": "train",
    "torchvision": "train",
    "tensorboard": "train",
    "timm": "train",
    "faiss": "gpu",
    "matplotlib": "report",
}
"""Optional package -> the extra that installs it."""


def _missing_extra(error: ModuleNotFoundError) -> Exception:
    """One line that says which extra to install; the error itself for any other module."""
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRA_OF:
        return error
    return click.ClickException(
        f"this needs the package {package}, which is not installed: "
        f"pip install 'posebank[{_EXTRA_OF[package]}]'"
    )


class LazyGroup(click.Group):
    """Imports a command when it is used: ``--help`` must not wait for torch.

    Errors that the user can mend end the program with one line and exit status 1.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if cmd_name not in COMMANDS:
            close = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {cmd_name!r}.{hint}")
        try:
            module = importlib.import_module(f"posebank_cli.commands.{cmd_name}")
        except ModuleNotFoundError as error:
            raise _missing_extra(error) from error
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run; turn a PosebankError, a refusal of the operating system and a signal into a line."""
        end_on_sigterm()
        atexit.register(gc.freeze)  # Python would look through two thousand modules as it ends
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.ClickException(
                "stopped; what was finished is kept: run the same command again to go on"
            ) from error
        except PosebankError as error:
            raise click.ClickException(str(error)) from error
        except ModuleNotFoundError as error:
            raise _missing_extra(error) from error
        except OSError as error:
            if error.errno == errno.EPIPE or error.strerror is None:
                raise  # click ends quietly when nobody reads on
            where = error.filename2 or error.filename  # of a rename the file that was to be
            message = f"{where}: {error.strerror}" if where else error.strerror
            raise click.ClickException(message) from error


_format_of_python = warnings.formatwarning


def _formatted(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Format a warning of posebank as one line, like its errors; others as Python has them."""
    if issubclass(category, PosebankWarning):
        return f"Warning: {message}\n"
    return _format_of_python(message, category, filename, lineno, line)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _, wanted: _show_versions(ctx) if wanted else None,
    help="Show the versions of posebank and of the packages that it computes with.",
)
def main() -> None:
    """Motion capture and 2D pose annotations into 2D + 3D labels, and LCR-Net on them."""
    warnings.formatwarning = _formatted


def _show_versions(ctx: click.Context) -> None:
    from posebank_cli.versions import versions_text  # noqa: PLC0415 - platform and metadata are slow

    click.echo(versions_text())
    ctx.exit()
