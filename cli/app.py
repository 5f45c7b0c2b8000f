"""The `lapwing` command: a second front door to what the DAGs call."""

import typer

from cli import (
    approval,
    bounces,
    campaign,
    data,
    doctor,
    models,
    replies,
    reports,
    segments,
    send,
    sentiment,
    serve,
    source,
)

app = typer.Typer(
    name="lapwing",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="""Personalised lifecycle e-mail from a shop's own warehouse.

A day of campaigns, step by step: source import → features build → features publish → score → campaign plan →
campaign publish → send run → report build. Airflow's DAG `daily_campaigns` calls the same functions in the same order.

Start with `make demo`. Commands that work on a day take --as-of; those that answer take --json. Answers go to stdout,
remarks to stderr. Exit code 1 is a finding (a gate failed, an order is broken), 2 is wrong use.""",
)
app.add_typer(source.source, name="source")
app.add_typer(data.features, name="features")
app.command("rejects")(data.rejects)
app.add_typer(models.churn, name="churn")
app.add_typer(models.recommender, name="recommender")
app.add_typer(models.lifetime, name="lifetime")
app.add_typer(segments.segments, name="segments")
app.add_typer(sentiment.sentiment, name="sentiment")
app.command("score")(models.score)
app.add_typer(campaign.campaign, name="campaign")
app.add_typer(approval.approval, name="approval")
app.add_typer(send.send, name="send")
app.add_typer(bounces.bounces, name="bounces")
app.add_typer(replies.replies, name="replies")
app.add_typer(reports.feedback, name="feedback")
app.add_typer(reports.report, name="report")
app.add_typer(serve.inbox, name="inbox")
app.add_typer(serve.tracking, name="tracking")
app.add_typer(serve.console, name="console")
app.add_typer(serve.ledger, name="ledger")
app.add_typer(doctor.doctor, name="doctor")
app.command("up")(serve.up)
app.command("demo")(serve.demo)
