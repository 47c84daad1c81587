"""Rules that assign what nobody owned yet: entered, tried out, applied. An explicit assignment always wins over a rule."""

from gateway.assignment_rules.applying import apply_rules
from gateway.assignment_rules.editing import change_rule, create_rule, delete_rule, describe_rule, find_rule
from gateway.assignment_rules.foreseeing import Foreseen, ForeseenRow, foresee_rules

__all__ = [
    "Foreseen",
    "ForeseenRow",
    "apply_rules",
    "change_rule",
    "create_rule",
    "delete_rule",
    "describe_rule",
    "find_rule",
    "foresee_rules",
]
