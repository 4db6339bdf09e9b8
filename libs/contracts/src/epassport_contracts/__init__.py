"""Contracts between the services of epassport; installable alone by an agency."""

from epassport_contracts.access import OWNER, RECIPIENTS, ServiceName
from epassport_contracts.model import ContractEvent
from epassport_contracts.sealed import DataPurpose, Sealed

__all__ = ["OWNER", "RECIPIENTS", "ContractEvent", "DataPurpose", "Sealed", "ServiceName"]
