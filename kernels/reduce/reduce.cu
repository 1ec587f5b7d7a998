// Beamforming with virtual sources (WORKLOADS §4a), in four orders of reduction: a loop with a running total, or an array that is
// summed afterwards. Lengths and delays are in samples, phases in cycles. reduce.wgsl has the same entry points in the same order.
//
// A launch works on a chunk of the points. Its arrays are [transmit][receiver][point of the chunk], with the axes that they have.
// A group has POINTS points and SPLIT threads for each, which share the receivers among them.
//
// Macros: TRANSMITS, RECEIVERS, SAMPLES, CHUNK, CYCLES, START, LEFT_END, RIGHT_END, MIN_APERTURE, MARGIN; STORAGE (32, 16, or 17 for
// bfloat16), REDUCE (0 none, 1 rx, 2 tx, 3 both), ROUNDS, UNROLL, IS_ROLLED, PARTS, IS_FACTORED, IS_ACTIVE, IS_BUILTIN,
// HAS_TRANSMIT_TABLE, HAS_RECEIVE_TABLE, INTERPOLATION (0 nearest, 1 linear, 3 cubic), WAVEFRONT, WINDOW, HAS_APERTURE, TWICE_F_NUMBER,
// IS_COMPENSATED, POINTS, SPLIT, LOAD_ROW.
#if STORAGE == 16
#include <cuda_fp16.h>
#endif

/// What a launch has: points; transmits and receivers, from the first on; whether it begins a sum, and whether it ends the image's.
struct Box { unsigned first, count, t, transmits, r, receivers, begins, ends; };
struct Transmit {
    float source[3];
    // |v| and v/|v| with the sign of v's z.
    float norm;
    float direction[3];
    // What is taken off its delays.
    float offset;
    // Directions (x, z) of the lines through the focus from the left and the right end of the probe.
    float2 left, right, middle;
    // 1/cos of half the angle between the edges.
    float inverse_cosine, more;
};
struct Point { float x, y, z; };

// Every kernel has all of them. A side of a pair: delay; with phase=factored the phasor times the weight, else the phase in cycles;
// weight.
#define ARGUMENTS                                                                                                                  \
    const Box *__restrict__ box, const float4 *__restrict__ all_points, const float4 *__restrict__ receivers,                      \
        const Transmit *__restrict__ transmits, const float2 *__restrict__ raw, unsigned *__restrict__ signals,                    \
        float4 *__restrict__ transmit_table, float4 *__restrict__ receive_table, float2 *__restrict__ parts,                       \
        float2 *__restrict__ image
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)

/// What the loops read.
struct Inputs {
    const float4 *__restrict__ receivers;
    const Transmit *__restrict__ transmits;
    const float2 *__restrict__ raw;
    const unsigned *__restrict__ signals;
    const float4 *__restrict__ transmit_table, *__restrict__ receive_table;
};
#define INPUTS const Inputs in = {receivers, transmits, raw, signals, transmit_table, receive_table}

__device__ inline float2 times(float2 a, float2 b) {
    return make_float2(fmaf(a.x, b.x, -(a.y * b.y)), fmaf(a.x, b.y, a.y * b.x));
}
__device__ inline float2 plus(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }
__device__ inline float2 scaled(float2 z, float by) { return make_float2(z.x * by, z.y * by); }

#if STORAGE == 17
// To the nearest, ties to even.
__device__ inline unsigned upper(float v) {
    const unsigned bits = __float_as_uint(v);
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
__device__ inline unsigned pack(float2 z) { return upper(z.x) | upper(z.y) << 16; }
#elif STORAGE == 16
__device__ inline unsigned pack(float2 z) {
    return __half_as_ushort(__float2half_rn(z.x)) | (unsigned)__half_as_ushort(__float2half_rn(z.y)) << 16;
}
#endif

__device__ inline float2 sample(const Inputs &in, unsigned at) {
#if STORAGE == 32
    return in.raw[at];
#elif STORAGE == 16
    const unsigned pair = in.signals[at];
    return make_float2(__half2float(__ushort_as_half(pair & 0xffff)), __half2float(__ushort_as_half(pair >> 16)));
#else
    const unsigned pair = in.signals[at];
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
#endif
}

/// exp(j2π·u) for |u| ≤ ½.
__device__ inline float2 phasor(float u) {
#if IS_BUILTIN
    float2 z;
    __sincosf(6.2831853f * u, &z.y, &z.x);
    return z;
#else
    // Taylor's series around the nearest half, |2πv| ≤ π/2; an odd half turns the sign.
    const float halves = rintf(2 * u), v = u - 0.5f * halves, q = v * v, turn = 1 - 2 * fabsf(halves);
    const float cosine = fmaf(fmaf(fmaf(fmaf(fmaf(fmaf(7.903536f, q, -26.426256f), q, 60.244641f), q, -85.456817f), q, 64.939394f), q,
                                   -19.739209f), q, 1.0f);
    const float sine = fmaf(fmaf(fmaf(fmaf(fmaf(fmaf(3.8199526f, q, -15.094643f), q, 42.058694f), q, -76.70586f), q, 81.605249f), q,
                                 -41.341702f), q, 6.2831853f);
    return make_float2(turn * cosine, turn * v * sine);
#endif
}

__device__ inline float4 side(float length, float weight, float start) {
    const float cycles = length * (float)(CYCLES), u = cycles - rintf(cycles);
#if IS_FACTORED
    const float2 z = phasor(u);
    return make_float4(length - start, weight * z.x, weight * z.y, weight);
#else
    return make_float4(length - start, u, 0, weight);
#endif
}

/// The window of the transmit aperture at `u`, 0 in its middle and ½ at its ends.
__device__ inline float window(float u) {
#if WINDOW == 1
    return 0.5f + 0.5f * cosf(6.2831853f * u);
#elif WINDOW == 2
    return 0.54f + 0.46f * cosf(6.2831853f * u);
#elif WINDOW == 3
    return 0.5f + 0.5f * cosf(12.566371f * fmaxf(u - 0.25f, 0));
#elif WINDOW == 4
    return 1 - 2 * u;
#else
    return 1;
#endif
}

/// Signed distances from the left, the right and the mid line of a transmit.
__device__ inline Point lines(const Transmit &of, Point p) {
    return {(p.x - (float)(LEFT_END)) * of.left.y - p.z * of.left.x, (p.x - (float)(RIGHT_END)) * of.right.y - p.z * of.right.x,
            (p.x - of.source[0]) * of.middle.y - (p.z - of.source[2]) * of.middle.x};
}

__device__ inline float transmit_weight(const Transmit &of, Point p) {
    const Point d = lines(of, p);
    if (d.x * d.y > 0 && fabsf(d.z) >= (float)(MIN_APERTURE)) return 0;
#if WINDOW == 0
    return 1;
#else
    return window(fabsf(fabsf(d.x) / (fabsf(d.x) + fabsf(d.y)) - 0.5f));
#endif
}

/// d_tx of a point.
__device__ inline float transmit_length(const Transmit &of, Point p) {
    const float x = p.x - of.source[0], y = p.y - of.source[1], z = p.z - of.source[2];
    const float far = sqrtf(fmaf(x, x, fmaf(y, y, z * z)));
    const float spherical = of.norm + (z > 0 ? far : z < 0 ? -far : 0);
#if WAVEFRONT == 0
    return spherical;
#else
    const float plane = p.x * of.direction[0] + p.y * of.direction[1] + p.z * of.direction[2];
#if WAVEFRONT == 1
    return plane;
#elif WAVEFRONT == 2
    return fabsf(z) < (float)(MARGIN) ? plane : spherical;
#elif WAVEFRONT == 3
    return plane + fminf(fabsf(z) / (float)(MARGIN), 1) * (spherical - plane);
#else
    const Point d = lines(of, p);
    const float along = x * of.middle.x + z * of.middle.y;
    return d.x * d.y > 0 ? of.norm + along * of.inverse_cosine : spherical;
#endif
#endif
}

__device__ inline float4 transmit_of(const Transmit *transmits, unsigned t, Point p) {
    const Transmit &of = transmits[t];
    return side(transmit_length(of, p) - of.offset, transmit_weight(of, p), (float)(START));
}

__device__ inline float4 receive_of(const float4 *receivers, unsigned r, Point p) {
    const float4 e = receivers[r];
    const float x = p.x - e.x, y = p.y - e.y, z = p.z - e.z;
#if HAS_APERTURE
    const float weight = fabsf(x) <= p.z / (float)(TWICE_F_NUMBER) ? 1 : 0;
#else
    const float weight = 1;
#endif
    return side(sqrtf(fmaf(x, x, fmaf(y, y, z * z))), weight, 0);
}

__device__ inline Point point(const float4 *all_points, unsigned n) {
    const float4 p = all_points[n];
    return {p.x, p.y, p.z};
}

/// Signals in half precision.
KERNEL(256) load(ARGUMENTS) {
#if STORAGE != 32
    const unsigned column = blockIdx.x * 256 + threadIdx.x, i = blockIdx.y * LOAD_ROW + column;
    if (column >= LOAD_ROW || i >= TRANSMITS * RECEIVERS * SAMPLES) return;
    signals[i] = pack(raw[i]);
#endif
}

#define POINT_OF_CHUNK const unsigned n = blockIdx.x * POINTS + threadIdx.x; if (n >= box->count) return

KERNEL(POINTS) transmit_sides(ARGUMENTS) {
    POINT_OF_CHUNK;
    transmit_table[blockIdx.y * CHUNK + n] = transmit_of(transmits, blockIdx.y, point(all_points, box->first + n));
}

KERNEL(POINTS) receive_sides(ARGUMENTS) {
    POINT_OF_CHUNK;
    receive_table[blockIdx.y * CHUNK + n] = receive_of(receivers, blockIdx.y, point(all_points, box->first + n));
}

__device__ inline float4 transmit_side(const Inputs &in, unsigned t, unsigned n, Point p) {
#if HAS_TRANSMIT_TABLE
    return in.transmit_table[t * CHUNK + n];
#else
    return transmit_of(in.transmits, t, p);
#endif
}

__device__ inline float4 receive_side(const Inputs &in, unsigned r, unsigned n, Point p) {
#if HAS_RECEIVE_TABLE
    return in.receive_table[r * CHUNK + n];
#else
    return receive_of(in.receivers, r, p);
#endif
}

/// The trace of a pair at a delay of 0 ≤ q ≤ SAMPLES − 1, else 0.
__device__ inline float2 interpolated(const Inputs &in, unsigned t, unsigned r, float q) {
    // What is read outside is not used: no branch in the loop.
    const float inside = fminf(fmaxf(q, 0), SAMPLES - 1);
    const unsigned whole = min((unsigned)inside, SAMPLES - 2u), at = (t * RECEIVERS + r) * SAMPLES + whole;
    const float a = inside - (float)whole;
    const float2 now = sample(in, at), next = sample(in, at + 1);
#if INTERPOLATION == 0
    const float2 z = a >= 0.5f ? next : now;
#elif INTERPOLATION == 3
    // Beyond the record there is silence.
    const float2 before = whole > 0 ? sample(in, at - 1) : make_float2(0, 0);
    const float2 after = whole + 2 < SAMPLES ? sample(in, at + 2) : make_float2(0, 0);
    const float2 z = plus(plus(scaled(before, -a * (a - 1) * (a - 2) / 6), scaled(now, (a + 1) * (a - 1) * (a - 2) / 2)),
                          plus(scaled(next, -(a + 1) * a * (a - 2) / 2), scaled(after, (a + 1) * a * (a - 1) / 6)));
#else
    const float2 z = make_float2(fmaf(next.x - now.x, a, now.x), fmaf(next.y - now.y, a, now.y));
#endif
    return q == inside ? z : make_float2(0, 0);
}

/// The weighted term of a pair. With phase=factored the phase and the weight of the side that has its own loop are left out.
__device__ inline float2 term(const Inputs &in, unsigned t, unsigned r, float4 transmit, float4 receive) {
    const float2 z = interpolated(in, t, r, transmit.x + receive.x);
#if IS_FACTORED && REDUCE == 2
    return times(z, make_float2(transmit.y, transmit.z));
#elif IS_FACTORED
    return times(z, make_float2(receive.y, receive.z));
#else
    const float cycles = transmit.y + receive.y;
    return times(z, scaled(phasor(cycles - rintf(cycles)), transmit.w * receive.w));
#endif
}

/// A round of the loop that UNROLL is about.
__device__ inline float2
next_total(const Inputs &in, float2 total, unsigned k, unsigned t, unsigned r, unsigned n, Point p, float4 other) {
#if REDUCE == 2
    const float4 transmit = transmit_side(in, t + k, n, p);
    if (IS_ACTIVE && transmit.w == 0) return total;
    return plus(total, term(in, t + k, r, transmit, other));
#else
    return plus(total, term(in, t, r + k * SPLIT, other, receive_side(in, r + k * SPLIT, n, p)));
#endif
}

/// All rounds: the first, then UNROLL at a time, then what remains.
__device__ inline float2 rounds(const Inputs &in, unsigned t, unsigned r, unsigned n, Point p, float4 other) {
    float2 total = next_total(in, make_float2(0, 0), 0, t, r, n, p, other);
#if UNROLL >= ROUNDS
#pragma unroll
    for (unsigned k = 1; k < ROUNDS; k++) total = next_total(in, total, k, t, r, n, p, other);
#else
    unsigned k = 1;
#pragma unroll 1
    for (unsigned i = 0; i < (ROUNDS - 1) / UNROLL; i++) {
#pragma unroll
        for (unsigned u = 0; u < UNROLL; u++) total = next_total(in, total, k + u, t, r, n, p, other);
        k += UNROLL;
    }
#if IS_ROLLED
#pragma unroll 1
#else
#pragma unroll
#endif
    for (unsigned u = 0; u < (ROUNDS - 1) % UNROLL; u++) total = next_total(in, total, k + u, t, r, n, p, other);
#endif
    return total;
}

/// Divided by the weights of the transmits, where that is asked for.
__device__ inline float2 compensated(const Inputs &in, float2 z, unsigned n, Point p) {
#if IS_COMPENSATED
    float sum = 0;
    for (unsigned t = 0; t < TRANSMITS; t++) sum += transmit_side(in, t, n, p).w;
    if (sum > 0) return make_float2(z.x / sum, z.y / sum);
#endif
    return z;
}

/// A part of a sum, after those of the launches before.
__device__ inline void put(const Box *box, float2 *part, float2 z) { *part = box->begins ? z : plus(*part, z); }

/// The loops: a thread has a point, and with reduce=rx a transmit, with tx a receiver, with none both.
KERNEL(POINTS *SPLIT) loops(ARGUMENTS) {
    INPUTS;
    const unsigned local = threadIdx.x, share = local / POINTS, at = blockIdx.x * POINTS + local % POINTS;
    // Threads beyond the chunk work too, since all must meet at the barriers, and do not write.
    const unsigned n = min(at, box->count - 1);
    const Point p = point(all_points, box->first + n);
    float2 z = make_float2(0, 0);
#if REDUCE == 0
    const float4 transmit = transmit_side(in, blockIdx.y, n, p);
    if (!IS_ACTIVE || transmit.w != 0) {
        z = term(in, blockIdx.y, blockIdx.z, transmit, receive_side(in, blockIdx.z, n, p));
        if (IS_FACTORED) z = times(z, make_float2(transmit.y, transmit.z));
    }
    if (at < box->count) parts[(size_t)(blockIdx.y * RECEIVERS + blockIdx.z) * CHUNK + at] = z;
#elif REDUCE == 1
    const unsigned t = box->t + blockIdx.y;
    const float4 transmit = transmit_side(in, t, n, p);
    if (!IS_ACTIVE || transmit.w != 0) {
        z = rounds(in, t, box->r, n, p, transmit);
        if (IS_FACTORED) z = times(z, make_float2(transmit.y, transmit.z));
    }
    if (at < box->count) put(box, parts + (size_t)t * CHUNK + at, z);
#elif REDUCE == 2
    const unsigned r = box->r + blockIdx.y;
    const float4 receive = receive_side(in, r, n, p);
    z = rounds(in, box->t, r, n, p, receive);
    if (IS_FACTORED) z = times(z, make_float2(receive.y, receive.z));
    if (at < box->count) put(box, parts + (size_t)r * CHUNK + at, z);
#else
    for (unsigned t = box->t; t < box->t + box->transmits; t++) {
        const float4 transmit = transmit_side(in, t, n, p);
        if (IS_ACTIVE && transmit.w == 0) continue;
        const float2 sum = rounds(in, t, box->r + share, n, p, transmit);
        z = plus(z, IS_FACTORED ? times(sum, make_float2(transmit.y, transmit.z)) : sum);
    }
#if SPLIT > 1
    __shared__ float2 shares[POINTS * SPLIT];
    shares[local] = z;
    __syncthreads();
    if (share == 0)
        for (unsigned i = 1; i < SPLIT; i++) z = plus(z, shares[i * POINTS + local]);
#endif
    if (share == 0 && at < box->count) {
        if (!box->begins) z = plus(z, image[box->first + at]);
        image[box->first + at] = box->ends ? compensated(in, z, n, p) : z;
    }
#endif
}

/// The sums over what the loops left.
KERNEL(POINTS) sums(ARGUMENTS) {
    INPUTS;
    POINT_OF_CHUNK;
    float2 z = make_float2(0, 0);
    for (unsigned i = 0; i < PARTS; i++) z = plus(z, parts[(size_t)i * CHUNK + n]);
    image[box->first + n] = compensated(in, z, n, point(all_points, box->first + n));
}
