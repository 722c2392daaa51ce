"""Numbers: how well a model predicts held-out text, against counted baselines, and how new its samples are."""
