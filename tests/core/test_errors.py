"""The family of errors is the one its drawing shows."""

import inspect

from core import errors


def test_every_error_is_of_the_family_and_in_its_drawing():
    family = {name for name, kind in inspect.getmembers(errors, inspect.isclass)}
    drawn = {
        line.split()[1]
        for line in (errors.__doc__ or "").splitlines()
        if line.lstrip().startswith(("├", "└"))
    }
    assert len(family) == 13
    assert drawn == family - {"LapwingError"}
    assert all(issubclass(getattr(errors, name), errors.LapwingError) for name in family)
    assert all(getattr(errors, name).__doc__ for name in family)
