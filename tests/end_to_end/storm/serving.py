"""Workers that serve whole flows in a storm: they scan, plan, deliver and write back, as a cluster does.

One process at a time has a flow; whoever is killed leaves it to the next. Used for storms whose wishes come out of a
CRM instead of being pressed.
"""

from __future__ import annotations

import random
import time
from typing import Any


def serve_for_ever(plan: Any) -> None:
    """Serve the plan's flows in turn, each time with a new scan of what changed."""
    from integrations.locks import lock_session
    from sync.engine import outcomes
    from sync.engine.run import Order, work
    from sync.models import Flow

    as_usual = outcomes.backoff
    outcomes.backoff = lambda attempts: as_usual(attempts) / 10  # scaled, as all times are
    with lock_session():
        while True:
            flows = list(Flow.objects.filter(pk__in=plan.flow_ids))
            for flow in random.sample(flows, len(flows)):
                work(flow, Order())
            time.sleep(random.uniform(0.02, 0.2))
