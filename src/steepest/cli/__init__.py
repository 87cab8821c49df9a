"""Layer 8: the command line. One file a command, imported only when that command is called."""

from __future__ import annotations


def main() -> None:
    """Run `steepest` with the arguments of this process, and end the process."""
    import sys

    from steepest.cli.app import run

    sys.exit(run(sys.argv[1:]))
