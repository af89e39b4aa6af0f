"""Coming from OpenStack Manila: its extra specs answered as it answers them, and translated into our documents."""

from dsl.openstack.capabilities import Acceptance, Outcome, SpecVerdict, accepts, scheduled_specs
from dsl.openstack.importing import Imported, ImportedType, import_types
from dsl.openstack.operators import matches
from dsl.openstack.remarks import Remark
from dsl.openstack.translation import Translation, translate

__all__ = [
    "Acceptance",
    "Imported",
    "ImportedType",
    "Outcome",
    "Remark",
    "SpecVerdict",
    "Translation",
    "accepts",
    "import_types",
    "matches",
    "scheduled_specs",
    "translate",
]
