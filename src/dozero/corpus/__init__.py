"""Text: any source -> documents, each kept or dropped with a reason."""
