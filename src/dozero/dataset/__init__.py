"""Batches: documents -> token shards -> rows of one length, in an order that follows from (seed, step)."""
