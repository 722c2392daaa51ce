"""Learning: the one loop, its step, its optimizers, its checkpoints, as an iterator of events."""
