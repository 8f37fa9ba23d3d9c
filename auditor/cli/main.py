"""The entry point of ``heirloom``: finds the command groups, and turns every error into one sentence."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

import auditor.cli
from distill.errors import HeirloomError

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130


def make_app() -> typer.Typer:
    """The application with the commands of every module of this package that has a ``register`` function."""
    app = typer.Typer(
        name="heirloom",
        help="Distil a model, and see with evidence what the student inherited and what it lost.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(lambda: None)  # a group even with a single command
    found = (module.name for module in pkgutil.iter_modules(auditor.cli.__path__))
    names = sorted(name for name in found if name != "main" and not name.startswith("_"))
    for name in sorted(names, key=lambda name: name != "runs"):  # the main job stands first in the help
        register = getattr(importlib.import_module(f"auditor.cli.{name}"), "register", None)
        if register is not None:
            register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 well, 1 a run that failed, 2 bad input. Never a traceback unless HEIRLOOM_DEBUG is 1."""
    debug = os.environ.get("HEIRLOOM_DEBUG") == "1"
    try:
        code = make_app()(
            args=None if arguments is None else list(arguments), prog_name="heirloom", standalone_mode=False
        )
    except TyperException as error:
        message = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":  # the whole help; typer has no public name for it
            _say(message)
        elif message:
            _say(message, "`heirloom --help` lists the commands, `heirloom COMMAND --help` their options.")
        code = BAD_INPUT
    except HeirloomError as error:
        if debug:
            raise
        _say(error.message, error.hint)
        code = BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        _say("Stopped.")
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of the pipe has gone, as `head` does
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - lives to the end of the process
        code = 0
    except Exception as error:
        if debug:
            raise
        _say(f"Something unexpected happened ({type(error).__name__}).", "HEIRLOOM_DEBUG=1 shows where.")
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


def _say(message: str, hint: str = "") -> None:
    typer.echo(" ".join(part for part in (message.strip(), hint) if part), err=True)


if __name__ == "__main__":
    main()
