// Enough of CUDA C++ for a processor: the threads of a block are coroutines that take turns at barriers.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <ucontext.h>

#define __device__ static
#define __global__
#define __shared__ static
#define __constant__
#define __launch_bounds__(threads)
#define __restrict__ __restrict
#define __align__(n) alignas(n)

struct uint3 { unsigned x, y, z; };
struct uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

static uint3 threadIdx, blockIdx, blockDim, gridDim;
alignas(16) static unsigned char dynamic[8 << 20];

static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline unsigned __float_as_uint(float v) { unsigned u; memcpy(&u, &v, 4); return u; }
static inline float __uint_as_float(unsigned u) { float v; memcpy(&v, &u, 4); return v; }
template <typename T> static inline T atomicAdd(T *to, T value) { T old = *to; *to = old + value; return old; }
// glibc has a function of this name.
#define __sincosf fast_sincosf
static inline void fast_sincosf(float v, float *s, float *c) { *s = sinf(v); *c = cosf(v); }

// Numbers that are rounded after every operation.
static inline float rounded(float v, int bits, float least_normal) {
    if (!std::isfinite(v) || v == 0) return v;
    int exponent;
    frexpf(v, &exponent);
    const float step = ldexpf(1, (fabsf(v) < least_normal ? ilogbf(least_normal) : exponent - 1) - bits);
    return nearbyintf(v / step) * step;
}
struct __half {
    float v;
    __half() = default;
    explicit __half(float to) : v(rounded(to, 10, 6.103515625e-5f)) { if (fabsf(v) > 65504) v = copysignf(INFINITY, v); }
    explicit operator float() const { return v; }
};
struct __nv_bfloat16 {
    float v;
    __nv_bfloat16() = default;
    explicit __nv_bfloat16(float to) : v(rounded(to, 7, 1.17549435e-38f)) {}
    explicit operator float() const { return v; }
};
#define OPERATIONS(T)                                                                                                              \
    static inline T operator+(T a, T b) { return T(a.v + b.v); }                                                                   \
    static inline T operator-(T a, T b) { return T(a.v - b.v); }                                                                   \
    static inline T operator*(T a, T b) { return T(a.v * b.v); }                                                                   \
    static inline T operator-(T a) { return T(-a.v); }                                                                             \
    static inline bool operator<(T a, T b) { return a.v < b.v; }                                                                   \
    static inline bool operator>=(T a, T b) { return a.v >= b.v; }                                                                 \
    static inline T hsqrt(T a) { return T(sqrtf(a.v)); }
OPERATIONS(__half)
OPERATIONS(__nv_bfloat16)
static inline unsigned short __half_as_ushort(__half h) {
    const unsigned sign = std::signbit(h.v) ? 0x8000 : 0;
    const float m = fabsf(h.v);
    if (std::isnan(m)) return sign | 0x7e00;
    if (std::isinf(m)) return sign | 0x7c00;
    if (m < 6.103515625e-5f) return sign | (unsigned)(m * 16777216.0f);
    return sign | (unsigned)((ilogbf(m) + 15) << 10) | ((unsigned)ldexpf(m, 10 - ilogbf(m)) & 0x3ff);
}
static inline __half __ushort_as_half(unsigned short bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
    const float m = exponent == 0 ? mantissa / 16777216.0f : ldexpf(1024 + mantissa, exponent - 25);
    return __half(bits & 0x8000 ? -m : m);
}
static inline float __half2float(__half h) { return h.v; }
static inline __half __float2half_rn(float v) { return __half(v); }

// Threads take turns, so nothing comes between.
static inline float atomicAdd(float *at, float value) {
    const float before = *at;
    *at += value;
    return before;
}

static ucontext_t scheduler, *running;
static void (*work)();
static bool is_done, has_barriers;
static inline void __syncthreads() {
    has_barriers = true;
    swapcontext(running, &scheduler);
}
static void coroutine() { work(); is_done = true; }

static uint3 thread(size_t t, const unsigned *block) {
    return {(unsigned)(t % block[0]), (unsigned)(t / block[0] % block[1]), (unsigned)(t / block[0] / block[1])};
}

/// Runs a grid, block after block.
static void run(const unsigned *grid, const unsigned *block, void (*kernel)()) {
    const size_t stack = 64 << 10, count = (size_t)block[0] * block[1] * block[2];
    std::unique_ptr<char[]> stacks(new char[stack * count]);
    std::unique_ptr<ucontext_t[]> contexts(new ucontext_t[count]);
    std::unique_ptr<bool[]> done(new bool[count]);
    work = kernel;
    has_barriers = false;
    blockDim = {block[0], block[1], block[2]};
    gridDim = {grid[0], grid[1], grid[2]};
    for (unsigned z = 0; z < grid[2]; z++)
        for (unsigned y = 0; y < grid[1]; y++)
            for (unsigned x = 0; x < grid[0]; x++) {
                blockIdx = {x, y, z};
                // Threads that met no barrier in the first block meet none in the others.
                if (x + y + z > 0 && !has_barriers) {
                    for (size_t t = 0; t < count; t++) {
                        threadIdx = thread(t, block);
                        work();
                    }
                    continue;
                }
                for (size_t t = 0; t < count; t++) {
                    getcontext(&contexts[t]);
                    contexts[t].uc_stack.ss_sp = &stacks[stack * t];
                    contexts[t].uc_stack.ss_size = stack;
                    contexts[t].uc_link = &scheduler;
                    makecontext(&contexts[t], coroutine, 0);
                    done[t] = false;
                }
                for (size_t left = count; left > 0;)
                    for (size_t t = 0; t < count; t++) {
                        if (done[t]) continue;
                        threadIdx = thread(t, block);
                        is_done = false;
                        running = &contexts[t];
                        swapcontext(&scheduler, running);
                        done[t] = is_done;
                        left -= is_done;
                    }
            }
}

// Not members of a template: the loader makes those one for all libraries of the process.
static void **pointers;
static void (*target)();
template <typename... T, size_t... I> static void expand(std::index_sequence<I...>) {
    ((void (*)(T...))target)((T)pointers[I]...);
}
template <typename... T> static void call() { expand<T...>(std::make_index_sequence<sizeof...(T)>()); }
template <typename... T> static void start(void (*kernel)(T...), const unsigned *grid, const unsigned *block, void **arguments) {
    pointers = arguments;
    target = (void (*)())kernel;
    run(grid, block, call<T...>);
}
