"""Drawn portraits: reproducible head-and-shoulders pictures in passport framing.

Nobody real is shown. A seed fixes the person, sex and age fix the traits that depend on them.
"""

from epassport_sandbox.portraits.drawing import HEIGHT, WIDTH, draw_portrait

__all__ = ["HEIGHT", "WIDTH", "draw_portrait"]
