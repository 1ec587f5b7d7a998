// Images that cameras see of whole-sphere frames (WORKLOADS §5a): each thread looks up four pixels of a row, of one frame or of
// all frames of a batch. e2p.wgsl has the same entry points in the same order.
//
// A group has TILE_X / 4 by TILE_Y threads. Frames are [frame][row][column][3] bytes, four to a word, or pixels that `load` made of
// them: a word each, or four halves. Images are [frame][camera][row][column][3] bytes, four to a word.
//
// Macros: WIDTH, HEIGHT, OUT_WIDTH, OUT_HEIGHT, STRIDE (pixels from a map's row to the next), CAMERAS, TILE_X, TILE_Y, ROW_BITS (of a
// fixed-point word, for its row), STEPS (of a column to a pixel), FIRST_X, STEP_X, FIRST_Y, STEP_Y (on the plane one unit ahead), MAP
// (0 f32, 1 fixed, 2 trig), WRAPS, PIXELS (0 rgb8, 1 rgba8, 2 halves), INTERPOLATION (0 nearest, 1 bilinear, 3 bicubic),
// IS_CAMERA_OUTER. Products and sums are rounded one by one, as on a processor.
#if PIXELS == 2
#include <cuda_fp16.h>
#endif
#define PI 3.14159265f

struct Box { unsigned first_camera, cameras, frames, more; };
struct Camera {
    // From x, y and 1 on the plane to the ray, before the yaw.
    float4 right, up, ahead;
    // Columns to the right of its map, or of what its ray gives.
    float shift;
    unsigned map, more[2];
};
// The pixel above and to the left of where is looked, and how near it is: of a pixel, or with a fixed-point map, of 1/32 of one.
struct Place { int column, row; float a, b; };
struct Levels { float x, y, z; };

#define ARGUMENTS                                                                                                                  \
    const Box *__restrict__ box, const unsigned *__restrict__ frames, unsigned *__restrict__ pixels,                               \
        const Camera *__restrict__ cameras, const unsigned *__restrict__ map, const unsigned *__restrict__ first_rows,             \
        unsigned *__restrict__ images
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)

__device__ inline float times(float a, float b) { return __fmul_rn(a, b); }
__device__ inline float plus(float a, float b) { return __fadd_rn(a, b); }

// atan2 as in src/workload/e2p/places.rs.
__device__ inline float arctangent(float y, float x) {
    const float high = fabsf(y), wide = fabsf(x), small = fminf(high, wide), large = fmaxf(high, wide);
    const float ratio = small / (large > 0 ? large : 1.0f);
    const bool is_steep = ratio > 0.41421356f;
    const float t = is_steep ? (ratio - 1.0f) / (ratio + 1.0f) : ratio, z = t * t;
    const float series = ((8.0537445e-2f * z - 1.3877686e-1f) * z + 1.9977711e-1f) * z - 3.333295e-1f;
    float angle = (is_steep ? 0.25f * PI : 0.0f) + (series * z * t + t);
    angle = high < wide ? angle : 0.5f * PI - angle;
    angle = x < 0 ? PI - angle : angle;
    return y < 0 ? -angle : angle;
}

__device__ inline Place place(float u, float v) {
    const int column = (int)u, row = (int)v;
    return {column, row, u - (float)column, v - (float)row};
}

// To the right, and on the other side beyond the seam. Never beyond the width in between, where columns would lose a bit.
__device__ inline float shifted(float column, float shift) {
    const float seam = WIDTH - shift;
    return WRAPS && column >= seam ? column - seam : column + shift;
}

__device__ inline Place find(const Camera &camera, const unsigned *map, const unsigned *first_rows, unsigned column, unsigned row) {
#if MAP == 2
    const float x = (float)(FIRST_X) + (float)(STEP_X) * (float)column, y = (float)(FIRST_Y) + (float)(STEP_Y) * (float)row;
    const float right = camera.right.x * x + camera.right.y * y + camera.right.z;
    const float up = camera.up.x * x + camera.up.y * y + camera.up.z;
    const float ahead = camera.ahead.x * x + camera.ahead.y * y + camera.ahead.z;
    const float turn = arctangent(right, ahead), rise = arctangent(up, sqrtf(right * right + ahead * ahead));
    const float ideal = turn * (WIDTH / (2.0f * PI)) + (0.5f * WIDTH - 0.5f);
    // On the grid of maps, and shifted by the yaw as they are.
    const float u = floorf(ideal * (float)(STEPS) + 0.5f) / (float)(STEPS);
    const float v = 0.5f * HEIGHT - 0.5f - rise * (HEIGHT / PI);
    return place(shifted(u < 0 ? u + WIDTH : u, camera.shift), fminf(fmaxf(v, 0.0f), HEIGHT - 1.0f));
#else
    const unsigned p = (camera.map * OUT_HEIGHT + row) * STRIDE + column;
#if MAP == 1
    const unsigned word = map[p];
    int u = (int)(word >> ROW_BITS) + (int)(32.0f * camera.shift);
    u = u >= 32 * WIDTH ? u - 32 * WIDTH : u;
    const int v = (int)(word & ((1u << ROW_BITS) - 1));
    return {u >> 5, (int)first_rows[p / 16] + (v >> 5), (float)(u & 31), (float)(v & 31)};
#else
    const float u = shifted(__uint_as_float(map[2 * p]), camera.shift);
    return place(u, __uint_as_float(map[2 * p + 1]));
#endif
#endif
}

// Red, green and blue of a pixel, which may lie beyond the seam or an edge.
__device__ inline Levels levels(const unsigned *frames, const unsigned *pixels, unsigned frame, int column, int row) {
    const int i = column < 0 ? (WRAPS ? column + WIDTH : 0) : column >= WIDTH ? (WRAPS ? column - WIDTH : WIDTH - 1) : column;
    const int j = row < 0 ? 0 : row >= HEIGHT ? HEIGHT - 1 : row;
    const size_t at = (size_t)frame * (WIDTH * HEIGHT) + (unsigned)(j * WIDTH + i);
#if PIXELS == 2
    const unsigned rg = pixels[2 * at], b = pixels[2 * at + 1];
    return {__half2float(__ushort_as_half(rg & 0xffff)), __half2float(__ushort_as_half(rg >> 16)), __half2float(__ushort_as_half(b & 0xffff))};
#else
#if PIXELS == 1
    const unsigned bits = pixels[at];
#else
    const size_t byte = 3 * at;
    const unsigned shift = 8 * (unsigned)(byte % 4);
    unsigned bits = frames[byte / 4] >> shift;
    if (shift > 8) bits |= frames[byte / 4 + 1] << (32 - shift);
#endif
    return {(float)(bits & 255), (float)(bits >> 8 & 255), (float)(bits >> 16 & 255)};
#endif
}

__device__ inline unsigned rounded(float v) { return (unsigned)fminf(fmaxf(rintf(v), 0.0f), 255.0f); }
__device__ inline unsigned word_of(Levels v) { return rounded(v.x) | rounded(v.y) << 8 | rounded(v.z) << 16; }

#if PIXELS == 2
__device__ inline float half_of(float v) { return __half2float(__float2half_rn(v)); }
__device__ inline float between(float start, float end, float t) { return half_of(start + half_of(t * half_of(end - start))); }
#else
__device__ inline float between(float start, float end, float t) { return plus(start, times(t, plus(end, -start))); }
#endif
__device__ inline Levels between(Levels start, Levels end, float t) {
    return {between(start.x, end.x, t), between(start.y, end.y, t), between(start.z, end.z, t)};
}
__device__ inline Levels scaled(Levels v, float by) { return {times(v.x, by), times(v.y, by), times(v.z, by)}; }
__device__ inline Levels plus(Levels a, Levels b) { return {plus(a.x, b.x), plus(a.y, b.y), plus(a.z, b.z)}; }

__device__ inline void cubic(float t, float *weights) {
    // Keys' kernel with −0.75, at t + 1, t and 1 − t.
    const float far = t + 1.0f, near = 1.0f - t;
    weights[0] = ((-0.75f * far + 3.75f) * far - 6.0f) * far + 3.0f;
    weights[1] = (1.25f * t - 2.25f) * t * t + 1.0f;
    weights[2] = (1.25f * near - 2.25f) * near * near + 1.0f;
    weights[3] = 1.0f - weights[0] - weights[1] - weights[2];
}

__device__ inline unsigned look(const unsigned *frames, const unsigned *pixels, unsigned frame, Place at) {
#define LEVELS(i, j) levels(frames, pixels, frame, at.column + (i), at.row + (j))
#if INTERPOLATION == 0
    return word_of(LEVELS(at.a >= 0.5f, at.b >= 0.5f));
#elif INTERPOLATION == 3
    float across[4], down[4];
    cubic(at.a, across);
    cubic(at.b, down);
    Levels sum = {0, 0, 0};
    for (int j = 0; j < 4; j++) {
        Levels line = {0, 0, 0};
        for (int i = 0; i < 4; i++) line = plus(line, scaled(LEVELS(i - 1, j - 1), across[i]));
        sum = plus(sum, scaled(line, down[j]));
    }
    return word_of(sum);
#else
    const Levels p0 = LEVELS(0, 0), p1 = LEVELS(1, 0), q0 = LEVELS(0, 1), q1 = LEVELS(1, 1);
#if MAP == 1
    // Whole numbers below 2²⁴, so that this is exact.
    const Levels above = plus(scaled(p0, 32.0f - at.a), scaled(p1, at.a)), below = plus(scaled(q0, 32.0f - at.a), scaled(q1, at.a));
    const Levels sum = plus(scaled(above, 32.0f - at.b), scaled(below, at.b));
    return ((unsigned)sum.x + 512) >> 10 | ((unsigned)sum.y + 512) >> 10 << 8 | ((unsigned)sum.z + 512) >> 10 << 16;
#else
#if PIXELS == 2
    const float a = half_of(at.a), b = half_of(at.b);
#else
    const float a = at.a, b = at.b;
#endif
    return word_of(between(between(p0, p1, a), between(q0, q1, a), b));
#endif
#endif
}

#if PIXELS != 0
// Four pixels of a frame: three words to four or eight.
KERNEL(256) load(ARGUMENTS) {
    const unsigned quads = WIDTH * HEIGHT / 4, i = blockIdx.x * 256 + threadIdx.x;
    if (i >= quads) return;
    const size_t q = (size_t)blockIdx.z * quads + i;
    const unsigned x = frames[3 * q], y = frames[3 * q + 1], z = frames[3 * q + 2];
    const unsigned four[4] = {x & 0xffffffu, x >> 24 | (y & 0xffffu) << 8, y >> 16 | (z & 255u) << 16, z >> 8};
    for (int k = 0; k < 4; k++) {
#if PIXELS == 2
        const unsigned short r = __half_as_ushort(__float2half_rn((float)(four[k] & 255))), g = __half_as_ushort(__float2half_rn((float)(four[k] >> 8 & 255)));
        pixels[8 * q + 2 * k] = r | (unsigned)g << 16;
        pixels[8 * q + 2 * k + 1] = __half_as_ushort(__float2half_rn((float)(four[k] >> 16)));
#else
        pixels[4 * q + k] = four[k];
#endif
    }
}
#endif

KERNEL(TILE_X / 4 * TILE_Y) remap(ARGUMENTS) {
    const unsigned column = blockIdx.x * TILE_X + 4 * threadIdx.x, row = blockIdx.y * TILE_Y + threadIdx.y;
    if (column >= OUT_WIDTH || row >= OUT_HEIGHT) return;
    const unsigned number = box->first_camera + blockIdx.z % box->cameras;
    const Camera camera = cameras[number];
    Place places[4];
    for (unsigned k = 0; k < 4; k++) places[k] = find(camera, map, first_rows, column + k, row);
#if IS_CAMERA_OUTER
    for (unsigned frame = 0; frame < box->frames; frame++) {
#else
    {
        const unsigned frame = blockIdx.z / box->cameras;
#endif
        unsigned w[4];
        for (unsigned k = 0; k < 4; k++) w[k] = look(frames, pixels, frame, places[k]);
        const size_t to = 3 * (((((size_t)frame * CAMERAS + number) * OUT_HEIGHT + row) * OUT_WIDTH + column) / 4);
        images[to] = w[0] | w[1] << 24;
        images[to + 1] = w[1] >> 8 | w[2] << 16;
        images[to + 2] = w[2] >> 16 | w[3] << 8;
    }
}
