"""deploy/k8s rendered once a run by the kustomize that tools/kustomize pins."""

from pathlib import Path

import pytest

from tests.conformance.environments import go_binary
from tests.deployment.rendered import OVERLAYS, REPOSITORY, Object, render


@pytest.fixture(scope="session")
def kustomize() -> Path:
    module = REPOSITORY / "tools" / "kustomize"
    return go_binary(module, "sigs.k8s.io/kustomize/kustomize/v5", "kustomize")


@pytest.fixture(scope="session", params=OVERLAYS)
def objects(request: pytest.FixtureRequest, kustomize: Path) -> list[Object]:
    return render(kustomize, request.param)
