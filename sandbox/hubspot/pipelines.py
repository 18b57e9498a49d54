"""Deal pipelines and their stages, as the portal keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import times

DEFAULT_STAGES = (
    ("appointmentscheduled", "Appointment Scheduled", "0.2"),
    ("qualifiedtobuy", "Qualified To Buy", "0.4"),
    ("presentationscheduled", "Presentation Scheduled", "0.6"),
    ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
    ("contractsent", "Contract Sent", "0.9"),
    ("closedwon", "Closed Won", "1.0"),
    ("closedlost", "Closed Lost", "0.0"),
)


@dataclass(slots=True)
class Stage:
    """One step; HubSpot derives whether it is closed from the probability, and says so in text."""

    id: str
    label: str
    order: int
    probability: str
    created: int
    updated: int

    @property
    def closed(self) -> bool:
        """Won is 1.0, lost is 0.0; everything between is open."""
        return float(self.probability) in (0.0, 1.0)

    @property
    def won(self) -> bool:
        """Closed with certainty."""
        return float(self.probability) == 1.0

    def to_json(self) -> dict[str, Any]:
        """The PipelineStage resource."""
        return {
            "label": self.label,
            "displayOrder": self.order,
            "metadata": {"isClosed": "true" if self.closed else "false", "probability": self.probability},
            "id": self.id,
            "createdAt": times.iso(self.created),
            "updatedAt": times.iso(self.updated),
            "archived": False,
            "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
        }


@dataclass(slots=True)
class Pipeline:
    """A named row of stages."""

    id: str
    label: str
    order: int
    created: int
    updated: int
    stages: dict[str, Stage] = field(default_factory=dict)
    audit: list[dict[str, Any]] = field(default_factory=list)

    def ordered(self) -> list[Stage]:
        """Stages by display order."""
        return sorted(self.stages.values(), key=lambda stage: stage.order)

    def to_json(self) -> dict[str, Any]:
        """The Pipeline resource."""
        return {
            "label": self.label,
            "displayOrder": self.order,
            "id": self.id,
            "stages": [stage.to_json() for stage in self.ordered()],
            "createdAt": times.iso(self.created),
            "updatedAt": times.iso(self.updated),
            "archived": False,
        }


def default_pipeline(created: int) -> Pipeline:
    """The pipeline of a new account."""
    pipeline = Pipeline("default", "Sales Pipeline", 0, created, created)
    for order, (stage_id, label, probability) in enumerate(DEFAULT_STAGES):
        pipeline.stages[stage_id] = Stage(stage_id, label, order, probability, created, created)
    return pipeline
