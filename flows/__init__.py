"""When things happen: Prefect flows."""
