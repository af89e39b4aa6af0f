"""Coming from OpenStack Manila: its extra specs answered as it answers them."""

from dsl.openstack.capabilities import Acceptance, Outcome, SpecVerdict, accepts, scheduled_specs
from dsl.openstack.operators import matches

__all__ = ["Acceptance", "Outcome", "SpecVerdict", "accepts", "matches", "scheduled_specs"]
