// What a GPU does at most: arithmetic that nothing holds up, and memory that nothing is done with. Grids are x × y groups.
// Macros: THREADS, ROUNDS, VALUES.
__device__ inline float4 fma4(float4 x, float4 y, float4 z) {
    return make_float4(fmaf(x.x, y.x, z.x), fmaf(x.y, y.y, z.y), fmaf(x.z, y.z, z.z), fmaf(x.w, y.w, z.w));
}

/// 16 independent chains a thread of ROUNDS × 4 fused multiply-adds.
extern "C" __global__ void __launch_bounds__(THREADS)
chains(float4 *__restrict__ a, const float4 *__restrict__ b, const float4 *__restrict__ c) {
    const unsigned thread = (blockIdx.x + blockIdx.y * gridDim.x) * THREADS + threadIdx.x;
    // Not known to the compiler: b is filled with these.
    const float4 factor = b[0], more = b[1];
    float4 x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) x[i] = make_float4(thread + i, thread + i, thread + i, thread + i);
    for (unsigned round = 0; round < ROUNDS; round++)
#pragma unroll
        for (int step = 0; step < 4; step++)
#pragma unroll
            for (int i = 0; i < 4; i++) x[i] = fma4(x[i], factor, more);
    a[thread % VALUES] = fma4(x[0], x[1], fma4(x[2], x[3], more));
}

/// a = b + s·c
extern "C" __global__ void __launch_bounds__(THREADS)
triad(float4 *__restrict__ a, const float4 *__restrict__ b, const float4 *__restrict__ c) {
    const unsigned i = (blockIdx.x + blockIdx.y * gridDim.x) * THREADS + threadIdx.x;
    if (i < VALUES) a[i] = fma4(c[i], make_float4(3, 3, 3, 3), b[i]);
}
