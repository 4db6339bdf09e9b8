"""What card-personalization reads from its environment beside the settings of every service."""

from pydantic import Field, FilePath

from card_personalization.faces import PREVIEW_DPI, PRINTER_DPI
from epassport.settings import Settings


class CardSettings(Settings):
    """Certificates and list are written by `python -m card_personalization.certificates`."""

    csca_certificate_file: FilePath
    csca_crl_file: FilePath = Field(
        description="the CSCA's revocation list; the newest is read for every chip"
    )
    document_signer_certificate_file: FilePath
    print_resolution: int = Field(
        default=PREVIEW_DPI,
        ge=PREVIEW_DPI,
        le=PRINTER_DPI,
        multiple_of=PREVIEW_DPI,
        description="dots per inch of the printed faces, 300 or 600",
    )
