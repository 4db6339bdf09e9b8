"""What biometrics reads from its environment beside the settings of every service."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, FilePath, model_validator

from biometrics.engine.process import WorkerSettings
from biometrics.record_commands import Shard
from epassport.settings import Settings


class BiometricsSettings(Settings):
    engine: Literal["sourceafis", "mosip-abis", "expectations"] = Field(
        default="sourceafis",
        description="who searches; `mosip-abis` a vendor's, which `sourceafis` extracts for;"
        " `expectations` does what a test told it, in the sandbox profile only",
    )
    engine_libs: Path = Field(description="folder of SourceAFIS and the jars it needs")
    engine_classes: Path = Field(description="folder of the engine's compiled classes")
    engine_heap_mb: int = Field(
        default=1024, ge=64, le=65536, description="of one engine; 17 kB for each finger"
    )
    engine_shards: int = Field(
        default=1,
        ge=1,
        le=64,
        description="parts of the gallery, the same in every process; each needs `work` processes"
        " that hold it. Change it when no search waits",
    )
    engine_shard: int | None = Field(
        default=None,
        ge=0,
        description="the part that a `work` process holds, from 0; none where there are several"
        " parts: it searches nothing",
    )
    engine_search: Literal["exhaustive", "filtered"] = Field(
        default="exhaustive",
        description="`filtered`: only the likeliest 1 % are compared; its model was trained on"
        " generated fingers, so production needs its own",
    )
    engine_expectations: Path | None = Field(
        default=None, description="JSON file of what `expectations` shall do, read at each call"
    )
    abis_url: str | None = Field(default=None, description="where `mosip-abis` answers")
    abis_certificate: FilePath | None = Field(
        default=None, description="PEM of the certificate that `mosip-abis` decrypts with"
    )
    abis_share_host: str = Field(
        default="127.0.0.1", description="address under which `mosip-abis` fetches records from us"
    )
    abis_share_port: int = Field(default=0, ge=0, le=65535, description="its port; 0: any")
    quality_gate: Literal["own", "nfiq2-if-there"] = Field(
        default="nfiq2-if-there",
        description="NIST NFIQ 2 behind the own gate where `nbis-python` is installed and loads;"
        " 0.2 s of a core for each picture",
    )
    fingers_required: int = Field(
        default=1, ge=1, le=10, description="captured or stated as missing, at least one captured"
    )

    @model_validator(mode="after")
    def _engine_fits(self) -> Self:
        if self.engine == "expectations" and self.profile != "sandbox":
            raise ValueError("engine `expectations` compares no fingers: sandbox profile only")
        if self.engine == "mosip-abis" and not (self.abis_url and self.abis_certificate):
            raise ValueError("engine `mosip-abis` needs abis_url and abis_certificate")
        if self.engine == "mosip-abis" and self.engine_shards > 1:
            raise ValueError("engine `mosip-abis` has its own shards: engine_shards must be 1")
        if self.engine_shard is not None and self.engine_shard >= self.engine_shards:
            raise ValueError("engine_shard counts from 0 to engine_shards - 1")
        return self

    @property
    def searches(self) -> bool:
        """Whether a `work` process of these settings searches at all."""
        return self.engine_shards == 1 or self.engine_shard is not None

    def shard(self) -> Shard:
        return Shard(self.engine_shard or 0, self.engine_shards)

    def worker(self) -> WorkerSettings:
        return WorkerSettings(self.engine_libs, self.engine_classes, heap=f"{self.engine_heap_mb}m")
