"""Where every call begins. The worker takes a short way: after a crash each moment counts."""

from __future__ import annotations

import gc
import sys

from portcullis.errors import PortcullisError


def main() -> None:
    """Run a command; exit codes are in docs/cli.md."""
    try:
        if sys.argv[1:] == ["worker"]:
            _work()
        else:
            from portcullis.cli.main import app

            app()
    except PortcullisError as error:
        print(f"portcullis: {error}\nremedy: {error.remedy}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def _work() -> None:
    """`portcullis worker` without the command line's own libraries."""
    gc.disable()  # a third of the start would be spent looking through fresh modules
    from portcullis.config.settings import read_settings
    from portcullis.wiring import run_worker

    run_worker(read_settings(), lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
