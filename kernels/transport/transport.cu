// Proton transport in phase space (WORKLOADS §3a): scattering along the angles, streaming, loss of energy. transport.wgsl has the
// same entry points in the same order.
//
// Arrays have a cell for every energy, angle and place (z, x); LAYOUT says which of them is fastest. A thread has one place of one
// energy (of BAND energies where all operators are one kernel) and goes through the angles, so that what leaves the phase space is
// summed by one thread a place, without atomics. A launch reads one array and writes the other.
//
// Macros: ENERGIES, ANGLES, NZ, NX, TAPS (of the longest kernel), RIM_Z, RIM_X (rows from the last and columns from both rims from
// which weight can leave), GROUP_X, GROUP_Z, BAND, CUTOFF (weight of a plane, row or angle that is left out), STORAGE (32, 16, or 17
// for bfloat16), LAYOUT (0 energy, angle, place; 1 energy, place, angle; 2 place, energy, angle), HAS_EXTENTS, TRIMS_ROWS, TRIMS_ANGLES.
#define PLACES (NZ * NX)

#if STORAGE == 32
typedef float Number;
__device__ inline float widened(Number v) { return v; }
__device__ inline Number narrowed(float v) { return v; }
#elif STORAGE == 16
#include <cuda_fp16.h>
typedef unsigned short Number;
__device__ inline float widened(Number v) { return __half2float(__ushort_as_half(v)); }
__device__ inline Number narrowed(float v) { return __half_as_ushort(__float2half_rn(v)); }
#else
typedef unsigned short Number;
__device__ inline float widened(Number v) { return __uint_as_float((unsigned)v << 16); }
// To the nearest, ties to even.
__device__ inline Number narrowed(float v) {
    const unsigned bits = __float_as_uint(v);
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
#endif

/// Energies that a launch has; those of which it reads; whether it counts what leaves the slab; which half of the extents holds; that
/// it clears, or trims, for what comes after the loss of energy or after a second scattering.
struct Window { unsigned first, count, source_first, source_end, leaks, half, after, unused; };

/// First row and end, first angle and end of what may hold weight; what is beyond is never read.
struct Extent { int z0, z1, t0, t1; };

// Every kernel has all of them.
// numbers: taps [ENERGIES][TAPS] · escaping [ENERGIES][ANGLES] · shifts [ANGLES][4] · lower [ENERGIES] · upper [ENERGIES]
// indices: reach [ENERGIES] · ix [ANGLES] · iz [ANGLES] · source of the lower [ENERGIES] · of the upper [ENERGIES] · lower end, or −1
//          where all stops [ENERGIES] · first extents [ENERGIES][4]
// account: [arrived, escaped, leaked][ENERGIES][PLACES] · cut [ENERGIES] · cells visited [ENERGIES]
// extents: [2][ENERGIES], before and after a step
struct Tables {
    const Window *__restrict__ window;
    const Number *__restrict__ source;
    Number *__restrict__ result;
    const float *__restrict__ numbers;
    const int *__restrict__ indices;
    double *__restrict__ account;
    Extent *extents;
};
#define ARGUMENTS                                                                                                                  \
    const Window *__restrict__ window, const Number *__restrict__ source, Number *__restrict__ result,                             \
        const float *__restrict__ numbers, const int *__restrict__ indices, double *__restrict__ account, Extent *extents
#define TABLES const Tables all = {window, source, result, numbers, indices, account, extents}
#define THREADS (GROUP_X * GROUP_Z)
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)

#define ESCAPING (ENERGIES * TAPS)
#define SHIFTS (ESCAPING + ENERGIES * ANGLES)
#define LOWER (SHIFTS + 4 * ANGLES)
#define UPPER (LOWER + ENERGIES)
#define SIDEWAYS ENERGIES
#define DOWN (SIDEWAYS + ANGLES)
#define LOWER_SOURCE (DOWN + ANGLES)
#define UPPER_SOURCE (LOWER_SOURCE + ENERGIES)
#define END (UPPER_SOURCE + ENERGIES)
#define FIRST_EXTENTS (END + ENERGIES)

#define ARRIVED 0
#define ESCAPED ((size_t)ENERGIES * PLACES)
#define LEAKED ((size_t)2 * ENERGIES * PLACES)
#define CUT ((size_t)3 * ENERGIES * PLACES)
#define VISITED (CUT + ENERGIES)

struct Place {
    bool is_inside;
    int e, z, x, cell;
};

__device__ inline Place place_of(const Window *window, unsigned energy) {
    const int x = blockIdx.x * GROUP_X + threadIdx.x, z = blockIdx.y * GROUP_Z + threadIdx.y;
    return {x < NX && z < NZ, (int)(window->first + energy), z, x, z * NX + x};
}

__device__ inline size_t index(int e, int t, int cell) {
#if LAYOUT == 0
    return ((size_t)e * ANGLES + t) * PLACES + cell;
#elif LAYOUT == 1
    return ((size_t)e * PLACES + cell) * ANGLES + t;
#else
    return ((size_t)cell * ENERGIES + e) * ANGLES + t;
#endif
}

__device__ inline float stored(const Tables &all, int e, int t, int cell) { return widened(all.source[index(e, t, cell)]); }
__device__ inline void store(const Tables &all, int e, int t, int cell, float value) { all.result[index(e, t, cell)] = narrowed(value); }

__device__ inline double *entry(const Tables &all, size_t kind, int e, Place p) { return all.account + kind + (size_t)e * PLACES + p.cell; }

__device__ inline bool is_read(const Tables &all, int e) { return e >= (int)all.window->source_first && e < (int)all.window->source_end; }

/// An energy from which weight comes, or −1: none, or none that this step has.
__device__ inline int coming(const Tables &all, int table, int e) {
    const int found = all.indices[table + e];
    return found >= 0 && is_read(all, found) ? found : -1;
}

__device__ inline int least(int a, int b) { return a < b ? a : b; }
__device__ inline int most(int a, int b) { return a > b ? a : b; }

__device__ inline bool is_empty(Extent a) { return a.z0 >= a.z1 || a.t0 >= a.t1; }
__device__ inline bool has_angle(Extent a, int t) { return !is_empty(a) && t >= a.t0 && t < a.t1; }
__device__ inline bool has_row(Extent a, int z) { return z >= a.z0 && z < a.z1; }
__device__ inline bool has(Extent a, int t, int z) { return has_row(a, z) && t >= a.t0 && t < a.t1; }

#if HAS_EXTENTS
/// The extent of an energy when the step begins.
__device__ inline Extent held(const Tables &all, int e) { return all.extents[all.window->half * ENERGIES + e]; }

/// After the scattering.
__device__ inline Extent scattered(const Tables &all, int e) {
    const Extent a = held(all, e);
    const int reach = all.indices[e];
    return is_empty(a) ? a : Extent{a.z0, a.z1, most(a.t0 - reach, 0), least(a.t1 + reach, ANGLES)};
}

/// After the streaming.
__device__ inline Extent streamed(const Tables &all, int e) {
    const Extent a = scattered(all, e);
    return is_empty(a) ? a : Extent{a.z0, least(a.z1 + RIM_Z, NZ), a.t0, a.t1};
}

/// After the loss of energy.
__device__ inline Extent ended(const Tables &all, int e) {
    const int lower = coming(all, LOWER_SOURCE, e), upper = coming(all, UPPER_SOURCE, e);
    const Extent a = lower >= 0 ? streamed(all, lower) : Extent{0, 0, 0, 0};
    const Extent b = upper >= 0 ? streamed(all, upper) : Extent{0, 0, 0, 0};
    if (is_empty(a)) return b;
    if (is_empty(b)) return a;
    return {least(a.z0, b.z0), most(a.z1, b.z1), least(a.t0, b.t0), most(a.t1, b.t1)};
}
#else
#define WHOLE Extent{0, NZ, 0, ANGLES}
__device__ inline Extent held(const Tables &, int) { return WHOLE; }
__device__ inline Extent scattered(const Tables &, int) { return WHOLE; }
__device__ inline Extent streamed(const Tables &, int) { return WHOLE; }
__device__ inline Extent ended(const Tables &, int) { return WHOLE; }
#endif

/// The beam into the phase space, and an empty account.
KERNEL(THREADS) begin(ARGUMENTS) {
    TABLES;
    const Place p = place_of(window, blockIdx.z);
    if (!p.is_inside) return;
    Extent extent = {0, NZ, 0, ANGLES};
#if HAS_EXTENTS
    const int *f = indices + FIRST_EXTENTS + 4 * p.e;
    extent = {f[0], f[1], f[2], f[3]};
    if (p.cell == 0) extents[p.e] = extent;
#endif
    if (is_read(all, p.e) && has_row(extent, p.z))
        for (int t = extent.t0; t < extent.t1; t++) result[index(p.e, t, p.cell)] = source[index(p.e, t, p.cell)];
    *entry(all, ARRIVED, p.e, p) = 0;
    *entry(all, ESCAPED, p.e, p) = 0;
    *entry(all, LEAKED, p.e, p) = 0;
    if (p.cell == 0) account[CUT + p.e] = account[VISITED + p.e] = 0;
}

/// Zeros, before what is added to.
KERNEL(THREADS) clear(ARGUMENTS) {
    TABLES;
    const Place p = place_of(window, blockIdx.z);
    if (!p.is_inside) return;
    const Extent extent = window->after ? ended(all, p.e) : streamed(all, p.e);
    if (!has_row(extent, p.z)) return;
    for (int t = extent.t0; t < extent.t1; t++) store(all, p.e, t, p.cell, 0);
}

/// What scattering brings to an angle of a place.
__device__ inline float collected(const Tables &all, int e, int t, int cell, Extent extent) {
    const int reach = all.indices[e];
    // Tap t − s + reach is source s's.
    const float *tap = all.numbers + e * TAPS + t + reach;
    float sum = 0;
    const int end = least(t + reach + 1, extent.t1);
    for (int s = most(t - reach, extent.t0); s < end; s++) sum = fmaf(tap[-s], stored(all, e, s, cell), sum);
    return sum;
}

/// Weight of a place that scattering takes out of the angles: from as many at either end as a kernel reaches.
__device__ inline float escaping(const Tables &all, int e, int cell, Extent extent) {
    const int reach = all.indices[e], middle = least(reach, ANGLES);
    const float *share = all.numbers + ESCAPING + e * ANGLES;
    float sum = 0;
    for (int t = extent.t0; t < least(middle, extent.t1); t++) sum = fmaf(share[t], stored(all, e, t, cell), sum);
    for (int t = most(most(middle, ANGLES - reach), extent.t0); t < extent.t1; t++) sum = fmaf(share[t], stored(all, e, t, cell), sum);
    return sum;
}

/// Whether weight of a place can leave the slab within a step.
__device__ inline bool is_rim(Place p) { return p.z + RIM_Z >= NZ || p.x < RIM_X || p.x + RIM_X >= NX; }

/// Share of an angle's weight in a cell that leaves the slab within a step.
__device__ inline float leaving(const Tables &all, Place p, int t) {
    const int x = p.x + all.indices[SIDEWAYS + t], z = p.z + all.indices[DOWN + t];
    float share = 0;
    for (int k = 0; k < 4; k++)
        if (x + (k & 1) < 0 || x + (k & 1) >= NX || z + (k >> 1) >= NZ) share += all.numbers[SHIFTS + 4 * t + k];
    return share;
}

KERNEL(THREADS) scatter(ARGUMENTS) {
    TABLES;
    const Place p = place_of(window, blockIdx.z);
    if (!p.is_inside) return;
    const Extent own = held(all, p.e), extent = scattered(all, p.e);
    if (!has_row(own, p.z)) return;
    const bool leaks = window->leaks && is_rim(p);
    float leaked = 0;
    for (int t = extent.t0; t < extent.t1; t++) {
        const float sum = collected(all, p.e, t, p.cell, own);
        store(all, p.e, t, p.cell, sum);
        if (leaks) leaked = fmaf(leaving(all, p, t), sum, leaked);
    }
    *entry(all, ESCAPED, p.e, p) += escaping(all, p.e, p.cell, own);
    if (leaks) *entry(all, LEAKED, p.e, p) += leaked;
}

/// Scattered weight of a cell, or of none.
__device__ inline float weight_at(const Tables &all, int e, int t, int z, int x, Extent extent) {
    if (z < extent.z0 || x < 0 || z >= extent.z1 || x >= NX) return 0;
    return stored(all, e, t, z * NX + x);
}

/// What arrives in a cell.
__device__ inline float arriving(const Tables &all, int e, int t, Place p) {
    const Extent extent = held(all, e);
    const int x = p.x - all.indices[SIDEWAYS + t], z = p.z - all.indices[DOWN + t];
    const float *w = all.numbers + SHIFTS + 4 * t;
    float sum = w[0] * weight_at(all, e, t, z, x, extent);
    sum = fmaf(w[1], weight_at(all, e, t, z, x - 1, extent), sum);
    sum = fmaf(w[2], weight_at(all, e, t, z - 1, x, extent), sum);
    return fmaf(w[3], weight_at(all, e, t, z - 1, x - 1, extent), sum);
}

KERNEL(THREADS) stream_gather(ARGUMENTS) {
    TABLES;
    const Place p = place_of(window, blockIdx.z);
    if (!p.is_inside) return;
    const Extent extent = streamed(all, p.e);
    if (!has_row(extent, p.z)) return;
    for (int t = extent.t0; t < extent.t1; t++) store(all, p.e, t, p.cell, arriving(all, p.e, t, p));
}

// Where several threads add to a cell it is an f32: halves have no atomic addition on every device.
#if STORAGE == 32
KERNEL(THREADS) stream_scatter(ARGUMENTS) {
    TABLES;
    const Place p = place_of(window, blockIdx.z);
    if (!p.is_inside) return;
    const Extent extent = scattered(all, p.e);
    if (!has_row(extent, p.z)) return;
    for (int t = extent.t0; t < extent.t1; t++) {
        const float value = stored(all, p.e, t, p.cell);
        const int x0 = p.x + indices[SIDEWAYS + t], z0 = p.z + indices[DOWN + t];
        if (value == 0) continue;
        for (int k = 0; k < 4; k++) {
            const int x = x0 + (k & 1), z = z0 + (k >> 1);
            if (x >= 0 && x < NX && z < NZ) atomicAdd(result + index(p.e, t, z * NX + x), numbers[SHIFTS + 4 * t + k] * value);
        }
    }
}
#endif

/// Counts what streamed to a place.
__device__ inline void arrive(const Tables &all, Place p) {
    const Extent extent = streamed(all, p.e);
    if (!has_row(extent, p.z)) return;
    float arrived = 0;
    for (int t = extent.t0; t < extent.t1; t++) arrived += stored(all, p.e, t, p.cell);
    *entry(all, ARRIVED, p.e, p) += arrived;
}

KERNEL(THREADS) energy_gather(ARGUMENTS) {
    TABLES;
    const Place p = place_of(window, blockIdx.z);
    if (!p.is_inside) return;
    const int lower = coming(all, LOWER_SOURCE, p.e), upper = coming(all, UPPER_SOURCE, p.e);
    const Extent extent = ended(all, p.e);
    if (has_row(extent, p.z)) {
        const Extent below = streamed(all, most(lower, 0)), above = streamed(all, most(upper, 0));
        for (int t = extent.t0; t < extent.t1; t++) {
            float sum = 0;
            if (lower >= 0 && has(below, t, p.z)) sum = numbers[LOWER + lower] * stored(all, lower, t, p.cell);
            if (upper >= 0 && has(above, t, p.z)) sum = fmaf(numbers[UPPER + upper], stored(all, upper, t, p.cell), sum);
            store(all, p.e, t, p.cell, sum);
        }
    }
    if (is_read(all, p.e)) arrive(all, p);
}

#if STORAGE == 32
KERNEL(THREADS) energy_scatter(ARGUMENTS) {
    TABLES;
    const Place p = place_of(window, blockIdx.z);
    if (!p.is_inside || !is_read(all, p.e)) return;
    const int end = indices[END + p.e];
    const Extent extent = streamed(all, p.e);
    if (!has_row(extent, p.z)) return;
    float arrived = 0;
    for (int t = extent.t0; t < extent.t1; t++) {
        const float value = stored(all, p.e, t, p.cell);
        arrived += value;
        if (end >= 0 && value != 0) {
            atomicAdd(result + index(end, t, p.cell), numbers[LOWER + p.e] * value);
            atomicAdd(result + index(end + 1, t, p.cell), numbers[UPPER + p.e] * value);
        }
    }
    *entry(all, ARRIVED, p.e, p) += arrived;
}
#endif

/// Streaming and loss together: what streamed is summed where it ends and never stored. What arrived at an energy is counted by
/// the thread of its lower end, or by its own where all stops.
KERNEL(THREADS) stream_energy(ARGUMENTS) {
    TABLES;
    const Place p = place_of(window, blockIdx.z);
    if (!p.is_inside) return;
    const int lower = coming(all, LOWER_SOURCE, p.e), upper = coming(all, UPPER_SOURCE, p.e);
    const Extent extent = ended(all, p.e);
    if (has_row(extent, p.z)) {
        const Extent below = streamed(all, most(lower, 0)), above = streamed(all, most(upper, 0));
        float arrived = 0;
        for (int t = extent.t0; t < extent.t1; t++) {
            float sum = 0;
            if (lower >= 0 && has(below, t, p.z)) {
                const float value = arriving(all, lower, t, p);
                arrived += value;
                sum = numbers[LOWER + lower] * value;
            }
            if (upper >= 0 && has(above, t, p.z)) sum = fmaf(numbers[UPPER + upper], arriving(all, upper, t, p), sum);
            store(all, p.e, t, p.cell, sum);
        }
        if (lower >= 0) *entry(all, ARRIVED, lower, p) += arrived;
    }
    if (indices[END + p.e] < 0 && is_read(all, p.e)) {
        const Extent stopping = streamed(all, p.e);
        if (!has_row(stopping, p.z)) return;
        float stopped = 0;
        for (int t = stopping.t0; t < stopping.t1; t++) stopped += arriving(all, p.e, t, p);
        *entry(all, ARRIVED, p.e, p) += stopped;
    }
}

/// What a group scatters of one angle before it streams: its cells and one more row and column, from where the angle's shift comes.
/// Twice, so that one barrier an angle is enough.
#define TILE_X (GROUP_X + 1)
#define TILE (TILE_X * (GROUP_Z + 1))

/// Whether a group has rows of an extent: the same for all of its threads.
__device__ inline bool meets(Extent extent) {
    const int first = blockIdx.y * GROUP_Z;
    return !is_empty(extent) && first < extent.z1 && first + GROUP_Z > extent.z0;
}

/// What scatters and then arrives in the thread's cell. All threads of a group call it together; `tile` has the group's memory and
/// which half of it is next.
struct Tile {
    float *values;
    int turn;
};
__device__ inline float flowing(const Tables &all, Tile &tile, int e, int t) {
    const Extent own = held(all, e);
    const int x0 = (int)(blockIdx.x * GROUP_X) - all.indices[SIDEWAYS + t] - 1;
    const int z0 = (int)(blockIdx.y * GROUP_Z) - all.indices[DOWN + t] - 1;
    float *values = tile.values + tile.turn * TILE;
    for (int i = threadIdx.y * GROUP_X + threadIdx.x; i < TILE; i += THREADS) {
        const int x = x0 + i % TILE_X, z = z0 + i / TILE_X;
        values[i] = x >= 0 && x < NX && z >= own.z0 && z < own.z1 ? collected(all, e, t, z * NX + x, own) : 0;
    }
    __syncthreads();
    tile.turn = 1 - tile.turn;
    const float *w = all.numbers + SHIFTS + 4 * t;
    const float *above = values + threadIdx.y * TILE_X + threadIdx.x, *level = above + TILE_X;
    float sum = w[0] * level[1];
    sum = fmaf(w[1], level[0], sum);
    sum = fmaf(w[2], above[1], sum);
    return fmaf(w[3], above[0], sum);
}

/// Counts what a place loses where no kernel stores what scattered.
__device__ inline void lose(const Tables &all, Place p, int e) {
    const Extent own = held(all, e);
    if (!has_row(own, p.z)) return;
    *entry(all, ESCAPED, e, p) += escaping(all, e, p.cell, own);
    if (!is_rim(p)) return;
    const Extent extent = scattered(all, e);
    float leaked = 0;
    for (int t = extent.t0; t < extent.t1; t++) {
        const float share = leaving(all, p, t);
        if (share != 0) leaked = fmaf(share, collected(all, e, t, p.cell, own), leaked);
    }
    *entry(all, LEAKED, e, p) += leaked;
}

/// Scattering and streaming together: what scattered is in the group's memory only.
KERNEL(THREADS) theta_stream(ARGUMENTS) {
    TABLES;
    __shared__ float values[2 * TILE];
    Tile tile = {values, 0};
    const Place p = place_of(window, blockIdx.z);
    const Extent extent = streamed(all, p.e);
    if (!meets(extent)) return;
    for (int t = extent.t0; t < extent.t1; t++) {
        const float value = flowing(all, tile, p.e, t);
        if (p.is_inside && has_row(extent, p.z)) store(all, p.e, t, p.cell, value);
    }
    if (p.is_inside) lose(all, p, p.e);
}

/// All three: a group takes BAND energies from what comes to them; a source of two of them is computed once.
KERNEL(THREADS) all_energies(ARGUMENTS) {
    TABLES;
    __shared__ float values[2 * TILE];
    Tile tile = {values, 0};
    const Place p = place_of(window, 0);
    const int first = window->first + blockIdx.z * BAND;
    const int end = least(first + BAND, window->first + window->count);
    float arrived[BAND] = {};
    for (int t = 0; t < ANGLES; t++) {
        int before = -1;
        float value_before = 0;
        for (int e = first; e < end; e++) {
            const Extent extent = ended(all, e);
            if (!meets(extent) || !has_angle(extent, t)) continue;
            const int lower = coming(all, LOWER_SOURCE, e), upper = coming(all, UPPER_SOURCE, e);
            float above = 0, sum = 0;
            if (upper >= 0 && upper == before)
                above = value_before;
            else if (upper >= 0 && has_angle(streamed(all, upper), t))
                above = flowing(all, tile, upper, t);
            if (lower >= 0) {
                value_before = has_angle(streamed(all, lower), t) ? flowing(all, tile, lower, t) : 0;
                before = lower;
                arrived[e - first] += value_before;
                sum = numbers[LOWER + lower] * value_before;
            }
            if (upper >= 0) sum = fmaf(numbers[UPPER + upper], above, sum);
            if (p.is_inside && has_row(extent, p.z)) store(all, e, t, p.cell, sum);
        }
    }
    for (int e = first; e < end; e++) {
        const int lower = coming(all, LOWER_SOURCE, e);
        if (lower >= 0 && p.is_inside) {
            if (has_row(streamed(all, lower), p.z)) *entry(all, ARRIVED, lower, p) += arrived[e - first];
            lose(all, p, lower);
        }
        const Extent extent = streamed(all, e);
        if (indices[END + e] < 0 && is_read(all, e) && meets(extent)) {
            float stopped = 0;
            for (int t = extent.t0; t < extent.t1; t++) stopped += flowing(all, tile, e, t);
            if (p.is_inside) {
                if (has_row(extent, p.z)) *entry(all, ARRIVED, e, p) += stopped;
                lose(all, p, e);
            }
        }
    }
}

#if HAS_EXTENTS
/// What of an energy's plane is worth keeping; a group for each energy. The rules are those of a processor (src/workload/transport/
/// extent.rs): a light plane goes, then light rows at both ends, then light angles; what goes is counted.
KERNEL(64) trim(ARGUMENTS) {
    TABLES;
    __shared__ float of_rows[NZ], of_angles[ANGLES];
    const int e = window->first + blockIdx.z, thread = threadIdx.x;
    Extent extent = window->after ? scattered(all, e) : ended(all, e);
    if (is_empty(extent)) extent = {0, 0, 0, 0};
    for (int z = extent.z0 + thread; z < extent.z1; z += 64) {
        float sum = 0;
        for (int t = extent.t0; t < extent.t1; t++)
            for (int x = 0; x < NX; x++) sum += stored(all, e, t, z * NX + x);
        of_rows[z] = sum;
    }
#if TRIMS_ANGLES
    for (int t = extent.t0 + thread; t < extent.t1; t += 64) {
        float sum = 0;
        for (int cell = extent.z0 * NX; cell < extent.z1 * NX; cell++) sum += stored(all, e, t, cell);
        of_angles[t] = sum;
    }
#endif
    __syncthreads();
    if (thread != 0) return;
    if (is_read(all, e) && !window->after) {
        const Extent visited = streamed(all, e);
        if (!is_empty(visited)) account[VISITED + e] += (double)(visited.z1 - visited.z0) * (visited.t1 - visited.t0) * NX;
    }
    float total = 0, left = 0;
    for (int z = extent.z0; z < extent.z1; z++) total += of_rows[z];
    Extent kept = extent;
    if (total <= CUTOFF) {
        kept = {0, 0, 0, 0};
        left = total;
    } else {
#if TRIMS_ROWS
        for (; kept.z0 < kept.z1 && of_rows[kept.z0] <= CUTOFF; kept.z0++) left += of_rows[kept.z0];
        for (; kept.z0 < kept.z1 && of_rows[kept.z1 - 1] <= CUTOFF; kept.z1--) left += of_rows[kept.z1 - 1];
#endif
#if TRIMS_ANGLES
        for (; kept.t0 < kept.t1 && of_angles[kept.t0] <= CUTOFF; kept.t0++) left += of_angles[kept.t0];
        for (; kept.t0 < kept.t1 && of_angles[kept.t1 - 1] <= CUTOFF; kept.t1--) left += of_angles[kept.t1 - 1];
#endif
        // Rows that are each too light may be heavy together.
        if (is_empty(kept)) {
            kept = extent;
            left = 0;
        }
    }
    extents[(1 - window->half) * ENERGIES + e] = kept;
    account[CUT + e] += left;
}
#endif
