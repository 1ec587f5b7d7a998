// What a GPU does at most: arithmetic that nothing holds up, and memory that nothing is done with. Grids are x × y groups.
override THREADS: u32;
override ROUNDS: u32;
override VALUES: u32;

@group(0) @binding(0) var<storage, read_write> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> c: array<vec4<f32>>;

/// 16 independent chains a thread of ROUNDS × 4 fused multiply-adds.
@compute @workgroup_size(THREADS)
fn chains(@builtin(global_invocation_id) at: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let thread = at.x + at.y * groups.x * THREADS;
    // Not known to the compiler: b is filled with these.
    let factor = b[0];
    let more = b[1];
    var x = array(vec4(f32(thread)), vec4(f32(thread) + 1.0), vec4(f32(thread) + 2.0), vec4(f32(thread) + 3.0));
    for (var i = 0u; i < ROUNDS; i++) {
        x[0] = fma(x[0], factor, more);
        x[1] = fma(x[1], factor, more);
        x[2] = fma(x[2], factor, more);
        x[3] = fma(x[3], factor, more);
        x[0] = fma(x[0], factor, more);
        x[1] = fma(x[1], factor, more);
        x[2] = fma(x[2], factor, more);
        x[3] = fma(x[3], factor, more);
        x[0] = fma(x[0], factor, more);
        x[1] = fma(x[1], factor, more);
        x[2] = fma(x[2], factor, more);
        x[3] = fma(x[3], factor, more);
        x[0] = fma(x[0], factor, more);
        x[1] = fma(x[1], factor, more);
        x[2] = fma(x[2], factor, more);
        x[3] = fma(x[3], factor, more);
    }
    a[thread % VALUES] = x[0] + x[1] + x[2] + x[3];
}

/// a = b + s·c
@compute @workgroup_size(THREADS)
fn triad(@builtin(global_invocation_id) at: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = at.x + at.y * groups.x * THREADS;
    if (i < VALUES) { a[i] = fma(c[i], vec4(3.0), b[i]); }
}
