// Volumetric ultrasound beamformer (WORKLOADS §1a): delay, interpolate, rotate and sum over the elements of an array.
// Lengths and delays are in samples, phases in carrier cycles. beamform3d.wgsl has the same entry points in the same order.
//
// A launch works on a box of the grid: points n = (x·size.y + y)·size.z + z of the box. The arrays of the staged form are
// [element][point of the box]. A group of the fused form has POINTS points, GROUP_Z of them along z, the rest as square as can
// be along x and y, and SPLIT threads for each, which share the elements among them; a thread has DEPTHS points along z.
//
// Macros: HAS_F16, HAS_BF16 (STORAGE: 32, 16, or 17 for bfloat16), DELAY_TYPE, NUMBER_TYPE, SUM_TYPE; NX, NY, NZ, PADDED, ELEMENTS,
// SAMPLES, CYCLES, START, LATE, SCALE, PLANE, COMMON_DELAY, TURN, COSINE, SINE; IS_FACTORED, IS_RECURRENCE, IS_BUILTIN,
// IS_ELEMENT_SAMPLE, IS_NEAREST_FIRST, INTERPOLATION (0 nearest, 1 linear, 3 cubic), TWICE_F_NUMBER, HAS_APERTURE; ELEMENT_MEMORY (0 global,
// 1 shared, 2 constant), IS_STORED, TAKES_OUT; POINTS, SPLIT, DEPTHS, GROUP_X, GROUP_Y, GROUP_Z, UNROLL, BATCH.
#if HAS_F16
#include <cuda_fp16.h>
#endif
#if HAS_BF16
#include <cuda_bf16.h>
#endif
typedef DELAY_TYPE Delay;
typedef NUMBER_TYPE Number;
typedef SUM_TYPE Sum;

struct Box { uint4 start, size; };
struct Value { Number x, y; };

// Every kernel has all of them.
#if ELEMENT_MEMORY == 2
__constant__ float4 elements_in[PADDED];
#define ELEMENTS_IN
#else
#define ELEMENTS_IN const float4 *__restrict__ elements_in,
#endif
#define ARGUMENTS                                                                                                                  \
    const Box *__restrict__ box, const float *__restrict__ axes, ELEMENTS_IN Record *__restrict__ signals,                         \
        float2 *__restrict__ volumes, float *__restrict__ nearest, const float2 *__restrict__ phasors,                             \
        const float2 *__restrict__ raw, float *__restrict__ distance, float *__restrict__ first, float *__restrict__ delay,        \
        int *__restrict__ index, float *__restrict__ weight, float2 *__restrict__ value, float2 *__restrict__ rotated
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)

__device__ inline float2 times(float2 a, float2 b) {
    return make_float2(fmaf(a.x, b.x, -(a.y * b.y)), fmaf(a.x, b.y, a.y * b.x));
}
__device__ inline Value times_number(Value a, Value b) { return {a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x}; }
__device__ inline Value to_number(float2 z) { return {(Number)z.x, (Number)z.y}; }
__device__ inline float root(float v) { return sqrtf(v); }
#if HAS_F16
__device__ inline __half root(__half v) { return hsqrt(v); }
#endif
#if HAS_BF16
__device__ inline __nv_bfloat16 root(__nv_bfloat16 v) { return hsqrt(v); }
#endif
__device__ inline Delay least(Delay a, Delay b) { return a < b ? a : b; }

// What is stored of a sample: its value, and with phase=factored the step to the next too, both turned by the phase of their
// interval's middle.
#if STORAGE == 32
typedef float2 Pair;
__device__ inline float2 unpack(Pair pair) { return pair; }
__device__ inline Pair pack(float2 z) { return z; }
#elif STORAGE == 16
typedef unsigned Pair;
__device__ inline float2 unpack(Pair pair) {
    return make_float2(__half2float(__ushort_as_half(pair & 0xffff)), __half2float(__ushort_as_half(pair >> 16)));
}
__device__ inline Pair pack(float2 z) {
    return __half_as_ushort(__float2half_rn(z.x)) | (unsigned)__half_as_ushort(__float2half_rn(z.y)) << 16;
}
#else
typedef unsigned Pair;
__device__ inline float2 unpack(Pair pair) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}
// To the nearest, ties to even.
__device__ inline unsigned upper(float v) {
    const unsigned bits = __float_as_uint(v);
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
__device__ inline Pair pack(float2 z) { return upper(z.x) | upper(z.y) << 16; }
#endif
#if IS_FACTORED
// Aligned, so that it is read in one piece.
struct __align__(2 * sizeof(Pair)) Record { Pair value, step; };
#else
typedef Pair Record;
#endif

__device__ inline size_t place(unsigned volume, unsigned e, unsigned s) {
#if IS_ELEMENT_SAMPLE
    return ((size_t)volume * PADDED + e) * SAMPLES + s;
#else
    return ((size_t)volume * SAMPLES + s) * PADDED + e;
#endif
}

__device__ inline float2 recorded(const float2 *raw, unsigned volume, unsigned e, unsigned s) {
    return e < ELEMENTS ? raw[((size_t)volume * SAMPLES + s) * ELEMENTS + e] : make_float2(0, 0);
}

/// Signals into the form that the other kernels read.
KERNEL(256) load(ARGUMENTS) {
    const unsigned at = blockIdx.x * 256 + threadIdx.x, volume = blockIdx.y;
    if (at >= PADDED * SAMPLES) return;
#if IS_ELEMENT_SAMPLE
    const unsigned e = at / SAMPLES, s = at % SAMPLES;
#else
    const unsigned s = at / PADDED, e = at % PADDED;
#endif
    const float2 now = recorded(raw, volume, e, s);
#if IS_FACTORED
    const float2 after = recorded(raw, volume, e, s + 1 < SAMPLES ? s + 1 : SAMPLES - 1);
    const float2 step = make_float2(after.x - now.x, after.y - now.y);
    signals[place(volume, e, s)] = {pack(times(now, phasors[s])), pack(times(step, phasors[s]))};
#else
    signals[place(volume, e, s)] = pack(now);
#endif
}

KERNEL(64) nearest_element(ARGUMENTS) {
    const unsigned at = blockIdx.x * 64 + threadIdx.x;
    if (at >= NX * NY) return;
    const float x = axes[at / NY], y = axes[NX + at % NY];
    float smallest = 3e38f;
    for (unsigned e = 0; e < ELEMENTS; e++) {
        const float4 there = elements_in[e];
        const float dx = x - there.x, dy = y - there.y;
        smallest = fminf(smallest, dx * dx + dy * dy);
    }
    nearest[at] = smallest;
}

__device__ inline Delay squared(float length) {
    const Delay scaled = (Delay)length * (Delay)(float)(SCALE);
    return scaled * scaled;
}

__device__ inline Delay distance_of(Delay across, float along) {
    return root(across + squared(along)) * (Delay)(float)(1 / (SCALE));
}

__device__ inline Delay first_from_nearest(const float *nearest, unsigned x, unsigned y, float z) {
    const float depth = z - (float)(PLANE);
    return (Delay)(sqrtf(nearest[x * NY + y] + depth * depth) + (float)((COMMON_DELAY) - (START)));
}

/// exp(j2π·rate·u) for |u| ≤ ½; rate is 1, or cycles where the phase of whole samples comes from a table.
__device__ inline float2 phasor(float u) {
    float2 z;
#if IS_BUILTIN
    __sincosf((float)(TURN) * u, &z.y, &z.x);
#else
    const float q = u * u;
    z.x = COSINE;
    z.y = u * (SINE);
#endif
    return z;
}

/// The rotation by the phase of a delay, whole cycles taken off before anything is multiplied by 2π.
__device__ inline Value turn_of(Delay delay) {
    const Delay phase = delay * (Delay)(float)(CYCLES);
    return to_number(phasor((float)(phase - (Delay)rintf((float)phase))));
}

__device__ inline Value sample(const Record *__restrict__ signals, unsigned volume, unsigned e, unsigned s) {
#if IS_FACTORED
    return to_number(unpack(signals[place(volume, e, s)].value));
#else
    return to_number(unpack(signals[place(volume, e, s)]));
#endif
}

__device__ inline Value scaled(Value z, Number by) { return {z.x * by, z.y * by}; }
__device__ inline Value plus(Value a, Value b) { return {a.x + b.x, a.y + b.y}; }

/// The signal at whole + a samples.
__device__ inline Value interpolated(const Record *__restrict__ signals, unsigned volume, unsigned e, unsigned whole, Number a) {
#if INTERPOLATION == 0
    return sample(signals, volume, e, whole + (a >= (Number)0.5f));
#elif INTERPOLATION == 3
    const Number one = (Number)1.0f, two = (Number)2.0f, half_of = (Number)0.5f, sixth = (Number)(1.0f / 6);
    const Value none = {(Number)0.0f, (Number)0.0f};
    // Beyond the record there is silence.
    const Value before = whole > 0 ? sample(signals, volume, e, whole - 1) : none;
    const Value after = whole + 2 < SAMPLES ? sample(signals, volume, e, whole + 2) : none;
    return plus(plus(scaled(before, -a * (a - one) * (a - two) * sixth),
                     scaled(sample(signals, volume, e, whole), (a + one) * (a - one) * (a - two) * half_of)),
                plus(scaled(sample(signals, volume, e, whole + 1), -(a + one) * a * (a - two) * half_of),
                     scaled(after, (a + one) * a * (a - one) * sixth)));
#elif IS_FACTORED
    const Record record = signals[place(volume, e, whole)];
    return plus(to_number(unpack(record.value)), scaled(to_number(unpack(record.step)), a));
#else
    const Value now = sample(signals, volume, e, whole), next = sample(signals, volume, e, whole + 1);
    return {now.x + (next.x - now.x) * a, now.y + (next.y - now.y) * a};
#endif
}

/// Element e's signal at a delay, 0 ≤ delay < samples − 1, rotated by the phase of `turned`.
__device__ inline Value
term(const Record *__restrict__ signals, const float2 *__restrict__ phasors, unsigned volume, unsigned e, Delay at, Delay turned) {
    const unsigned whole = (unsigned)(float)at;
    const Delay a = at - (Delay)(float)whole;
    const Value z = interpolated(signals, volume, e, whole, (Number)(float)a);
#if IS_FACTORED
    return times_number(z, to_number(phasor((float)a - 0.5f)));
#elif IS_RECURRENCE
    return times_number(z, to_number(times(phasors[whole], phasor((float)a - 0.5f))));
#else
    return times_number(z, turn_of(turned));
#endif
}

__device__ inline bool is_recorded(Delay s) { return s >= (Delay)0.0f && s < (Delay)(float)(SAMPLES - 1); }

// The staged form: six passes over arrays.

__device__ inline unsigned count(const Box *box) { return box->size.x * box->size.y * box->size.z; }

__device__ inline uint3 grid_of(const Box *box, unsigned n) {
    const uint4 size = box->size;
    return make_uint3(box->start.x + n / (size.y * size.z), box->start.y + n / size.z % size.y, box->start.z + n % size.z);
}

__device__ inline bool is_in_aperture(float x, float y, float z, float4 there) {
#if HAS_APERTURE
    return fmaxf(fabsf(x - there.x), fabsf(y - there.y)) <= z / (float)(TWICE_F_NUMBER);
#else
    return true;
#endif
}

/// First arrival at a point, less the time of the first sample; its distances too where they are wanted.
#define ARRIVAL(n, is_kept)                                                                                                        \
    const uint3 on = grid_of(box, n);                                                                                              \
    const float x = axes[on.x], y = axes[NX + on.y], z = axes[NX + NY + on.z];                                                     \
    Delay earliest = (Delay)(float)(LATE);                                                                                         \
    if (is_kept || !IS_NEAREST_FIRST)                                                                                              \
        for (unsigned e = 0; e < PADDED; e++) {                                                                                    \
            const float4 there = elements_in[e];                                                                                   \
            const Delay r = distance_of(squared(x - there.x) + squared(y - there.y), z - there.z);                                 \
            if (is_kept) distance[(size_t)e * count(box) + n] = (float)r;                                                          \
            earliest = least(earliest, r + (Delay)there.w);                                                                        \
        }                                                                                                                          \
    earliest = IS_NEAREST_FIRST ? first_from_nearest(nearest, on.x, on.y, z) : earliest - (Delay)(float)(START);

#define POINT const unsigned n = blockIdx.x * POINTS + threadIdx.x; if (n >= count(box)) return
#define PAIR POINT; const unsigned e = blockIdx.y; const size_t pair = (size_t)e * count(box) + n

KERNEL(POINTS) tx_distance(ARGUMENTS) {
    POINT;
    ARRIVAL(n, true)
    first[n] = (float)earliest;
}

KERNEL(POINTS) delays(ARGUMENTS) {
    PAIR;
    delay[pair] = (float)((Delay)first[n] + (Delay)distance[pair]);
}

/// The sample before, −1 outside of the record, and the weight of the one after.
KERNEL(POINTS) indices(ARGUMENTS) {
    PAIR;
    const Delay s = (Delay)delay[pair];
    const int whole = (int)fminf(fmaxf((float)s, 0), SAMPLES - 1);
    index[pair] = is_recorded(s) ? whole : -1;
    weight[pair] = (float)(s - (Delay)(float)whole);
}

KERNEL(POINTS) interpolate(ARGUMENTS) {
    PAIR;
    const uint3 on = grid_of(box, n);
    Value z = {(Number)0.0f, (Number)0.0f};
    if (index[pair] >= 0 && is_in_aperture(axes[on.x], axes[NX + on.y], axes[NX + NY + on.z], elements_in[e]))
        z = interpolated(signals, 0, e, index[pair], (Number)weight[pair]);
    value[pair] = make_float2((float)z.x, (float)z.y);
}

KERNEL(POINTS) rotate(ARGUMENTS) {
    PAIR;
    // Outside of the record the value is 0.
    const Delay s = (Delay)fminf(fmaxf(delay[pair], 0), SAMPLES - 1);
    const Value z = times_number(to_number(value[pair]), turn_of(s));
    rotated[pair] = make_float2((float)z.x, (float)z.y);
}

KERNEL(POINTS) sum(ARGUMENTS) {
    POINT;
    Sum re = (Sum)0.0f, im = (Sum)0.0f;
    for (unsigned e = 0; e < PADDED; e++) {
        const float2 z = rotated[(size_t)e * count(box) + n];
        re = re + (Sum)z.x;
        im = im + (Sum)z.y;
    }
    const uint3 on = grid_of(box, n);
    volumes[((size_t)on.x * NY + on.y) * NZ + on.z] = make_float2((float)re, (float)im);
}

// The partial form: the delays, then the rest.

KERNEL(POINTS) partial_delays(ARGUMENTS) {
    POINT;
    ARRIVAL(n, false)
    for (unsigned e = 0; e < PADDED; e++) {
        const float4 there = elements_in[e];
        const Delay r = distance_of(squared(x - there.x) + squared(y - there.y), z - there.z);
        delay[(size_t)e * count(box) + n] = (float)(earliest + r);
    }
}

KERNEL(POINTS) partial_sums(ARGUMENTS) {
    POINT;
    const uint3 on = grid_of(box, n);
    Sum re[BATCH], im[BATCH];
    for (int v = 0; v < BATCH; v++) re[v] = im[v] = (Sum)0.0f;
#pragma unroll UNROLL
    for (unsigned e = 0; e < PADDED; e++) {
        const Delay s = (Delay)delay[(size_t)e * count(box) + n];
        if (!is_recorded(s) || !is_in_aperture(axes[on.x], axes[NX + on.y], axes[NX + NY + on.z], elements_in[e])) continue;
#pragma unroll
        for (int v = 0; v < BATCH; v++) {
            const Value z = term(signals, phasors, v, e, s, s);
            re[v] = re[v] + (Sum)(float)z.x;
            im[v] = im[v] + (Sum)(float)z.y;
        }
    }
    for (int v = 0; v < BATCH; v++)
        volumes[(((size_t)v * NX + on.x) * NY + on.y) * NZ + on.z] = make_float2((float)re[v], (float)im[v]);
}

// The fused forms: one kernel.

KERNEL(POINTS *SPLIT) fused(ARGUMENTS) {
    const unsigned local = threadIdx.x, point = local % POINTS, part = local / POINTS;
    const unsigned depth = blockIdx.x * (GROUP_Z * DEPTHS) + point % GROUP_Z;
    const unsigned cx = blockIdx.z * GROUP_X + point / (GROUP_Z * GROUP_Y), cy = blockIdx.y * GROUP_Y + point / GROUP_Z % GROUP_Y;
    const uint4 from = box->start, size = box->size;
    // Threads beyond the box work too, since all must meet at the barriers, and do not write.
    const bool is_inside = cx < size.x && cy < size.y;
    const unsigned ox = from.x + min(cx, size.x - 1), oy = from.y + min(cy, size.y - 1);
    const float x = axes[ox], y = axes[NX + oy];
    float z[DEPTHS];
#pragma unroll
    for (int k = 0; k < DEPTHS; k++) z[k] = axes[NX + NY + from.z + min(depth + k * GROUP_Z, size.z - 1)];
#if ELEMENT_MEMORY == 1
    __shared__ float4 near_elements[PADDED];
    for (unsigned e = local; e < PADDED; e += POINTS * SPLIT) near_elements[e] = elements_in[e];
    __syncthreads();
#else
    const float4 *near_elements = elements_in;
#endif
#if IS_STORED
    // Distances that the first loop leaves for the second: [element][depth][point].
    extern __shared__ __align__(16) unsigned char dynamic[];
    Delay *kept = (Delay *)dynamic;
#endif
#if SPLIT > 1
    __shared__ Delay firsts[POINTS * SPLIT];
    __shared__ float2 sums[POINTS * SPLIT];
#endif

    Delay earliest[DEPTHS];
#if IS_NEAREST_FIRST
#pragma unroll
    for (int k = 0; k < DEPTHS; k++) earliest[k] = first_from_nearest(nearest, ox, oy, z[k]);
#else
#pragma unroll
    for (int k = 0; k < DEPTHS; k++) earliest[k] = (Delay)(float)(LATE);
#pragma unroll UNROLL
    for (unsigned e = part; e < PADDED; e += SPLIT) {
        const float4 there = near_elements[e];
        const Delay across = squared(x - there.x) + squared(y - there.y);
#pragma unroll
        for (int k = 0; k < DEPTHS; k++) {
            const Delay r = distance_of(across, z[k] - there.z);
#if IS_STORED
            kept[(e * DEPTHS + k) * POINTS + point] = r;
#endif
            earliest[k] = least(earliest[k], r + (Delay)there.w);
        }
    }
#pragma unroll
    for (int k = 0; k < DEPTHS; k++) {
#if SPLIT > 1
        firsts[local] = earliest[k];
        __syncthreads();
        for (int i = 0; i < SPLIT; i++) earliest[k] = least(earliest[k], firsts[i * POINTS + point]);
        __syncthreads();
#endif
        earliest[k] = earliest[k] - (Delay)(float)(START);
    }
#endif

    Sum re[DEPTHS][BATCH], im[DEPTHS][BATCH];
#pragma unroll
    for (int k = 0; k < DEPTHS; k++)
#pragma unroll
        for (int v = 0; v < BATCH; v++) re[k][v] = im[k][v] = (Sum)0.0f;
#pragma unroll UNROLL
    for (unsigned e = part; e < PADDED; e += SPLIT) {
        const float4 there = near_elements[e];
        const Delay across = squared(x - there.x) + squared(y - there.y);
#pragma unroll
        for (int k = 0; k < DEPTHS; k++) {
#if IS_STORED
            const Delay r = kept[(e * DEPTHS + k) * POINTS + point];
#else
            const Delay r = distance_of(across, z[k] - there.z);
#endif
            const Delay s = earliest[k] + r;
            if (is_recorded(s) && is_in_aperture(x, y, z[k], there)) {
#pragma unroll
                for (int v = 0; v < BATCH; v++) {
                    const Value u = term(signals, phasors, v, e, s, TAKES_OUT ? r : s);
                    re[k][v] = re[k][v] + (Sum)(float)u.x;
                    im[k][v] = im[k][v] + (Sum)(float)u.y;
                }
            }
        }
    }

#pragma unroll
    for (int k = 0; k < DEPTHS; k++)
#pragma unroll
        for (int v = 0; v < BATCH; v++) {
#if SPLIT > 1
            sums[local] = make_float2((float)re[k][v], (float)im[k][v]);
            __syncthreads();
            if (part == 0)
                for (int i = 1; i < SPLIT; i++) {
                    re[k][v] = re[k][v] + (Sum)sums[i * POINTS + point].x;
                    im[k][v] = im[k][v] + (Sum)sums[i * POINTS + point].y;
                }
            __syncthreads();
#endif
            Value u = {(Number)(float)re[k][v], (Number)(float)im[k][v]};
            float2 total = make_float2((float)re[k][v], (float)im[k][v]);
            // What all elements have in common is taken out of their sum.
            if (TAKES_OUT) {
                u = times_number(u, turn_of(earliest[k]));
                total = make_float2((float)u.x, (float)u.y);
            }
            const unsigned oz = depth + k * GROUP_Z;
            if (part == 0 && is_inside && oz < size.z)
                volumes[(((size_t)v * NX + ox) * NY + oy) * NZ + from.z + oz] = total;
        }
}
