"""Order: which stages are out of date, and running them; what `run`, `hello` and the studio call."""
