"""Energy: time by power, and said to be an estimate."""

from dozero.train.energy import energy_row, watt_hours


def test_it_grows_with_both():
    assert watt_hours(3600, 45) == 45
    assert watt_hours(1800, 90) == 45


def test_what_is_assumed_is_said_in_both_languages():
    assert energy_row(3600, 30.0, "en") == (
        "energy (estimate)",
        "30 Wh: 3,600 s at 30 W. The watts are an assumption (eval.watts), not a measurement.",
    )
    assert energy_row(3600.0, 12.5, "pt")[1].startswith("12,5 Wh: 3.600 s a 12,5 W.")
