REPEAT_LEASE = "repeat "
