// Proton transport in phase space (WORKLOADS §3a): scattering along the angles, streaming, loss of energy. transport.wgsl has the
// same entry points in the same order.
//
// Arrays are [energy][angle][z][x]. A thread has one place of one energy and goes through the angles, so that what leaves the phase
// space is summed by one thread a place, without atomics. A launch reads one array and writes the other.
//
// Macros: ENERGIES, ANGLES, NZ, NX, TAPS (of the longest kernel), RIM_Z, RIM_X (rows from the last and columns from both rims from
// which weight can leave), GROUP_X, GROUP_Z.
#define PLACES (NZ * NX)

/// Energies that a launch has; those of which it reads; whether it counts what leaves the slab.
struct Window { unsigned first, count, source_first, source_end, leaks, a, b, c; };

// Every kernel has all of them.
// numbers: taps [ENERGIES][TAPS] · escaping [ENERGIES][ANGLES] · shifts [ANGLES][4] · lower [ENERGIES] · upper [ENERGIES]
// indices: reach [ENERGIES] · ix [ANGLES] · iz [ANGLES] · source of the lower [ENERGIES] · of the upper [ENERGIES] · lower end, or −1
//          where all stops [ENERGIES]
// account: [arrived, escaped, leaked][ENERGIES][PLACES]
#define ARGUMENTS                                                                                                                  \
    const Window *__restrict__ window, const float *__restrict__ source, float *__restrict__ result,                               \
        const float *__restrict__ numbers, const int *__restrict__ indices, double *__restrict__ account
#define KERNEL extern "C" __global__ void __launch_bounds__(GROUP_X *GROUP_Z)

#define ESCAPING (ENERGIES * TAPS)
#define SHIFTS (ESCAPING + ENERGIES * ANGLES)
#define LOWER (SHIFTS + 4 * ANGLES)
#define UPPER (LOWER + ENERGIES)
#define SIDEWAYS ENERGIES
#define DOWN (SIDEWAYS + ANGLES)
#define LOWER_SOURCE (DOWN + ANGLES)
#define UPPER_SOURCE (LOWER_SOURCE + ENERGIES)
#define END (UPPER_SOURCE + ENERGIES)

#define ARRIVED 0
#define ESCAPED ((size_t)ENERGIES * PLACES)
#define LEAKED ((size_t)2 * ENERGIES * PLACES)

struct Place {
    bool is_inside;
    int e, z, x, cell;
};

__device__ inline Place place_of(const Window *window) {
    const int x = blockIdx.x * GROUP_X + threadIdx.x, z = blockIdx.y * GROUP_Z + threadIdx.y;
    return {x < NX && z < NZ, (int)(window->first + blockIdx.z), z, x, z * NX + x};
}

__device__ inline size_t slab(int e, int t) { return ((size_t)e * ANGLES + t) * PLACES; }

__device__ inline double *entry(double *account, size_t kind, int e, Place p) { return account + kind + (size_t)e * PLACES + p.cell; }

/// The beam into the phase space, and an empty account.
KERNEL begin(ARGUMENTS) {
    const Place p = place_of(window);
    if (!p.is_inside) return;
    for (int t = 0; t < ANGLES; t++) result[slab(p.e, t) + p.cell] = source[slab(p.e, t) + p.cell];
    *entry(account, ARRIVED, p.e, p) = 0;
    *entry(account, ESCAPED, p.e, p) = 0;
    *entry(account, LEAKED, p.e, p) = 0;
}

/// Zeros, before what is added to.
KERNEL clear(ARGUMENTS) {
    const Place p = place_of(window);
    if (!p.is_inside) return;
    for (int t = 0; t < ANGLES; t++) result[slab(p.e, t) + p.cell] = 0;
}

/// Share of an angle's weight in a cell that leaves the slab within a step.
__device__ inline float leaving(const float *numbers, const int *indices, Place p, int t) {
    const int x = p.x + indices[SIDEWAYS + t], z = p.z + indices[DOWN + t];
    float share = 0;
    for (int k = 0; k < 4; k++)
        if (x + (k & 1) < 0 || x + (k & 1) >= NX || z + (k >> 1) >= NZ) share += numbers[SHIFTS + 4 * t + k];
    return share;
}

KERNEL scatter(ARGUMENTS) {
    const Place p = place_of(window);
    if (!p.is_inside) return;
    const int reach = indices[p.e];
    const float *taps = numbers + p.e * TAPS;
    const bool is_rim = p.z + RIM_Z >= NZ || p.x < RIM_X || p.x + RIM_X >= NX;
    float escaped = 0, leaked = 0;
    for (int t = 0; t < ANGLES; t++) {
        float sum = 0;
        const int last = t + reach < ANGLES - 1 ? t + reach : ANGLES - 1;
        for (int s = t - reach > 0 ? t - reach : 0; s <= last; s++) sum = fmaf(taps[t - s + reach], source[slab(p.e, s) + p.cell], sum);
        result[slab(p.e, t) + p.cell] = sum;
        escaped = fmaf(numbers[ESCAPING + p.e * ANGLES + t], source[slab(p.e, t) + p.cell], escaped);
        if (is_rim) leaked = fmaf(leaving(numbers, indices, p, t), sum, leaked);
    }
    *entry(account, ESCAPED, p.e, p) += escaped;
    if (window->leaks) *entry(account, LEAKED, p.e, p) += leaked;
}

__device__ inline float weight_at(const float *source, int e, int t, int z, int x) {
    if (z < 0 || x < 0 || z >= NZ || x >= NX) return 0;
    return source[slab(e, t) + z * NX + x];
}

/// What arrives in a cell.
__device__ inline float arriving(const float *source, const float *numbers, const int *indices, int e, int t, Place p) {
    const int x = p.x - indices[SIDEWAYS + t], z = p.z - indices[DOWN + t];
    const float *w = numbers + SHIFTS + 4 * t;
    float sum = w[0] * weight_at(source, e, t, z, x);
    sum = fmaf(w[1], weight_at(source, e, t, z, x - 1), sum);
    sum = fmaf(w[2], weight_at(source, e, t, z - 1, x), sum);
    return fmaf(w[3], weight_at(source, e, t, z - 1, x - 1), sum);
}

KERNEL stream_gather(ARGUMENTS) {
    const Place p = place_of(window);
    if (!p.is_inside) return;
    for (int t = 0; t < ANGLES; t++) result[slab(p.e, t) + p.cell] = arriving(source, numbers, indices, p.e, t, p);
}

KERNEL stream_scatter(ARGUMENTS) {
    const Place p = place_of(window);
    if (!p.is_inside) return;
    for (int t = 0; t < ANGLES; t++) {
        const float value = source[slab(p.e, t) + p.cell];
        const int x0 = p.x + indices[SIDEWAYS + t], z0 = p.z + indices[DOWN + t];
        if (value == 0) continue;
        for (int k = 0; k < 4; k++) {
            const int x = x0 + (k & 1), z = z0 + (k >> 1);
            if (x >= 0 && x < NX && z < NZ) atomicAdd(result + slab(p.e, t) + z * NX + x, numbers[SHIFTS + 4 * t + k] * value);
        }
    }
}

__device__ inline bool is_read(const Window *window, int e) { return e >= (int)window->source_first && e < (int)window->source_end; }

/// An energy from which weight comes, or −1: none, or none that this step has.
__device__ inline int coming(const Window *window, const int *indices, int table, int e) {
    const int found = indices[table + e];
    return found >= 0 && is_read(window, found) ? found : -1;
}

KERNEL energy_gather(ARGUMENTS) {
    const Place p = place_of(window);
    if (!p.is_inside) return;
    const int lower = coming(window, indices, LOWER_SOURCE, p.e), upper = coming(window, indices, UPPER_SOURCE, p.e);
    float arrived = 0;
    for (int t = 0; t < ANGLES; t++) {
        float sum = 0;
        if (lower >= 0) sum = numbers[LOWER + lower] * source[slab(lower, t) + p.cell];
        if (upper >= 0) sum = fmaf(numbers[UPPER + upper], source[slab(upper, t) + p.cell], sum);
        result[slab(p.e, t) + p.cell] = sum;
        if (is_read(window, p.e)) arrived += source[slab(p.e, t) + p.cell];
    }
    if (is_read(window, p.e)) *entry(account, ARRIVED, p.e, p) += arrived;
}

KERNEL energy_scatter(ARGUMENTS) {
    const Place p = place_of(window);
    if (!p.is_inside || !is_read(window, p.e)) return;
    const int end = indices[END + p.e];
    float arrived = 0;
    for (int t = 0; t < ANGLES; t++) {
        const float value = source[slab(p.e, t) + p.cell];
        arrived += value;
        if (end >= 0 && value != 0) {
            atomicAdd(result + slab(end, t) + p.cell, numbers[LOWER + p.e] * value);
            atomicAdd(result + slab(end + 1, t) + p.cell, numbers[UPPER + p.e] * value);
        }
    }
    *entry(account, ARRIVED, p.e, p) += arrived;
}

/// Streaming and loss together: what streamed is summed where it ends and never stored. What arrived at an energy is counted by
/// the thread of its lower end, or by its own where all stops.
KERNEL stream_energy(ARGUMENTS) {
    const Place p = place_of(window);
    if (!p.is_inside) return;
    const int lower = coming(window, indices, LOWER_SOURCE, p.e), upper = coming(window, indices, UPPER_SOURCE, p.e);
    const bool stops = indices[END + p.e] < 0 && is_read(window, p.e);
    float arrived = 0, stopped = 0;
    for (int t = 0; t < ANGLES; t++) {
        float sum = 0;
        if (lower >= 0) {
            const float value = arriving(source, numbers, indices, lower, t, p);
            arrived += value;
            sum = numbers[LOWER + lower] * value;
        }
        if (upper >= 0) sum = fmaf(numbers[UPPER + upper], arriving(source, numbers, indices, upper, t, p), sum);
        if (stops) stopped += arriving(source, numbers, indices, p.e, t, p);
        result[slab(p.e, t) + p.cell] = sum;
    }
    if (lower >= 0) *entry(account, ARRIVED, lower, p) += arrived;
    if (stops) *entry(account, ARRIVED, p.e, p) += stopped;
}
