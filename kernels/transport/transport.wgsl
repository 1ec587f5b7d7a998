// Proton transport in phase space (WORKLOADS §3a): scattering along the angles, streaming, loss of energy. transport.cu has the same
// entry points in the same order.
//
// Arrays are [energy][angle][z][x]. A thread has one place of one energy and goes through the angles, so that what leaves the phase
// space is summed by one thread a place, without atomics. A launch reads one array and writes the other.
const NE = {{ energies }}u;
const NT = {{ angles }}u;
const NZ = {{ nz }}u;
const NX = {{ nx }}u;
const PLACES = NZ * NX;
/// Of the longest kernel.
const TAPS = {{ taps }}u;
/// Rows from the last and columns from both rims from which weight can leave.
const RIM_Z = {{ rim_z }}u;
const RIM_X = {{ rim_x }}u;

/// Energies that a launch has; those of which it reads; whether it counts what leaves the slab.
struct Window { first: u32, count: u32, source_first: u32, source_end: u32, leaks: u32, a: u32, b: u32, c: u32 }

@group(0) @binding(0) var<uniform> window: Window;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
/// The same as bits, for what several threads add to: WGSL has no atomic floats.
@group(0) @binding(2) var<storage, read_write> shared_result: array<atomic<u32>>;
/// taps [NE][TAPS] · escaping [NE][NT] · shifts [NT][4] · lower [NE] · upper [NE]
@group(0) @binding(3) var<storage, read> numbers: array<f32>;
/// reach [NE] · ix [NT] · iz [NT] · source of the lower [NE] · of the upper [NE] · lower end, or −1 where all stops [NE]
@group(0) @binding(4) var<storage, read> indices: array<i32>;
/// [arrived, escaped, leaked][NE][PLACES], sums with what their rounding left off (Kahan, Commun. ACM 8, 1965).
@group(0) @binding(5) var<storage, read_write> account: array<vec2<f32>>;

const ESCAPING = NE * TAPS;
const SHIFTS = ESCAPING + NE * NT;
const LOWER = SHIFTS + 4u * NT;
const UPPER = LOWER + NE;
const SIDEWAYS = NE;
const DOWN = SIDEWAYS + NT;
const LOWER_SOURCE = DOWN + NT;
const UPPER_SOURCE = LOWER_SOURCE + NE;
const END = UPPER_SOURCE + NE;

const ARRIVED = 0u;
const ESCAPED = NE * PLACES;
const LEAKED = 2u * NE * PLACES;

struct Place { is_inside: bool, e: u32, z: u32, x: u32, cell: u32 }

fn place_of(at: vec3<u32>) -> Place {
    let is_inside = at.x < NX && at.y < NZ && at.z < window.count;
    return Place(is_inside, window.first + at.z, at.y, at.x, at.y * NX + at.x);
}

fn slab(e: u32, t: u32) -> u32 { return (e * NT + t) * PLACES; }

fn enter(kind: u32, p: Place, e: u32, value: f32) {
    let i = kind + e * PLACES + p.cell;
    let before = account[i];
    let rest = value - before.y;
    let sum = before.x + rest;
    account[i] = vec2(sum, (sum - before.x) - rest);
}

/// The beam into the phase space, and an empty account.
@compute @workgroup_size({{ group_x }}, {{ group_z }})
fn begin(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    for (var t = 0u; t < NT; t++) { result[slab(p.e, t) + p.cell] = source[slab(p.e, t) + p.cell]; }
    account[ARRIVED + p.e * PLACES + p.cell] = vec2(0.0);
    account[ESCAPED + p.e * PLACES + p.cell] = vec2(0.0);
    account[LEAKED + p.e * PLACES + p.cell] = vec2(0.0);
}

/// Zeros, before what is added to.
@compute @workgroup_size({{ group_x }}, {{ group_z }})
fn clear(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    for (var t = 0u; t < NT; t++) { result[slab(p.e, t) + p.cell] = 0.0; }
}

/// Share of an angle's weight in a cell that leaves the slab within a step.
fn leaving(p: Place, t: u32) -> f32 {
    let x = i32(p.x) + indices[SIDEWAYS + t];
    let z = i32(p.z) + indices[DOWN + t];
    var share = 0.0;
    for (var k = 0; k < 4; k++) {
        let is_out = x + (k & 1) < 0 || x + (k & 1) >= i32(NX) || z + (k >> 1u) >= i32(NZ);
        share += select(0.0, numbers[SHIFTS + 4u * t + u32(k)], is_out);
    }
    return share;
}

@compute @workgroup_size({{ group_x }}, {{ group_z }})
fn scatter(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    let reach = indices[p.e];
    let taps = p.e * TAPS;
    let is_rim = p.z + RIM_Z >= NZ || p.x < RIM_X || p.x + RIM_X >= NX;
    var escaped = 0.0;
    var leaked = 0.0;
    for (var t = 0; t < i32(NT); t++) {
        var sum = 0.0;
        let last = min(t + reach, i32(NT) - 1);
        for (var s = max(t - reach, 0); s <= last; s++) {
            sum = fma(numbers[taps + u32(t - s + reach)], source[slab(p.e, u32(s)) + p.cell], sum);
        }
        result[slab(p.e, u32(t)) + p.cell] = sum;
        escaped = fma(numbers[ESCAPING + p.e * NT + u32(t)], source[slab(p.e, u32(t)) + p.cell], escaped);
        if (is_rim) { leaked = fma(leaving(p, u32(t)), sum, leaked); }
    }
    enter(ESCAPED, p, p.e, escaped);
    if (window.leaks != 0u) { enter(LEAKED, p, p.e, leaked); }
}

fn weight_at(e: u32, t: u32, z: i32, x: i32) -> f32 {
    if (z < 0 || x < 0 || z >= i32(NZ) || x >= i32(NX)) { return 0.0; }
    return source[slab(e, t) + u32(z) * NX + u32(x)];
}

/// What arrives in a cell.
fn arriving(e: u32, t: u32, p: Place) -> f32 {
    let x = i32(p.x) - indices[SIDEWAYS + t];
    let z = i32(p.z) - indices[DOWN + t];
    let w = SHIFTS + 4u * t;
    var sum = numbers[w] * weight_at(e, t, z, x);
    sum = fma(numbers[w + 1u], weight_at(e, t, z, x - 1), sum);
    sum = fma(numbers[w + 2u], weight_at(e, t, z - 1, x), sum);
    return fma(numbers[w + 3u], weight_at(e, t, z - 1, x - 1), sum);
}

@compute @workgroup_size({{ group_x }}, {{ group_z }})
fn stream_gather(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    for (var t = 0u; t < NT; t++) { result[slab(p.e, t) + p.cell] = arriving(p.e, t, p); }
}

fn add(i: u32, value: f32) {
    var before = atomicLoad(&shared_result[i]);
    loop {
        let after = bitcast<u32>(bitcast<f32>(before) + value);
        let found = atomicCompareExchangeWeak(&shared_result[i], before, after);
        if (found.exchanged) { break; }
        before = found.old_value;
    }
}

@compute @workgroup_size({{ group_x }}, {{ group_z }})
fn stream_scatter(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    for (var t = 0u; t < NT; t++) {
        let value = source[slab(p.e, t) + p.cell];
        let x0 = i32(p.x) + indices[SIDEWAYS + t];
        let z0 = i32(p.z) + indices[DOWN + t];
        if (value != 0.0) {
            for (var k = 0; k < 4; k++) {
                let x = x0 + (k & 1);
                let z = z0 + (k >> 1u);
                if (x >= 0 && x < i32(NX) && z < i32(NZ)) {
                    add(slab(p.e, t) + u32(z) * NX + u32(x), numbers[SHIFTS + 4u * t + u32(k)] * value);
                }
            }
        }
    }
}

/// An energy from which weight comes, or −1: none, or none that this step has.
fn coming(table: u32, e: u32) -> i32 {
    let found = indices[table + e];
    return select(-1, found, found >= i32(window.source_first) && found < i32(window.source_end));
}

fn is_read(e: u32) -> bool { return e >= window.source_first && e < window.source_end; }

@compute @workgroup_size({{ group_x }}, {{ group_z }})
fn energy_gather(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    let lower = coming(LOWER_SOURCE, p.e);
    let upper = coming(UPPER_SOURCE, p.e);
    var arrived = 0.0;
    for (var t = 0u; t < NT; t++) {
        var sum = 0.0;
        if (lower >= 0) { sum = numbers[LOWER + u32(lower)] * source[slab(u32(lower), t) + p.cell]; }
        if (upper >= 0) { sum = fma(numbers[UPPER + u32(upper)], source[slab(u32(upper), t) + p.cell], sum); }
        result[slab(p.e, t) + p.cell] = sum;
        if (is_read(p.e)) { arrived += source[slab(p.e, t) + p.cell]; }
    }
    if (is_read(p.e)) { enter(ARRIVED, p, p.e, arrived); }
}

@compute @workgroup_size({{ group_x }}, {{ group_z }})
fn energy_scatter(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside || !is_read(p.e)) { return; }
    let end = indices[END + p.e];
    var arrived = 0.0;
    for (var t = 0u; t < NT; t++) {
        let value = source[slab(p.e, t) + p.cell];
        arrived += value;
        if (end >= 0 && value != 0.0) {
            add(slab(u32(end), t) + p.cell, numbers[LOWER + p.e] * value);
            add(slab(u32(end) + 1u, t) + p.cell, numbers[UPPER + p.e] * value);
        }
    }
    enter(ARRIVED, p, p.e, arrived);
}

/// Streaming and loss together: what streamed is summed where it ends and never stored. What arrived at an energy is counted by
/// the thread of its lower end, or by its own where all stops.
@compute @workgroup_size({{ group_x }}, {{ group_z }})
fn stream_energy(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    let lower = coming(LOWER_SOURCE, p.e);
    let upper = coming(UPPER_SOURCE, p.e);
    let stops = indices[END + p.e] < 0 && is_read(p.e);
    var arrived = 0.0;
    var stopped = 0.0;
    for (var t = 0u; t < NT; t++) {
        var sum = 0.0;
        if (lower >= 0) {
            let value = arriving(u32(lower), t, p);
            arrived += value;
            sum = numbers[LOWER + u32(lower)] * value;
        }
        if (upper >= 0) { sum = fma(numbers[UPPER + u32(upper)], arriving(u32(upper), t, p), sum); }
        if (stops) { stopped += arriving(p.e, t, p); }
        result[slab(p.e, t) + p.cell] = sum;
    }
    if (lower >= 0) { enter(ARRIVED, p, u32(lower), arrived); }
    if (stops) { enter(ARRIVED, p, p.e, stopped); }
}
