"""Text: a probabilistic grammar of short stories and dialogues in Portuguese and English, with its exact entropy."""
