"""The verbs behind every write to FortiFlex: check, plan, send, settle."""
