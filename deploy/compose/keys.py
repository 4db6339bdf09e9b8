"""The key ceremony and the database passwords of a sandbox installation, once.

Runs before everything else, as root in an image of ours; afterwards each file belongs to the one
user who reads it, and each service's folder is a volume that only that service mounts.

    /keys                trust.jws, root-public-key.pem         every service
    /keys/<service>      keystore.json, passphrase, postgres-dsn  that service alone
    /keys/ceremony       the root's and the CSCA's stores       nobody who runs
    /keys/postgres       a password for each database's owner   the database server
    /keys/identity       empty: the identity provider's own key goes there
    /certificates        empty: the chip's certificates go there
    /demo                empty: what the citizens of profile demo take home goes there
"""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from epassport.ceremony import hold_ceremony
from epassport_contracts import ServiceName

KEYS, CERTIFICATES, DEMO = Path("/keys"), Path("/certificates"), Path("/demo")
SERVICE_USER = 10001


def main() -> None:
    if not (KEYS / "done").exists():
        _make()
        (KEYS / "done").touch()


def _make() -> None:
    hold_ceremony(KEYS, list(ServiceName), sandbox=True, at=datetime.now(UTC))
    passwords = KEYS / "postgres"
    for service in ServiceName:
        name = f"epassport_{service.replace('-', '_')}"
        password = secrets.token_urlsafe(24)
        (passwords / name).write_text(password)
        dsn = KEYS / service / "postgres-dsn"
        dsn.write_text(f"postgresql://{name}:{password}@postgres:5432/{name}")
        dsn.chmod(0o600)
    superuser = secrets.token_urlsafe(24)
    (passwords / "superuser").write_text(superuser)
    dsn = KEYS / "identity" / "postgres-dsn"
    dsn.write_text(f"postgresql://epassport:{superuser}@postgres:5432/postgres")
    for path in (KEYS, CERTIFICATES, DEMO):
        for folder, _, files in os.walk(path):
            for one in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(one, SERVICE_USER, SERVICE_USER)


if __name__ == "__main__":
    main()
