"""Two pictures, compared as an eye would: small differences of rendering are none."""

from __future__ import annotations

import base64
import io

#: The side, in pixels, that pictures are brought to before they are compared.
SIDE = 64
#: The mean difference of two pixels, of 255, from which on pictures differ.
ENOUGH = 6.0


def distance(left: str, right: str) -> float | None:
    """Mean difference of the two base64 PNG or JPEG, 0 to 255; infinite for other proportions; None without Pillow."""
    try:
        from PIL import Image, ImageChops, ImageStat
    except ImportError:
        return None
    first, second = (Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA") for text in (left, right))
    if abs(first.width / first.height - second.width / second.height) > 0.02:
        return float("inf")
    small = [image.resize((SIDE, SIDE), Image.Resampling.BOX) for image in (first, second)]
    means = ImageStat.Stat(ImageChops.difference(*small)).mean
    return float(max(means))
