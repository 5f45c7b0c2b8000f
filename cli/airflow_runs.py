"""Runs DAGs by Airflow's own `airflow dags test`, one after another: `python -m cli.airflow_runs 2017-12-04 DAG_ID ...`.

In one process, because Airflow needs about fifteen seconds of computing to start. Ends with an error at the first run
that fails. Its callers hand over the environment of `cli.services.airflow_environment`.
"""

import argparse

BEGINS = "the run begins of DAG "
"""Said before the id of each."""


def main() -> None:
    """Run what the command line asks for."""
    options = argparse.ArgumentParser(prog="python -m cli.airflow_runs", description=__doc__)
    options.add_argument("day", help="the runs' logical date")
    options.add_argument("dag_ids", nargs="+", metavar="DAG_ID")
    asked = options.parse_args()

    from airflow.cli.cli_parser import get_parser

    for dag_id in asked.dag_ids:
        print(f"{BEGINS}{dag_id}", flush=True)
        command = get_parser().parse_args(["dags", "test", dag_id, asked.day])
        command.func(command)


if __name__ == "__main__":
    main()
