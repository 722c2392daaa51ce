"""Tokens: logits -> the next token, one at a time or many rows at once."""
