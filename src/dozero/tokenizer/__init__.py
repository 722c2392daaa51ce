"""Ids: text -> tokens and back, losing nothing."""
