// The definition: one thread a value of C, summed in double precision.
extern "C" __global__ void
matmul(const float *a, const float *b, float *c, int rows, int columns, int inner) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= columns || row >= rows) return;
    double sum = 0;
    for (int k = 0; k < inner; k++)
        sum += (double)a[row * inner + k] * b[k * columns + column];
    c[row * columns + column] = (float)sum;
}
