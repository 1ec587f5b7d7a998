// C = A · B in single precision: A is rows × inner, B inner × columns, C rows × columns, all row-major.
//
// A block of block_x × block_y threads computes a tile of C; each thread has thread_x × thread_y values of it in registers.
// With `staged`, the block loads tile_k columns of A and rows of B into shared memory before it multiplies them.
// Sizes are multiples of the tiles (the plan's restrictions see to it). The tunables are macros.
#define TILE_X (block_x * thread_x)
#define TILE_Y (block_y * thread_y)
#define THREADS (block_x * block_y)

extern "C" __global__ void __launch_bounds__(THREADS)
matmul(const float *__restrict__ a, const float *__restrict__ b, float *__restrict__ c, int rows, int columns, int inner) {
    const int row = blockIdx.y * TILE_Y, column = blockIdx.x * TILE_X;
    const int index = threadIdx.y * block_x + threadIdx.x;
    float sums[thread_y][thread_x] = {};
#if staged
    __shared__ float tile_a[TILE_Y * tile_k];
    __shared__ float tile_b[tile_k * TILE_X];
#endif
    for (int start = 0; start < inner; start += tile_k) {
#if staged
        for (int i = index; i < TILE_Y * tile_k; i += THREADS)
            tile_a[i] = a[(row + i / tile_k) * inner + start + i % tile_k];
        for (int i = index; i < tile_k * TILE_X; i += THREADS)
            tile_b[i] = b[(start + i / TILE_X) * columns + column + i % TILE_X];
        __syncthreads();
#endif
#pragma unroll unroll
        for (int k = 0; k < tile_k; k++) {
            float left[thread_y];
#pragma unroll
            for (int y = 0; y < thread_y; y++) {
#if staged
                left[y] = tile_a[(threadIdx.y + y * block_y) * tile_k + k];
#else
                left[y] = a[(row + threadIdx.y + y * block_y) * inner + start + k];
#endif
            }
#pragma unroll
            for (int x = 0; x < thread_x; x++) {
#if staged
                const float right = tile_b[k * TILE_X + threadIdx.x + x * block_x];
#else
                const float right = b[(start + k) * columns + column + threadIdx.x + x * block_x];
#endif
#pragma unroll
                for (int y = 0; y < thread_y; y++)
                    sums[y][x] = fmaf(left[y], right, sums[y][x]);
            }
        }
#if staged
        __syncthreads();
#endif
    }
#pragma unroll
    for (int y = 0; y < thread_y; y++)
#pragma unroll
        for (int x = 0; x < thread_x; x++)
            c[(row + threadIdx.y + y * block_y) * columns + column + threadIdx.x + x * block_x] = sums[y][x];
}
