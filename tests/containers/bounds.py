"""What an image of ours may weigh, and how soon its service has to be ready."""

from epassport_contracts import ServiceName

MEGABYTE = 1_000_000
LARGEST_MEGABYTES = dict.fromkeys(ServiceName, 220) | {ServiceName.BIOMETRICS: 450}

READY_SECONDS = 5.0
"""After Kafka and PostgreSQL are there, on a machine that does nothing else."""
