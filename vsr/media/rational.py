"""Fractions as PyAV gives them: up to 18 as `Fraction` or None, from 19 on as a type of its own, which rounds, and may be 0."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


def fraction(value: Any) -> Fraction | None:
    """The same as an exact `Fraction`; None where it says nothing."""
    return Fraction(value.numerator, value.denominator) if value else None
