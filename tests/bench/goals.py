"""Goals as data: what was measured, what is the least that passes, and the table of both."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Run = dict[str, Any]


class NotMeasured(Exception):
    """A figure that this run does not have; the text says why."""


class Results:
    """Runs by name; a figure of several rounds is their median."""

    def __init__(self, runs: Mapping[str, Sequence[Run]]) -> None:
        self._runs = runs

    def median(self, name: str, figure: Callable[[Run], float]) -> float:
        """Raises NotMeasured when no round of the run succeeded or the figure has no meaning."""
        good = [run for run in self._runs.get(name, ()) if "error" not in run]
        if not good:
            errors = [run["error"] for run in self._runs.get(name, ())]
            raise NotMeasured(f"{name}: {errors[0] if errors else 'not run'}")
        try:
            return statistics.median(figure(run) for run in good)
        except (ZeroDivisionError, KeyError, IndexError) as error:
            raise NotMeasured(f"{name}: {error!r}") from error

    def largest(self, name: str, figure: Callable[[Run], float]) -> float:
        """Of all rounds: for promises that one bad round breaks, and for speeds, which whatever
        else happens on the machine can only lower.
        """
        self.median(name, figure)
        return max(figure(run) for run in self._runs[name] if "error" not in run)


@dataclass(frozen=True)
class Floor:
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        parts = [f">= {figure(self.at_least)}"] if self.at_least is not None else []
        parts += [f"<= {figure(self.at_most)}"] if self.at_most is not None else []
        return " and ".join(parts)

    def as_json(self) -> dict[str, float]:
        bounds = {"at_least": self.at_least, "at_most": self.at_most}
        return {name: value for name, value in bounds.items() if value is not None}


@dataclass(frozen=True)
class Measure:
    """One ratio of a goal. Without a floor it is there to be read, and cannot fail."""

    name: str
    value: Callable[[Results], float]
    floor: Floor | None = None


@dataclass(frozen=True)
class Goal:
    id: str
    what: str
    needs: tuple[str, ...]
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Verdict:
    goal: Goal
    ratios: dict[str, float | None]
    reasons: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(
            self._holds(measure) for measure in self.goal.measures if measure.floor is not None
        )

    def _holds(self, measure: Measure) -> bool:
        value = self.ratios[measure.name]
        return value is not None and measure.floor is not None and measure.floor.holds(value)

    def as_json(self) -> dict[str, Any]:
        floors = {m.name: m.floor.as_json() for m in self.goal.measures if m.floor is not None}
        return {
            "id": self.goal.id,
            "what": self.goal.what,
            "ratios": self.ratios,
            "floor": floors,
            "pass": self.passed,
            **({"why": self.reasons} if self.reasons else {}),
        }

    def lines(self) -> list[str]:
        """The goal's part of the table. What was not measured did not pass."""
        head = f"{self.goal.id:<4}{self.goal.what:<70}{'PASS' if self.passed else 'FAIL':>20}"
        rows = []
        for measure in self.goal.measures:
            value = self.ratios[measure.name]
            text = "not measured" if value is None else figure(value)
            bad = measure.floor is not None and not self._holds(measure)
            rows.append(
                f"      {measure.name:<54}{text:>14}  {measure.floor or ''!s:<14}"
                f"{'  <--' if bad else ''}".rstrip()
            )
        return [head, *rows, *(f"      ({reason})" for reason in self.reasons)]


def judge(goal: Goal, results: Results) -> Verdict:
    ratios: dict[str, float | None] = {}
    reasons: list[str] = []
    for measure in goal.measures:
        try:
            ratios[measure.name] = round(measure.value(results), 4)
        except NotMeasured as missing:
            ratios[measure.name] = None
            if str(missing) not in reasons:
                reasons.append(str(missing))
        except ZeroDivisionError:
            ratios[measure.name] = None
            reasons.append(f"{measure.name}: nothing to divide by")
    return Verdict(goal, ratios, reasons)


def figure(value: float) -> str:
    """Three significant digits, with spaces between thousands."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
