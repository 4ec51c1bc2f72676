"""Operator families that own weights, one per file; each says which layers a node is (see `initaudit.op`)."""
