"""The edge: files, Prefect tasks, MLflow, DVC. No mathematics is done here."""
