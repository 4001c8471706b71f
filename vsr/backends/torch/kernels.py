"""Triton kernels for steps in which torch passes over memory several times: a convolution with its bias and activation, and the
rounding of a network's results to codes.

Features are [N, H, W, C], channels beside each other, in half precision; planes are [N, C, H, W] in float32. All sums are
float32. Each program makes what lies beside each other in a row or two of one picture: `program_id` is (column, row, picture).
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _put(
    sums,
    bias,
    slope,
    out,
    picture,
    row,
    column,
    height,
    width,
    CO: tl.constexpr,
    FIRST: tl.constexpr,
    NO: tl.constexpr,
    ACTIVE: tl.constexpr,
    PLANES: tl.constexpr,
):
    """Sums [columns, NO] of the channels from FIRST on with bias, and PReLU where ACTIVE, into one row."""
    channel = FIRST + tl.arange(0, NO)
    there = channel < CO
    value = sums + tl.load(bias + channel, mask=there, other=0.0)[None, :]
    if ACTIVE:
        value = tl.where(value > 0, value, value * tl.load(slope + channel, mask=there, other=0.0)[None, :])
    if PLANES:
        start = out + (picture * CO * height + row) * width
        place = channel[None, :].to(tl.int64) * height * width + column[:, None]
    else:
        start = out + (picture * height + row) * width * CO
        place = column[:, None] * CO + channel[None, :]
    inside = (row < height) & (column < width)[:, None] & there[None, :]
    tl.store(start + place, value.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _rows(place, FROM: tl.constexpr, K: tl.constexpr, line, row, height, known):
    """The K channels from FROM on of four rows, the second of which is `row`: [columns, K] each."""
    at = place + (FROM + tl.arange(0, K))[None, :]
    a = tl.load(at, mask=known & (row > 0), other=0.0)
    b = tl.load(at + line, mask=known, other=0.0)
    c = tl.load(at + 2 * line, mask=known & (row + 1 < height), other=0.0)
    d = tl.load(at + 3 * line, mask=known & (row + 2 < height), other=0.0)
    return a, b, c, d


@triton.jit
def _six(
    upper,
    lower,
    a,
    b,
    c,
    d,
    tap,
    FROM: tl.constexpr,
    K: tl.constexpr,
    FIRST: tl.constexpr,
    N: tl.constexpr,
    CI: tl.constexpr,
    CO: tl.constexpr,
):
    """Sums of two rows with a column of taps added: K channels from FROM on into N from FIRST on."""
    co = FIRST + tl.arange(0, N)[None, :]
    at, there = tap + (FROM + tl.arange(0, K))[:, None] * CO + co, co < CO
    first = tl.load(at, mask=there, other=0.0)
    second = tl.load(at + 3 * CI * CO, mask=there, other=0.0)
    third = tl.load(at + 6 * CI * CO, mask=there, other=0.0)
    upper = tl.dot(a, first, upper)
    lower = tl.dot(b, first, lower)
    upper = tl.dot(b, second, upper)
    lower = tl.dot(c, second, lower)
    upper = tl.dot(c, third, upper)
    lower = tl.dot(d, third, lower)
    return upper, lower


@triton.jit(do_not_specialize=["height", "width"])
def convolve(
    features,
    taps,
    bias,
    slope,
    out,
    height,
    width,
    CI: tl.constexpr,
    CO: tl.constexpr,
    KI: tl.constexpr,
    KR: tl.constexpr,
    NO: tl.constexpr,
    NR: tl.constexpr,
    COLUMNS: tl.constexpr,
    ACTIVE: tl.constexpr,
    PLANES: tl.constexpr,
):
    """3x3 over CI channels, zeros around. taps: [9, CI, CO]. CI is KI + KR, and CO at most NO + NR: each a power of two, 16 or
    more, the second of each pair smaller, or 0.

    Two rows at once: of the four they are made from, two are needed by both, and are read once.
    """
    picture, row = tl.program_id(2).to(tl.int64), tl.program_id(1).to(tl.int64) * 2
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    line = width * CI
    above = features + (picture * height + row - 1) * line
    upper, lower = tl.zeros((COLUMNS, NO), tl.float32), tl.zeros((COLUMNS, NO), tl.float32)
    if NR:
        upper_rest, lower_rest = tl.zeros((COLUMNS, NR), tl.float32), tl.zeros((COLUMNS, NR), tl.float32)
    for dx in tl.range(0, 3, num_stages=2):
        at = column + dx - 1
        known = ((at >= 0) & (at < width))[:, None]
        place, tap = above + at[:, None] * CI, taps + dx * CI * CO
        a, b, c, d = _rows(place, 0, KI, line, row, height, known)
        upper, lower = _six(upper, lower, a, b, c, d, tap, 0, KI, 0, NO, CI, CO)
        if NR:
            upper_rest, lower_rest = _six(upper_rest, lower_rest, a, b, c, d, tap, 0, KI, NO, NR, CI, CO)
        if KR:
            a, b, c, d = _rows(place, KI, KR, line, row, height, known)
            upper, lower = _six(upper, lower, a, b, c, d, tap, KI, KR, 0, NO, CI, CO)
            if NR:
                upper_rest, lower_rest = _six(upper_rest, lower_rest, a, b, c, d, tap, KI, KR, NO, NR, CI, CO)
    _put(upper, bias, slope, out, picture, row, column, height, width, CO, 0, NO, ACTIVE, PLANES)
    _put(lower, bias, slope, out, picture, row + 1, column, height, width, CO, 0, NO, ACTIVE, PLANES)
    if NR:
        _put(upper_rest, bias, slope, out, picture, row, column, height, width, CO, NO, NR, ACTIVE, PLANES)
        _put(
            lower_rest, bias, slope, out, picture, row + 1, column, height, width, CO, NO, NR, ACTIVE, PLANES
        )


@triton.jit(do_not_specialize=["height", "width"])
def spread(
    plane,
    taps,
    bias,
    slope,
    out,
    height,
    width,
    SIDE: tl.constexpr,
    PAD: tl.constexpr,
    CO: tl.constexpr,
    NO: tl.constexpr,
    COLUMNS: tl.constexpr,
    ACTIVE: tl.constexpr,
    PLANES: tl.constexpr,
):
    """SIDE x SIDE over one plane, float32, with PAD zeros on each side: height x width are of the result.
    taps: [SIDE * SIDE, CO], float32."""
    picture, row = tl.program_id(2).to(tl.int64), tl.program_id(1).to(tl.int64)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    co = tl.arange(0, NO)
    rows, columns = height + (SIDE - 1 - 2 * PAD), width + (SIDE - 1 - 2 * PAD)
    sums = tl.zeros((COLUMNS, NO), tl.float32)
    for tap in tl.static_range(SIDE * SIDE):
        y, x = row + tap // SIDE - PAD, column + tap % SIDE - PAD
        inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        sample = tl.load(plane + (picture * rows + y) * columns + x, mask=inside, other=0.0)
        sums += sample[:, None] * tl.load(taps + tap * CO + co, mask=co < CO, other=0.0)[None, :]
    _put(sums, bias, slope, out, picture, row, column, height, width, CO, 0, NO, ACTIVE, PLANES)


@triton.jit(do_not_specialize=["height", "width"])
def interleave(
    planes,
    half,
    least,
    most,
    out,
    height,
    width,
    SCALE: tl.constexpr,
    SIDE: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """SCALE x SCALE planes of height x width into one, rounded (half is added, the fraction dropped) and kept within least
    and most. SIDE: SCALE up to a power of two. One program: one row of the result."""
    picture, row = tl.program_id(2).to(tl.int64), tl.program_id(1).to(tl.int64)
    x = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[:, None]
    part = tl.arange(0, SIDE)[None, :]
    inside = (x < width) & (part < SCALE)
    plane = picture * SCALE * SCALE + row % SCALE * SCALE + part
    value = tl.load(planes + (plane * height + row // SCALE) * width + x, mask=inside, other=0.0)
    value = tl.floor(value + tl.load(half))
    value = tl.minimum(tl.maximum(value, tl.load(least)), tl.load(most))
    start = out + (picture * height * SCALE + row) * width * SCALE
    tl.store(start + (x * SCALE + part), value.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["size"])
def count_not_finite(values, out, size, BLOCK: tl.constexpr):
    """Adds to `out` how many of `size` values are infinite or not a number."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(values + place, mask=place < size, other=0.0).to(tl.float32)
    tl.atomic_add(out, tl.sum((value - value != 0).to(tl.float32)))
