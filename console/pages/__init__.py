"""The routes, one module per page: each asks the readers, builds what its template shows, and renders it."""
