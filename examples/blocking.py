"""Use without async code: AnyIO's blocking portal. `python -m examples.blocking`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from anyio.from_thread import start_blocking_portal

import trtasync
from examples.digit_lines import decode, lines

MODEL = Path(__file__).parent / "models" / "digits_line.onnx"


def main() -> None:
    """Open an engine in a thread of its own, and call it from eight others."""
    wanted = lines(100)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(trtasync.open_engine(MODEL)) as engine,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = pool.map(lambda line: portal.call(engine.infer, line.image), wanted)
        texts = [decode(answer) for answer in answers]
    right = sum(text == line.text for text, line in zip(texts, wanted, strict=True))
    print(f"{right} of {len(wanted)} lines read without an error, e.g. {texts[0]}")


if __name__ == "__main__":
    main()
