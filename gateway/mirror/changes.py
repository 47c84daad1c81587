"""What one comparison of FortiFlex's answer with the mirror found."""

from dataclasses import dataclass, field

from gateway.tags import Tag


@dataclass(slots=True)
class Changes:
    """`tags`: valid tags on serials that nobody owns, for reconciliation and proposals. Configs are named by their ids as text."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    configs: int = 0
    tags: dict[str, Tag] = field(default_factory=dict)
