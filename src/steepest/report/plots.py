"""All plots by one name: `from steepest.report import plots`. Drawing loads Matplotlib."""

from __future__ import annotations

from steepest.report.animation import animate
from steepest.report.curves import curves
from steepest.report.surfaces import contour, profile, surface

__all__ = ["animate", "contour", "curves", "profile", "surface"]
