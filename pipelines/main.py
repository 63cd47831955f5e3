"""Entry point of the command `rainsynth`: exit codes, and one line for a user's mistake."""

from __future__ import annotations

import sys

from rainsynth.checks import InputError

EXIT_MISTAKE = 2
EXIT_STOPPED = 130  # by Ctrl-C, as shells count it; typer ends with it without a word


def main() -> None:
    """Run the command line. Exit 0: success. 1: a check found a fault. 2: a user's mistake, a line. 130: Ctrl-C."""
    try:
        import typer

        from pipelines.cli import app
    except ModuleNotFoundError as error:
        sys.exit(_mistake(f"the command line must have {error.name} installed. Run pip install 'rainsynth[cli]'."))
    usage_error: type[Exception] = next(
        kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
    )
    try:
        status = typer.main.get_command(app).main(prog_name="rainsynth", standalone_mode=False)
    except InputError as error:
        sys.exit(_mistake(str(error)))
    except usage_error as error:
        sys.exit(
            _mistake(
                f"{error.format_message()} rainsynth VERB --help lists what a verb takes."  # type: ignore[attr-defined]
            )
        )
    except (typer.Abort, KeyboardInterrupt):
        status = EXIT_STOPPED
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in {"rainsynth", "mspfn", "pipelines"}:
            raise
        sys.exit(_mistake(f"this verb must have {error.name} installed. Run pip install 'rainsynth[all]'."))
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        sys.exit(_mistake(f"a file could not be read or written: {reason}. What was published before is whole."))
    if status == EXIT_STOPPED:
        _say("stopped. What was finished is kept; --resume goes on where a verb has it.")
    sys.exit(status or 0)


def _mistake(message: str) -> int:
    _say(message)
    return EXIT_MISTAKE


def _say(message: str) -> None:
    print(f"rainsynth: {' '.join(message.split())}", file=sys.stderr)


if __name__ == "__main__":
    main()
