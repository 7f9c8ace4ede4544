"""Write docs/cli.md from the commands' own help."""

from __future__ import annotations

from pathlib import Path

import click

from posebank_cli.main import COMMANDS, main


def page() -> str:
    """The command reference as Markdown."""
    root = click.Context(main, info_name="posebank", terminal_width=100, **main.context_settings)
    text = ["# The command line", "", "Made by `make docs` from the commands' help.", ""]
    text += ["```", main.get_help(root), "```", ""]
    for name in COMMANDS:
        command = main.get_command(root, name)
        assert command is not None, name
        context = click.Context(command, info_name=name, parent=root)
        text += [f"## posebank {name}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(text)


if __name__ == "__main__":
    (Path(__file__).parent / "cli.md").write_text(page(), encoding="utf-8")
