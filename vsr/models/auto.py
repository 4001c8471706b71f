"""What `auto` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vsr.core.look import Look

Use = Literal["video", "picture"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A family of networks for inputs that a look tells apart. why: the rest of a sentence that begins with the chosen network.
    fits: whether a Look is of such an input. use: what the rule is for, None for both. strength: of a network in colour, None
    for its own."""

    family: str
    why: str
    fits: Callable[[Look], bool]
    use: Use | None = None
    strength: float | None = None


# The first that fits is taken. benchmarks/look.json says how each family does on such inputs.
RULES = (
    Rule(
        "bicubic",
        "because the input looks interlaced: try --deinterlace on",
        lambda look: look.combed,
        "video",
    ),
    # At the network's own strength, which is sharper, five of 36 such pictures were further from the original than by bicubic.
    Rule("restore", "because the input has noise", lambda look: look.noise > 2.3, strength=1.0),
    Rule(
        "restore",
        "because the input is compressed",
        lambda look: look.quantizer >= 5,
        "picture",
        strength=1.0,
    ),
    Rule("restore", "because the input is compressed hard", lambda look: look.quantizer > 14),
)


def rule_for(look: Look, use: Use) -> Rule | None:
    """The first rule that fits; None where the input is clean."""
    return next((rule for rule in RULES if rule.use in (None, use) and rule.fits(look)), None)


def suited(use: Use, rule: Rule | None, *, drawn: bool = False) -> tuple[str, ...]:
    """The families to try on an input with that rule, with the one that `auto` takes. drawn: see `Look.drawn`."""
    taken, _ = auto_family(use, on_gpu=False, rule=rule)
    others = ("fast", "balanced", "quality") if rule is None else ("fast", "balanced", "restore")
    return tuple(dict.fromkeys(("bicubic", *others, *(["anime"] if drawn else []), taken)))


def auto_family(use: Use, *, on_gpu: bool, rule: Rule | None = None) -> tuple[str, str]:
    """The family `auto` takes, and why. rule: for the look of the input, None if it is clean or was not looked at."""
    if rule is not None:
        return rule.family, rule.why
    if on_gpu:
        return "quality", "on a GPU"
    return ("quality", "for pictures") if use == "picture" else ("balanced", "for video without a GPU")
