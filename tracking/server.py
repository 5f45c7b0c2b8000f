"""Starts the service: one process, without an access log, since that would keep what we promise not to keep."""

import uvicorn

from core.settings import Settings
from tracking.app import create_app


def serve(settings: Settings, *, host: str = "127.0.0.1", port: int = 8180) -> None:
    """Serve until told to stop (SIGINT or SIGTERM); requests under way get five seconds to end."""
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
