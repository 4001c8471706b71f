"""What inputs look like, for `auto`."""

from __future__ import annotations

from vsr.media.read.look import look
from vsr.media.types import Source, SourceOptions
from vsr.models.auto import Rule, Use, rule_for


class Looks:
    """Looks at each input once. For one thread."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule | None] = {}

    def rule(self, url: str, source: Source, options: SourceOptions) -> Rule | None:
        """The rule for the input `url`, opened as `source` with these options; None if it is clean. Raises what iterating over
        the source does."""
        if url not in self._rules:
            use: Use = "picture" if source.info.is_picture else "video"
            self._rules[url] = rule_for(look(url, options, source), use)
        return self._rules[url]
