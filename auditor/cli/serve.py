"""The command that starts the app."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.support import workspace

ROOT = Path(__file__).resolve().parents[2]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("app")(serve)


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Start the app in the browser. Runs go on without it."""
    from distill import jobs
    from distill.errors import StoreError

    script = ROOT / "app.py"
    if not script.exists():
        raise StoreError(f"The app's file {script} is missing.", hint="Install from a checkout: pip install -e .")
    _require_free(address, port)
    home = workspace(make=True)
    jobs.ensure_runner(home)  # what was queued before the machine went down
    shown = "localhost" if address in {"127.0.0.1", "0.0.0.0", "::"} else address  # noqa: S104 - compared, not bound
    typer.echo(f"Heirloom is at http://{shown}:{port} (workspace {home.root}). Ctrl-C ends the app, not the runs.")
    sys.stdout.flush()
    os.environ["HEIRLOOM_HOME"] = str(home.root)
    os.chdir(ROOT)  # where .streamlit/config.toml lies
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.address", address, "--server.headless", str(not open_browser).lower()]
    os.execv(sys.executable, command)  # noqa: S606 - the server takes the place of this process, no shell wanted


def _require_free(address: str, port: int) -> None:
    """Raise StoreError when something listens on the port already, or the address is not this machine's."""
    from distill.errors import StoreError

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise StoreError(
                f"Port {port} of {address} cannot be used: {error.strerror}.",
                hint=f"Stop what uses it, or choose another: heirloom app --port {port + 1 if port < 65535 else 8501}.",
            ) from error
