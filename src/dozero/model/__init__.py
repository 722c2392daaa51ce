"""Maths: the transformer, what it costs, and its folder in Hugging Face's layout."""
