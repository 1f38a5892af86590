"""The doctor: examines an installation from the outside in, and says of each finding what mends it.

Each part of it copes with the parts before it being broken: without a configuration the machine and the plugins are looked at,
and a store that cannot be opened is no reason to keep quiet about the rest.
"""

from wellkept.doctor.finding import Finding, Grade, worst
from wellkept.doctor.house import examine_house
from wellkept.doctor.instances import examine_instances
from wellkept.doctor.storage import examine_store
from wellkept.doctor.work import examine_work

__all__ = ["Finding", "Grade", "examine_house", "examine_instances", "examine_store", "examine_work", "worst"]
