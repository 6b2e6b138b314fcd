"""What every test stands on."""

from hypothesis import HealthCheck, settings

# Two slow cores share the machine with a browser: how long a draw takes says nothing about the code.
settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# As long as it takes: `make soak`.
settings.register_profile("soak", settings.get_profile("here"), max_examples=4000, stateful_step_count=40)
settings.load_profile("here")
