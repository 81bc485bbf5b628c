//! The ledger: an append-only, hash-chained record of what was done with releases, and the decisions that follow from it.
