"""`portcullis gate`: propose an order as a program would."""

from __future__ import annotations

from typing import Any

import typer

from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, console, show
from portcullis.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Ask the pre-trade gate.")


@app.command("propose")
def propose(
    account: str,
    side: str = typer.Argument(help="buy or sell"),
    size: int = typer.Argument(help="contracts"),
    instrument: str = typer.Argument(help="ticker, or the venue's contract id"),
    kind: str = typer.Option("market", "--type", help="market, limit, stop, stop_limit, trailing"),
    limit: str = typer.Option(None, "--limit", help="limit price"),
    stop: str = typer.Option(None, "--stop", help="stop price"),
    strategy: str = typer.Option("", "--strategy", help="the strategy it is for"),
    submit: bool = typer.Option(False, "--submit", help="have the worker send it when approved"),
    output: Form = FormOption,
) -> None:
    """Approve or deny, with every reason and the largest order allowed now.

    Ends with 0 when approved and 6 when denied.
    """
    body = {
        "account": account,
        "side": side,
        "size": size,
        "instrument": instrument,
        "type": kind,
        "limit_price": limit,
        "stop_price": stop,
        "agent": "command line",
        "strategy": strategy,
        "submit": submit,
    }
    code, answer = context.ask_worker("POST", "/api/v1/proposals", body)
    if code != 200:
        raise UsageError(answer["detail"], remedy="see `portcullis gate propose --help`")
    show(answer, output, _draw)
    if answer["decision"] != "approved":
        raise typer.Exit(6)


def _draw(answer: dict[str, Any]) -> None:
    console.print(
        f"{answer['decision']} ({answer['lane']} lane, event {answer['seq']}); largest "
        f"order now: {answer['largest_allowed']}",
        markup=False,
    )
    for reason in answer["reasons"]:
        figures = f" [{reason['measured']} against {reason['limit']}]" if reason["limit"] else ""
        console.print(f"  {reason['code']}: {reason['message']}{figures}", markup=False)
        if reason["formula"]:
            console.print(f"    {reason['formula']}", markup=False)
