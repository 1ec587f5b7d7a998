// Kirchhoff pre-stack time migration of a tile (WORKLOADS §2a): every contribution of a load of traces to every node. Lengths are in
// metres, times in samples of a trace. pstm.wgsl has the same entry points in the same order.
//
// The tile's sums are [x][y][time], of every STEP-th time. A group has TG_T times of TG_Y × TG_X pillars; neighbouring threads have
// neighbouring times, so they read neighbouring samples of a trace.
//
// Macros: STORAGE (32, 16, or 17 for bfloat16), TIMES, STEP, LAST_TIME, STRIDE, BEFORE, BEGIN, END, DX, DY, HALF_TIME, PER_SAMPLE, DT;
// LOOKUP (0 pillar, 1 nearest, 2 trilinear), CUBE_X/Y/T, STEP_X/Y/T; INTERPOLATION (0 nearest, 1 linear, 3 cubic, 8 sinc), SINC_STEPS;
// APERTURE (0 fixed, 1 by depth, 2 by dip), AMAX, AMIN, QUARTER_FROM, HALF_FROM, DIP_TANGENT, FLAT_SHARE; MUTE (0, 1 outer, 2 stretch),
// SLOW_MUTE, PER_RAMP, STRETCH; HAS_SPREADING, HAS_OBLIQUITY; ANTI_ALIAS (0, 1 weight, 2 triangle), GRID_DOMINANT, LEAST_SHARE, COARSE,
// LONGEST; IS_LOCAL, TRACE_BATCH, TG_X, TG_Y, TG_T.
#if STORAGE == 16
#include <cuda_fp16.h>
#endif
struct Info { unsigned origin_x, origin_y, size_x, size_y, traces, is_first, unused[2]; };
#if STORAGE == 32
typedef float Stored;
__device__ inline float widened(Stored v) { return v; }
#elif STORAGE == 16
typedef unsigned short Stored;
__device__ inline float widened(Stored v) { return __half2float(__ushort_as_half(v)); }
#else
typedef unsigned short Stored;
__device__ inline float widened(Stored v) { return __uint_as_float((unsigned)v << 16); }
#endif
// Every kernel has all of them. Each trace has STRIDE samples, of which the first BEFORE are zeros, and some after the last; geometry
// is sx, sy, rx, ry; velocities are one pillar, or a cube on a coarser grid; sinc has eight weights for each share of an interval.
#define ARGUMENTS                                                                                                                  \
    const Info *__restrict__ info, const Stored *__restrict__ traces, const float4 *__restrict__ geometry,                         \
        const float *__restrict__ velocities, float *__restrict__ image, unsigned *__restrict__ fold, const float *__restrict__ sinc
#define KERNEL extern "C" __global__ void __launch_bounds__(TG_X * TG_Y * TG_T)

__device__ inline float interpolated(const Stored *__restrict__ traces, const float *__restrict__ sinc, int trace, float q) {
#if INTERPOLATION == 0
    return widened(traces[trace + (int)floorf(q + 0.5f)]);
#else
    const float whole = floorf(q), f = q - whole;
    const int at = trace + (int)whole;
#if INTERPOLATION == 1
    const float low = widened(traces[at]);
    return fmaf(f, widened(traces[at + 1]) - low, low);
#elif INTERPOLATION == 3
    const float a = widened(traces[at - 1]), b = widened(traces[at]), c = widened(traces[at + 1]), d = widened(traces[at + 2]);
    const float two = a - 2.5f * b + 2.0f * c - 0.5f * d, three = 1.5f * (b - c) + 0.5f * (d - a);
    return fmaf(fmaf(fmaf(three, f, two), f, 0.5f * (c - a)), f, b);
#else
    const float place = f * SINC_STEPS;
    const int row = (int)place;
    const float rest = place - row;
    float sum = 0;
    for (int k = 0; k < 8; k++) {
        const float low = sinc[row * 8 + k];
        sum = fmaf(fmaf(rest, sinc[(row + 1) * 8 + k] - low, low), widened(traces[at + k - 3]), sum);
    }
    return sum;
#endif
#endif
}

__device__ inline unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }
// a + f·(b − a): a constant stays what it is.
__device__ inline float between(float a, float b, float f) { return a + f * (b - a); }

__device__ inline float velocity(const float *__restrict__ velocities, unsigned x, unsigned y, unsigned t) {
#if LOOKUP == 0
    return velocities[t];
#else
#define NODE(x, y, t) velocities[((x) * CUBE_Y + (y)) * CUBE_T + (t)]
#if LOOKUP == 1
    return NODE(least((x + STEP_X / 2) / STEP_X, CUBE_X - 1), least((y + STEP_Y / 2) / STEP_Y, CUBE_Y - 1),
                least((t + STEP_T / 2) / STEP_T, CUBE_T - 1));
#else
    const unsigned x0 = least(x / STEP_X, CUBE_X - 1), y0 = least(y / STEP_Y, CUBE_Y - 1), t0 = least(t / STEP_T, CUBE_T - 1);
    const unsigned x1 = least(x0 + 1, CUBE_X - 1), y1 = least(y0 + 1, CUBE_Y - 1), t1 = least(t0 + 1, CUBE_T - 1);
    const float fx = (float)(x - x0 * STEP_X) / STEP_X, fy = (float)(y - y0 * STEP_Y) / STEP_Y, ft = (float)(t - t0 * STEP_T) / STEP_T;
    const float a = between(NODE(x0, y0, t0), NODE(x0, y0, t1), ft), b = between(NODE(x0, y1, t0), NODE(x0, y1, t1), ft);
    const float c = between(NODE(x1, y0, t0), NODE(x1, y0, t1), ft), d = between(NODE(x1, y1, t0), NODE(x1, y1, t1), ft);
    return between(between(a, b, fy), between(c, d, fy), fx);
#endif
#endif
}

// What a node knows of its time.
struct Moment { unsigned it; float v, half, slowness; };

__device__ inline Moment moment(unsigned it, float v) {
    const float half = HALF_TIME * it;
    return {it, v, half * half, PER_SAMPLE / (v * v)};
}

__device__ inline float within(float v, float low, float high) { return fminf(fmaxf(v, low), high); }

// Whether the trace counts; its weighted amplitude is added.
__device__ inline bool contribution(ARGUMENTS, unsigned k, float x, float y, Moment now, float &sum) {
    const float4 g = geometry[k];
    const float sx = x - g.x, sy = y - g.y, rx = x - g.z, ry = y - g.w;
    const float mx = 0.5f * (sx + rx), my = 0.5f * (sy + ry);
    const float square = mx * mx + my * my;
#if APERTURE == 0
    const float radius = AMAX;
#elif APERTURE == 1
    const float radius = now.it < QUARTER_FROM ? AMAX * 0.5f : now.it < HALF_FROM ? AMAX * 0.75f : AMAX;
#else
    const float radius = within(now.v * HALF_TIME * DT * now.it * DIP_TANGENT, AMIN, AMAX);
#endif
    if (square > radius * radius) return false;
    const float flat = radius * FLAT_SHARE;
    float w = 1;
    if (square > flat * flat) w = 0.5f + 0.5f * cosf(3.14159265f * (sqrtf(square) - flat) / (radius - flat));
    const float ts = sqrtf(fmaf(sx * sx + sy * sy, now.slowness, now.half));
    const float tr = sqrtf(fmaf(rx * rx + ry * ry, now.slowness, now.half));
    const float total = ts + tr, q = total - BEGIN;
    if (q < 0 || q >= END) return false;
#if MUTE == 2
    if (total > STRETCH * 2.0f * sqrtf(now.half)) return false;
#elif MUTE == 1
    const float earliest = sqrtf((g.x - g.z) * (g.x - g.z) + (g.y - g.w) * (g.y - g.w)) * SLOW_MUTE;
    w *= within((total * DT - earliest) * PER_RAMP, 0, 1);
#endif
#if HAS_SPREADING
    w /= now.v * total * DT;
#endif
#if HAS_OBLIQUITY
    w *= 2.0f * sqrtf(now.half) / total;
#endif
    const int trace = (int)k * STRIDE + BEFORE;
#if ANTI_ALIAS == 1
    const float sine = fminf(fmaxf(fabsf(mx), fabsf(my)) / (now.v * total * DT), 1);
    if (sine >= 0.01f && total * DT >= 1e-3f) w *= fmaxf(0, 1.0f - fmaxf(sine * GRID_DOMINANT / now.v, LEAST_SHARE));
#endif
#if ANTI_ALIAS == 2
    const float is = 1.0f / fmaxf(ts, 1e-3f), ir = 1.0f / fmaxf(tr, 1e-3f);
    const float steep = fmaxf(fabsf(sx * is + rx * ir), fabsf(sy * is + ry * ir)) * now.slowness;
    const int wanted = (int)ceilf(steep * COARSE), n = wanted < LONGEST ? wanted : LONGEST;
    float amplitude = 0;
    for (int j = -n; j <= n; j++)
        amplitude = fmaf((float)(n + 1 - (j < 0 ? -j : j)) / (float)((n + 1) * (n + 1)), interpolated(traces, sinc, trace + j, q), amplitude);
#else
    const float amplitude = interpolated(traces, sinc, trace, q);
#endif
    sum += w * amplitude;
    return true;
}
#define PASSED info, traces, geometry, velocities, image, fold, sinc

// A node collects from every trace of the load.
KERNEL gather(ARGUMENTS) {
    const unsigned t = blockIdx.x * TG_T + threadIdx.x, py = blockIdx.y * TG_Y + threadIdx.y, px = blockIdx.z * TG_X + threadIdx.z;
    const unsigned it = least(t * STEP, LAST_TIME);
#if IS_LOCAL
    __shared__ float group_velocity[TG_T];
    if (threadIdx.y == 0 && threadIdx.z == 0) group_velocity[threadIdx.x] = velocities[it];
    __syncthreads();
    const float v = group_velocity[threadIdx.x];
#else
    const float v = velocity(velocities, info->origin_x + least(px, info->size_x - 1), info->origin_y + least(py, info->size_y - 1), it);
#endif
    if (t >= TIMES || py >= info->size_y || px >= info->size_x) return;
    const float x = (info->origin_x + px) * DX, y = (info->origin_y + py) * DY;
    const Moment now = moment(it, v);
    const unsigned place = (px * info->size_y + py) * TIMES + t;
    float sum = info->is_first ? 0.0f : image[place];
    unsigned count = info->is_first ? 0 : fold[place];
    const unsigned all = info->traces;
    for (unsigned k = 0; k < all; k += TRACE_BATCH) {
#pragma unroll
        for (unsigned i = 0; i < TRACE_BATCH; i++)
            if (k + i < all) count += contribution(PASSED, k + i, x, y, now, sum);
    }
    image[place] = sum;
    fold[place] = count;
}

KERNEL clear(ARGUMENTS) {
    const unsigned t = blockIdx.x * TG_T + threadIdx.x, py = blockIdx.y * TG_Y + threadIdx.y, px = blockIdx.z * TG_X + threadIdx.z;
    if (t >= TIMES || py >= info->size_y || px >= info->size_x) return;
    const unsigned place = (px * info->size_y + py) * TIMES + t;
    image[place] = 0;
    fold[place] = 0;
}

// A trace gives to every node of the tile: groups lie side by side along y, then x; z counts the traces.
KERNEL scatter(ARGUMENTS) {
    const unsigned across = (info->size_y + TG_Y - 1) / TG_Y;
    const unsigned t = blockIdx.x * TG_T + threadIdx.x;
    const unsigned py = blockIdx.y % across * TG_Y + threadIdx.y, px = blockIdx.y / across * TG_X + threadIdx.z;
    if (t >= TIMES || py >= info->size_y || px >= info->size_x || blockIdx.z >= info->traces) return;
    const unsigned it = least(t * STEP, LAST_TIME);
    const float x = (info->origin_x + px) * DX, y = (info->origin_y + py) * DY;
    const Moment now = moment(it, velocity(velocities, info->origin_x + px, info->origin_y + py, it));
    float value = 0;
    if (!contribution(PASSED, blockIdx.z, x, y, now, value)) return;
    const unsigned place = (px * info->size_y + py) * TIMES + t;
    atomicAdd(&fold[place], 1u);
    atomicAdd(&image[place], value);
}
