"""`initaudit fleet run`: every model of the sources comes to a row in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from initaudit.cli.fleet_options import fleet_options, take_care, take_engine, take_shard
from initaudit.cli.options import audit_options, gate_options, run_options_of, take_settings


@click.command("run")
@click.argument("sources", nargs=-1, required=True)
@click.option("--store", required=True, metavar="DIR|URL", help="Where plan, rows and results are kept, across runs.")
@fleet_options
@run_options_of("exclude", "exit_zero", "quiet")
@gate_options
@audit_options
def command(sources: tuple[str, ...], store: str, **options: Any) -> int:
    """Audit the models of SOURCES: files, folders, globs, @FILE with a list of these, URLs (s3://, gs://, az://, hf://, https://).

    What is in the store already, by content and options, is not audited again. Ended at any moment, the same command goes on where it was.

    Exit codes: as of `check`, once every planned model has its row; 3 before that; 130 and 143 interrupted.
    """
    from initaudit.cli.auditing import inputs_with_shapes, tell_unused
    from initaudit.cli.fleet_following import EXIT_UNFINISHED, followed
    from initaudit.cli.gate import EXIT_ERROR
    from initaudit.cli.output import command_line
    from initaudit.engines.local import Local
    from initaudit.errors import UsageError
    from initaudit.fleet.place import StoreError
    from initaudit.fleet.planning import Request, planned_run, unfitted
    from initaudit.fleet.run import Run
    from initaudit.fleet.store import Store
    from initaudit.formats.printing import visible
    from initaudit.judgement.baseline import load_baseline

    engine, care, shard = take_engine(options), take_care(options), take_shard(options)
    name, fresh = options.pop("name"), options.pop("fresh")
    settings = take_settings(options)
    load_baseline(settings.config().baseline)  # what is wrong with it is told before the work
    try:
        kept = Store(store)
        if not kept.is_lasting:
            raise UsageError(
                f"store {store}: would be gone with this process; give a folder, or the URL of what outlives it"
            )
        request = Request(
            sources=sources, settings=settings, shard=shard, name=name, fresh=fresh, command=command_line()
        )
        record = planned_run(kept, request)
    except StoreError as error:  # 2 would say something about every model
        click.echo(f"initaudit: error: {visible(str(error))}", err=True)
        return EXIT_UNFINISHED
    if isinstance(engine, Local):  # workers without a model of their own read for the others
        care = replace(care, readers=max(1, engine.workers // max(1, shard.size(record.planned))))
    rows = Run(kept, record, shard, care).rows(engine)
    code = followed(rows, record, shard, quiet=settings.run.quiet)
    if code >= EXIT_UNFINISHED or not (unused := unfitted(kept, record, inputs_with_shapes(settings))):
        return code
    tell_unused(unused)
    return EXIT_ERROR
