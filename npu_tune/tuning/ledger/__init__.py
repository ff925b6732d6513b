"""Ledgers: a study's finished trials on storage, each written in one piece."""

from npu_tune.tuning.ledger.base import Ledger
from npu_tune.tuning.ledger.factory import open_ledger
from npu_tune.tuning.ledger.patient import PatientLedger

__all__ = ["Ledger", "PatientLedger", "open_ledger"]
