"""Upscalers kept for the inputs to come."""

from __future__ import annotations

from collections import OrderedDict

from vsr.models.auto import Rule, Use
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler

# Pictures of many sizes that are all enlarged to one size need an Upscaler for each factor.
_MOST = 4


class UpscalerPool:
    """Upscalers by options, use and rule, those used last. A context manager; for one thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[NetworkOptions, Use, Rule | None], Upscaler] = OrderedDict()

    def __enter__(self) -> UpscalerPool:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def upscaler(self, options: NetworkOptions, use: Use = "video", rule: Rule | None = None) -> Upscaler:
        """The Upscaler for these options, made if there is none; the pool closes it. Raises the errors of Upscaler.

        When a fifth Upscaler is made, the least recently used one is closed.
        """
        key = (options, use, rule)
        if key not in self._kept:
            self._kept[key] = Upscaler(options, use=use, rule=rule)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)[1].close()
        return self._kept[key]

    def close(self) -> None:
        """Close all. Closing twice does nothing."""
        while self._kept:
            self._kept.popitem()[1].close()
