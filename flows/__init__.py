"""When things happen: Prefect flows. No telemetry, whoever imports them."""

from tasks.environment import keep_quiet

keep_quiet()
