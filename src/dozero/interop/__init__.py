"""Out and in: a model folder for other programs, with proof that they compute the same, and theirs for us."""
