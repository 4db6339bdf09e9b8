"""What biometrics reads from its environment beside the settings of every service."""

from pathlib import Path

from pydantic import Field

from biometrics.engine.process import WorkerSettings
from epassport.settings import Settings


class BiometricsSettings(Settings):
    engine_libs: Path = Field(description="folder of SourceAFIS and the jars it needs")
    engine_classes: Path = Field(description="folder of the engine's compiled classes")
    engine_heap_mb: int = Field(
        default=1024, ge=64, le=65536, description="of one engine; 17 kB for each reference"
    )

    def worker(self) -> WorkerSettings:
        return WorkerSettings(self.engine_libs, self.engine_classes, heap=f"{self.engine_heap_mb}m")
