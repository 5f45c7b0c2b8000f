"""Does ahead what the first tasks of a day would wait for, while Airflow starts: `python -m cli.ahead`.

Both are done once and found done by whoever comes later; who comes meanwhile waits.
"""


def main() -> None:
    """Parse the dbt project and make MLflow's store."""
    from core.dbt import parsed_project
    from core.settings import load_settings
    from ml.registry import Registry

    settings = load_settings()
    parsed_project(settings)
    Registry(settings).make_store()


if __name__ == "__main__":
    main()
