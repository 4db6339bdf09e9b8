"""`python -m <package> rebuild NAME`, carried out: one line for each table that was compared."""

import sys
from collections.abc import Iterable, Sequence

import structlog

from epassport.beside import Comparison
from epassport.errors import EndsProcess, NotThere, Unsafe
from epassport.progress import ShownProgress
from epassport.readmodel import ReadModel
from epassport.rebuild import Different, Source, drop_kept, rebuild, return_to_kept
from epassport.rebuild_arguments import RebuildWanted

log = structlog.get_logger(__name__)


async def carry_out(wanted: RebuildWanted, models: Iterable[ReadModel], source: Source) -> None:
    """Raises EndsProcess with one line where it did not come to its end."""
    known = {model.name: model for model in models}
    model = known.get(wanted.model)
    if model is None:
        raise Unsafe(f"no read model {wanted.model}; there are {', '.join(known)}")
    progress = ShownProgress(model.reader)
    try:
        if wanted.drop:
            await drop_kept(model, source)
        elif wanted.back and wanted.order is not None:
            _say(await return_to_kept(model, source, progress, wanted.order))
        else:
            _say(await rebuild(model, source, progress, accept=wanted.order))
    except Different as different:
        _say(different.found)
        raise
    except NotThere as missing:
        raise EndsProcess(str(missing)) from None
    log.info("rebuilt", model=model.reader, events=progress.done)


def _say(found: Sequence[Comparison]) -> None:
    for one in found:
        sys.stdout.write(f"{one.line()}\n")
    sys.stdout.flush()
