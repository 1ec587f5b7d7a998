// The definition: one thread a value of C, products summed with Neumaier's compensation.
override rows: u32;
override columns: u32;
override inner: u32;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(8, 8)
fn matmul(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x >= columns || at.y >= rows {
        return;
    }
    var sum = 0.0;
    var lost = 0.0;
    for (var k = 0u; k < inner; k++) {
        let term = a[at.y * inner + k] * b[k * columns + at.x];
        let next = sum + term;
        lost += select((term - next) + sum, (sum - next) + term, abs(sum) >= abs(term));
        sum = next;
    }
    c[at.y * columns + at.x] = sum + lost;
}
