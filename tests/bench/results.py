"""What was measured, and what it means: medians, ratios, and which targets are met."""

import math
import statistics
from dataclasses import dataclass, field

from cases import BEST, RIVALS

# Figures of which once is too often.
FAULTS = ("errors", "stalled")


@dataclass
class Results:
    """The figures of one case: for each server one set of them a repetition, in the order of the repetitions."""

    case: object
    runs: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)  # by server: what went wrong instead

    def add(self, server, figures):
        """Takes what one repetition found."""
        self.runs.setdefault(server, []).append(figures)

    def figures(self):
        """The names of all figures, in the order in which they were measured."""
        return list(dict.fromkeys(name for runs in self.runs.values() for figures in runs for name in figures))

    def median(self, server, figure):
        """The median of the repetitions, of what should not be at all the most; nothing where there is none."""
        values = [run[figure] for run in self.runs.get(server, []) if figure in run]
        middle = max if figure in FAULTS else statistics.median
        return middle(values) if values else None

    def ratio(self, figure, peer):
        """fcgate's figure over the peer's: the median of the ratios of single repetitions, which stood side by side."""
        if peer == BEST:
            return self._ratio_to_best(figure)
        pairs = zip(self.runs.get("fcgate", []), self.runs.get(peer, []))
        ratios = [own[figure] / other[figure] for own, other in pairs if other.get(figure)]
        return statistics.median(ratios) if ratios else None

    def _ratio_to_best(self, figure):
        fair = [peer for peer in RIVALS if not self.median(peer, "stalled") and not self.median(peer, "errors")]
        ratios = [ratio for peer in fair if (ratio := self.ratio(figure, peer)) is not None]
        return max(ratios, default=None)

    def verdict(self, target):
        """The value that counts for a target, and whether it meets it; no value where nothing was measured."""
        value = self.ratio(target.figure, target.peer) if target.peer else self.median("fcgate", target.figure)
        if value is None:
            return math.nan, False
        return value, value >= target.bound if target.at_least else value <= target.bound
