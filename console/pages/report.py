"""`/report`: what a day's campaigns did, the models' figures of the day, and how long each stage took."""

from datetime import date

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from console.figures import (
    answered,
    came_back,
    drift_alerts,
    funnels,
    model_figures,
    removals,
    stage_times,
    warnings,
)
from console.readers import Readers
from console.rendering import Pages, parsed_day


def router(readers: Readers, pages: Pages) -> APIRouter:
    """Return the routes of the report."""
    routes = APIRouter()

    @routes.get("/report", response_class=HTMLResponse, response_model=None)
    def newest(request: Request) -> HTMLResponse | RedirectResponse:
        days = readers.snapshots.days("campaign_funnel")
        if not days:
            return pages.render(request, "no_report.html")
        return RedirectResponse(f"/report/{days[0]}")

    @routes.get("/report/{as_of}", response_class=HTMLResponse)
    def report(request: Request, as_of: str) -> HTMLResponse:
        days = readers.snapshots.days("campaign_funnel")
        day = _known_day(as_of, days)
        return pages.render(
            request,
            "report.html",
            day=day,
            days=days,
            older=next((other for other in days if other < day), None),
            newer=next((other for other in reversed(days) if other > day), None),
            funnels=funnels(readers, day),
            came_back=came_back(readers, day),
            answered=answered(readers, day),
            warnings=warnings(readers, day),
            models=model_figures(readers, day),
            alerts=drift_alerts(readers, day),
            removals=removals(readers, day),
            stages=stage_times(readers, day),
            mlflow_url=readers.mlflow_url,
        )

    return routes


def _known_day(text: str, days: list[date]) -> date:
    day = parsed_day(text)
    if day is None or day not in days:
        have = f"there are {days[-1]} to {days[0]}" if days else "no day has one yet"
        raise HTTPException(404, f"There is no report of “{text[:40]}”; {have}.")
    return day
