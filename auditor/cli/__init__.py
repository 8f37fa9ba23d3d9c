"""The command line: one file per group of commands. A module here with ``register(app)`` adds its commands; nothing else is edited.

Modules import typer at the top and everything heavy inside the commands, so that ``heirloom --help`` stays quick. A module whose name begins
with an underscore is not looked at until a command imports it.
"""
