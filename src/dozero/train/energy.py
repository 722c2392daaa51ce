"""How much energy a run took, estimated: its time by the power that the machine is assumed to draw."""

from __future__ import annotations

from dozero.train.figures import shown

SECONDS_PER_HOUR = 3600
NAME = ("energia (estimativa)", "energy (estimate)")
TOLD = (
    "{wh:,.3g} Wh: {seconds:,.0f} s a {watts:g} W. Os watts são uma suposição (eval.watts), não uma medida.",
    "{wh:,.3g} Wh: {seconds:,.0f} s at {watts:g} W. The watts are an assumption (eval.watts), not a measurement.",
)


def watt_hours(seconds: float, watts: float) -> float:
    """Return the energy of so much time at so much power.

    >>> watt_hours(7200, 30)
    60.0
    """
    return seconds * watts / SECONDS_PER_HOUR


def energy_row(seconds: float, watts: float, lang: str) -> tuple[str, str]:
    """Return name and figure of the estimate, in "pt" or else English, with what it assumes."""
    place = 0 if lang == "pt" else 1
    values = {"wh": watt_hours(seconds, watts), "seconds": float(seconds), "watts": watts}
    return NAME[place], TOLD[place].format(**{name: shown(value, lang) for name, value in values.items()})
