"""Which rules an entitlement matches. Pure: no query, no clock.

Patterns are globs (`*`, `?`, `[a-z]`) and no regular expressions: the standard library translates a glob into an expression that never
goes back on a `*`, so that no pattern can take long on any text.
"""

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.models import AssignmentRule


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a rule can look at. `folder_path` is "" where we don't know it: FortiFlex tells no folders, we know those we created in."""

    serial_number: str
    account_id: int
    program: str
    config: int
    config_name: str
    description: str
    folder_path: str


Test = Callable[[Candidate], bool]


class Matcher:
    """Rules in their order, made ready once for any number of candidates."""

    def __init__(self, rules: Sequence[AssignmentRule]) -> None:
        ordered = sorted(rules, key=lambda rule: (rule.priority, rule.id))
        self._rules = [(rule, _tests_of(rule)) for rule in ordered]

    def match(self, candidate: Candidate) -> list[AssignmentRule]:
        """Every rule that matches; the first counts."""
        return [rule for rule, tests in self._rules if all(test(candidate) for test in tests)]


def _tests_of(rule: AssignmentRule) -> list[Test]:
    """All of them must hold. The cheap ones first."""
    tests: list[Test] = []
    if rule.account_id is not None:
        tests.append(lambda candidate: candidate.account_id == rule.account_id)
    if rule.program_id is not None:
        tests.append(lambda candidate: candidate.program == rule.program_id)
    if rule.config_id is not None:
        tests.append(lambda candidate: candidate.config == rule.config_id)
    if rule.folder_path:
        parts = _parts(rule.folder_path)
        tests.append(lambda candidate: _parts(candidate.folder_path)[: len(parts)] == parts)
    if rule.config_name:
        config_name = compile_glob(rule.config_name)
        tests.append(lambda candidate: config_name.match(candidate.config_name) is not None)
    if rule.description:
        description = compile_glob(rule.description)
        tests.append(lambda candidate: description.match(candidate.description) is not None)
    return tests


def compile_glob(pattern: str) -> re.Pattern[str]:
    """The whole text must match, in any case."""
    return re.compile(fnmatch.translate(pattern), re.IGNORECASE)


def _parts(path: str) -> list[str]:
    return path.strip("/").casefold().split("/")
