"""`initaudit fleet status`: how far the runs of a store are."""

from __future__ import annotations

import click

from initaudit.cli.fleet_following import EXIT_UNFINISHED, Tally


@click.command("status")
@click.argument("store")
@click.option("--run", "name", metavar="NAME", help="The run to show (default: the latest).")
@click.option("--all", "every", is_flag=True, help="Show every run.")
def command(store: str, name: str | None, *, every: bool) -> int:
    """Show how far the latest run in STORE is, and what came of it.

    Exit codes: 0 every planned model of the runs shown has its row; 3 some have none yet; 2 there is no such run.
    """
    from initaudit.fleet.plan import Shard
    from initaudit.fleet.store import Store

    kept = Store(store)
    unfinished = False
    for record in kept.runs() if every and name is None else [kept.run(name)]:
        tally = Tally()
        of_shard = dict.fromkeys(range(1, record.shards + 1), 0)
        for row in kept.rows(record.id):
            tally.add(row)
            of_shard[row.number % record.shards + 1] += 1
        click.echo(f"run {record.id}, begun {record.started}: {tally.rows:,} of {record.planned:,} models")
        if tally.rows:
            click.echo(f"  {tally.text()}")
        sizes = {part: Shard(part=part, of=record.shards).size(record.planned) for part in of_shard}
        left = [
            f"{part}/{record.shards} ({of_shard[part]:,} of {sizes[part]:,})"
            for part in of_shard
            if of_shard[part] < sizes[part]
        ]
        if left and record.shards > 1:
            click.echo(f"  shards not finished: {', '.join(left)}")
        unfinished = unfinished or bool(left)
    return EXIT_UNFINISHED if unfinished else 0
