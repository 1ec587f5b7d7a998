// Proton transport in phase space (WORKLOADS §3a): scattering along the angles, streaming, loss of energy. transport.cu has the same
// entry points in the same order.
//
// Arrays have a cell for every energy, angle and place (z, x); `layout` says which of them is fastest. A thread has one place of one
// energy (of BAND energies where all operators are one kernel) and goes through the angles, so that what leaves the phase space is
// summed by one thread a place, without atomics. A launch reads one array and writes the other.
{% if number == "f16" %}enable f16;
{% endif -%}
alias Number = {{ number }};
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
const GROUP_X = {{ group_x }}u;
const GROUP_Z = {{ group_z }}u;
const BAND = {{ band }}u;
/// Weight of a plane, row or angle that is left out.
const CUTOFF = {{ cutoff }}f;

/// Energies that a launch has; those of which it reads; whether it counts what leaves the slab; which half of the extents holds; that
/// it clears, or trims, for what comes after the loss of energy or after a second scattering.
struct Window { first: u32, count: u32, source_first: u32, source_end: u32, leaks: u32, half: u32, after: u32, unused: u32 }

@group(0) @binding(0) var<uniform> window: Window;
@group(0) @binding(1) var<storage, read> source: array<Number>;
@group(0) @binding(2) var<storage, read_write> result: array<Number>;
/// The same as bits, for what several threads add to: WGSL has no atomic floats.
@group(0) @binding(2) var<storage, read_write> shared_result: array<atomic<u32>>;
/// taps [NE][TAPS] · escaping [NE][NT] · shifts [NT][4] · lower [NE] · upper [NE]
@group(0) @binding(3) var<storage, read> numbers: array<f32>;
/// reach [NE] · ix [NT] · iz [NT] · source of the lower [NE] · of the upper [NE] · lower end, or −1 where all stops [NE] ·
/// first extents [NE][4]
@group(0) @binding(4) var<storage, read> indices: array<i32>;
/// [arrived, escaped, leaked][NE][PLACES] · cut [NE] · cells visited [NE], sums with what their rounding left off (Kahan,
/// Commun. ACM 8, 1965).
@group(0) @binding(5) var<storage, read_write> account: array<vec2<f32>>;
/// [2][NE]: before and after a step. First row and end, first angle and end of what may hold weight; what is beyond is never read.
@group(0) @binding(6) var<storage, read_write> extents: array<vec4<i32>>;

const ESCAPING = NE * TAPS;
const SHIFTS = ESCAPING + NE * NT;
const LOWER = SHIFTS + 4u * NT;
const UPPER = LOWER + NE;
const SIDEWAYS = NE;
const DOWN = SIDEWAYS + NT;
const LOWER_SOURCE = DOWN + NT;
const UPPER_SOURCE = LOWER_SOURCE + NE;
const END = UPPER_SOURCE + NE;
const FIRST_EXTENTS = END + NE;

const ARRIVED = 0u;
const ESCAPED = NE * PLACES;
const LEAKED = 2u * NE * PLACES;
const CUT = 3u * NE * PLACES;
const VISITED = CUT + NE;

struct Place { is_inside: bool, e: u32, z: u32, x: u32, cell: u32 }

fn place_of(at: vec3<u32>) -> Place {
    let is_inside = at.x < NX && at.y < NZ && at.z < window.count;
    return Place(is_inside, window.first + at.z, at.y, at.x, at.y * NX + at.x);
}

fn index(e: u32, t: u32, cell: u32) -> u32 {
{%- if layout == 0 %}
    return (e * NT + t) * PLACES + cell;
{%- elif layout == 1 %}
    return (e * PLACES + cell) * NT + t;
{%- else %}
    return (cell * NE + e) * NT + t;
{%- endif %}
}

fn stored(e: u32, t: u32, cell: u32) -> f32 { return f32(source[index(e, t, cell)]); }
fn store(e: u32, t: u32, cell: u32, value: f32) { result[index(e, t, cell)] = Number(value); }

fn enter(i: u32, value: f32) {
    if (value == 0.0) { return; }
    let before = account[i];
    let rest = value - before.y;
    let sum = before.x + rest;
    account[i] = vec2(sum, (sum - before.x) - rest);
}

fn is_read(e: u32) -> bool { return e >= window.source_first && e < window.source_end; }

/// An energy from which weight comes, or −1: none, or none that this step has.
fn coming(table: u32, e: u32) -> i32 {
    let found = indices[table + e];
    return select(-1, found, found >= i32(window.source_first) && found < i32(window.source_end));
}

const WHOLE = vec4<i32>(0, i32(NZ), 0, i32(NT));

fn is_empty(extent: vec4<i32>) -> bool { return extent.x >= extent.y || extent.z >= extent.w; }

fn has(extent: vec4<i32>, t: u32, z: u32) -> bool {
    return i32(z) >= extent.x && i32(z) < extent.y && i32(t) >= extent.z && i32(t) < extent.w;
}

fn has_angle(extent: vec4<i32>, t: u32) -> bool { return !is_empty(extent) && i32(t) >= extent.z && i32(t) < extent.w; }

fn has_row(extent: vec4<i32>, z: u32) -> bool { return i32(z) >= extent.x && i32(z) < extent.y; }

{% if has_extents -%}
/// The extent of an energy when the step begins.
fn held(e: u32) -> vec4<i32> { return extents[window.half * NE + e]; }

/// After the scattering.
fn scattered(e: u32) -> vec4<i32> {
    let extent = held(e);
    let reach = indices[e];
    let wider = vec4(extent.x, extent.y, max(extent.z - reach, 0), min(extent.w + reach, i32(NT)));
    return select(wider, extent, is_empty(extent));
}

/// After the streaming.
fn streamed(e: u32) -> vec4<i32> {
    let extent = scattered(e);
    let longer = vec4(extent.x, min(extent.y + i32(RIM_Z), i32(NZ)), extent.zw);
    return select(longer, extent, is_empty(extent));
}

/// After the loss of energy.
fn ended(e: u32) -> vec4<i32> {
    let lower = coming(LOWER_SOURCE, e);
    let upper = coming(UPPER_SOURCE, e);
    var a = vec4<i32>();
    var b = vec4<i32>();
    if (lower >= 0) { a = streamed(u32(lower)); }
    if (upper >= 0) { b = streamed(u32(upper)); }
    if (is_empty(a)) { return b; }
    if (is_empty(b)) { return a; }
    return vec4(min(a.x, b.x), max(a.y, b.y), min(a.z, b.z), max(a.w, b.w));
}
{%- else -%}
fn held(e: u32) -> vec4<i32> { return WHOLE; }
fn scattered(e: u32) -> vec4<i32> { return WHOLE; }
fn streamed(e: u32) -> vec4<i32> { return WHOLE; }
fn ended(e: u32) -> vec4<i32> { return WHOLE; }
{%- endif %}

/// The beam into the phase space, and an empty account.
@compute @workgroup_size(GROUP_X, GROUP_Z)
fn begin(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    var extent = WHOLE;
{%- if has_extents %}
    let f = FIRST_EXTENTS + 4u * p.e;
    extent = vec4(indices[f], indices[f + 1u], indices[f + 2u], indices[f + 3u]);
    if (p.cell == 0u) { extents[p.e] = extent; }
{%- endif %}
    if (is_read(p.e) && has_row(extent, p.z)) {
        for (var t = u32(extent.z); t < u32(extent.w); t++) { result[index(p.e, t, p.cell)] = source[index(p.e, t, p.cell)]; }
    }
    account[ARRIVED + p.e * PLACES + p.cell] = vec2(0.0);
    account[ESCAPED + p.e * PLACES + p.cell] = vec2(0.0);
    account[LEAKED + p.e * PLACES + p.cell] = vec2(0.0);
    if (p.cell == 0u) {
        account[CUT + p.e] = vec2(0.0);
        account[VISITED + p.e] = vec2(0.0);
    }
}

/// Zeros, before what is added to.
@compute @workgroup_size(GROUP_X, GROUP_Z)
fn clear(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    var extent = streamed(p.e);
    if (window.after != 0u) { extent = ended(p.e); }
    if (!has_row(extent, p.z)) { return; }
    for (var t = u32(extent.z); t < u32(extent.w); t++) { store(p.e, t, p.cell, 0.0); }
}

/// What scattering brings to an angle of a place.
fn collected(e: u32, t: u32, cell: u32, extent: vec4<i32>) -> f32 {
    let reach = indices[e];
    // Tap t − s + reach is source s's.
    let tap = i32(e * TAPS) + i32(t) + reach;
    var sum = 0.0;
    let end = min(i32(t) + reach + 1, extent.w);
    for (var s = max(i32(t) - reach, extent.z); s < end; s++) { sum = fma(numbers[tap - s], stored(e, u32(s), cell), sum); }
    return sum;
}

/// Weight of a place that scattering takes out of the angles: from as many at either end as a kernel reaches.
fn escaping(e: u32, cell: u32, extent: vec4<i32>) -> f32 {
    let reach = indices[e];
    let middle = min(reach, i32(NT));
    var sum = 0.0;
    for (var t = extent.z; t < min(middle, extent.w); t++) {
        sum = fma(numbers[ESCAPING + e * NT + u32(t)], stored(e, u32(t), cell), sum);
    }
    for (var t = max(max(middle, i32(NT) - reach), extent.z); t < extent.w; t++) {
        sum = fma(numbers[ESCAPING + e * NT + u32(t)], stored(e, u32(t), cell), sum);
    }
    return sum;
}

/// Whether weight of a place can leave the slab within a step.
fn is_rim(p: Place) -> bool { return p.z + RIM_Z >= NZ || p.x < RIM_X || p.x + RIM_X >= NX; }

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

@compute @workgroup_size(GROUP_X, GROUP_Z)
fn scatter(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    let own = held(p.e);
    if (!has_row(own, p.z)) { return; }
    let extent = scattered(p.e);
    let leaks = window.leaks != 0u && is_rim(p);
    var leaked = 0.0;
    for (var t = u32(extent.z); t < u32(extent.w); t++) {
        let sum = collected(p.e, t, p.cell, own);
        store(p.e, t, p.cell, sum);
        if (leaks) { leaked = fma(leaving(p, t), sum, leaked); }
    }
    enter(ESCAPED + p.e * PLACES + p.cell, escaping(p.e, p.cell, own));
    if (leaks) { enter(LEAKED + p.e * PLACES + p.cell, leaked); }
}

/// Scattered weight of a cell, or of none.
fn weight_at(e: u32, t: u32, z: i32, x: i32, extent: vec4<i32>) -> f32 {
    if (z < extent.x || x < 0 || z >= extent.y || x >= i32(NX)) { return 0.0; }
    return stored(e, t, u32(z) * NX + u32(x));
}

/// What arrives in a cell.
fn arriving(e: u32, t: u32, p: Place) -> f32 {
    let extent = held(e);
    let x = i32(p.x) - indices[SIDEWAYS + t];
    let z = i32(p.z) - indices[DOWN + t];
    let w = SHIFTS + 4u * t;
    var sum = numbers[w] * weight_at(e, t, z, x, extent);
    sum = fma(numbers[w + 1u], weight_at(e, t, z, x - 1, extent), sum);
    sum = fma(numbers[w + 2u], weight_at(e, t, z - 1, x, extent), sum);
    return fma(numbers[w + 3u], weight_at(e, t, z - 1, x - 1, extent), sum);
}

@compute @workgroup_size(GROUP_X, GROUP_Z)
fn stream_gather(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    let extent = streamed(p.e);
    if (!has_row(extent, p.z)) { return; }
    for (var t = u32(extent.z); t < u32(extent.w); t++) { store(p.e, t, p.cell, arriving(p.e, t, p)); }
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

@compute @workgroup_size(GROUP_X, GROUP_Z)
fn stream_scatter(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    let extent = scattered(p.e);
    if (!has_row(extent, p.z)) { return; }
    for (var t = u32(extent.z); t < u32(extent.w); t++) {
        let value = stored(p.e, t, p.cell);
        let x0 = i32(p.x) + indices[SIDEWAYS + t];
        let z0 = i32(p.z) + indices[DOWN + t];
        if (value != 0.0) {
            for (var k = 0; k < 4; k++) {
                let x = x0 + (k & 1);
                let z = z0 + (k >> 1u);
                if (x >= 0 && x < i32(NX) && z < i32(NZ)) {
                    add(index(p.e, t, u32(z) * NX + u32(x)), numbers[SHIFTS + 4u * t + u32(k)] * value);
                }
            }
        }
    }
}

@compute @workgroup_size(GROUP_X, GROUP_Z)
fn energy_gather(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    let lower = coming(LOWER_SOURCE, p.e);
    let upper = coming(UPPER_SOURCE, p.e);
    let extent = ended(p.e);
    if (has_row(extent, p.z)) {
        let below = streamed(u32(max(lower, 0)));
        let above = streamed(u32(max(upper, 0)));
        for (var t = u32(extent.z); t < u32(extent.w); t++) {
            var sum = 0.0;
            if (lower >= 0 && has(below, t, p.z)) { sum = numbers[LOWER + u32(lower)] * stored(u32(lower), t, p.cell); }
            if (upper >= 0 && has(above, t, p.z)) { sum = fma(numbers[UPPER + u32(upper)], stored(u32(upper), t, p.cell), sum); }
            store(p.e, t, p.cell, sum);
        }
    }
    if (is_read(p.e)) { arrive(p); }
}

/// Counts what streamed to a place.
fn arrive(p: Place) {
    let extent = streamed(p.e);
    if (!has_row(extent, p.z)) { return; }
    var arrived = 0.0;
    for (var t = u32(extent.z); t < u32(extent.w); t++) { arrived += stored(p.e, t, p.cell); }
    enter(ARRIVED + p.e * PLACES + p.cell, arrived);
}

@compute @workgroup_size(GROUP_X, GROUP_Z)
fn energy_scatter(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside || !is_read(p.e)) { return; }
    let end = indices[END + p.e];
    let extent = streamed(p.e);
    if (!has_row(extent, p.z)) { return; }
    var arrived = 0.0;
    for (var t = u32(extent.z); t < u32(extent.w); t++) {
        let value = stored(p.e, t, p.cell);
        arrived += value;
        if (end >= 0 && value != 0.0) {
            add(index(u32(end), t, p.cell), numbers[LOWER + p.e] * value);
            add(index(u32(end) + 1u, t, p.cell), numbers[UPPER + p.e] * value);
        }
    }
    enter(ARRIVED + p.e * PLACES + p.cell, arrived);
}

/// Streaming and loss together: what streamed is summed where it ends and never stored. What arrived at an energy is counted by
/// the thread of its lower end, or by its own where all stops.
@compute @workgroup_size(GROUP_X, GROUP_Z)
fn stream_energy(@builtin(global_invocation_id) at: vec3<u32>) {
    let p = place_of(at);
    if (!p.is_inside) { return; }
    let lower = coming(LOWER_SOURCE, p.e);
    let upper = coming(UPPER_SOURCE, p.e);
    let extent = ended(p.e);
    if (has_row(extent, p.z)) {
        let below = streamed(u32(max(lower, 0)));
        let above = streamed(u32(max(upper, 0)));
        var arrived = 0.0;
        for (var t = u32(extent.z); t < u32(extent.w); t++) {
            var sum = 0.0;
            if (lower >= 0 && has(below, t, p.z)) {
                let value = arriving(u32(lower), t, p);
                arrived += value;
                sum = numbers[LOWER + u32(lower)] * value;
            }
            if (upper >= 0 && has(above, t, p.z)) { sum = fma(numbers[UPPER + u32(upper)], arriving(u32(upper), t, p), sum); }
            store(p.e, t, p.cell, sum);
        }
        if (lower >= 0) { enter(ARRIVED + u32(lower) * PLACES + p.cell, arrived); }
    }
    if (indices[END + p.e] < 0 && is_read(p.e)) {
        let stopping = streamed(p.e);
        if (has_row(stopping, p.z)) {
            var stopped = 0.0;
            for (var t = u32(stopping.z); t < u32(stopping.w); t++) { stopped += arriving(p.e, t, p); }
            enter(ARRIVED + p.e * PLACES + p.cell, stopped);
        }
    }
}

/// What a group scatters of one angle before it streams: its cells and one more row and column, from where the angle's shift comes.
/// Twice, so that one barrier an angle is enough.
const TILE_X = GROUP_X + 1u;
const TILE = TILE_X * (GROUP_Z + 1u);
var<workgroup> tile: array<f32, 2u * TILE>;
var<private> turn: u32;

/// The place of a thread, and the first of its group.
struct Spot { local: vec2<u32>, corner: vec2<u32> }

/// Whether a group has rows of an extent: the same for all of its threads.
fn meets(extent: vec4<i32>, spot: Spot) -> bool {
    return !is_empty(extent) && i32(spot.corner.y) < extent.y && i32(spot.corner.y + GROUP_Z) > extent.x;
}

/// What scatters and then arrives in the thread's cell. All threads of a group call it together.
fn flowing(e: u32, t: u32, spot: Spot) -> f32 {
    let own = held(e);
    let x0 = i32(spot.corner.x) - indices[SIDEWAYS + t] - 1;
    let z0 = i32(spot.corner.y) - indices[DOWN + t] - 1;
    let base = turn * TILE;
    for (var i = spot.local.y * GROUP_X + spot.local.x; i < TILE; i += GROUP_X * GROUP_Z) {
        let x = x0 + i32(i % TILE_X);
        let z = z0 + i32(i / TILE_X);
        var value = 0.0;
        if (x >= 0 && x < i32(NX) && z >= own.x && z < own.y) { value = collected(e, t, u32(z) * NX + u32(x), own); }
        tile[base + i] = value;
    }
    workgroupBarrier();
    turn = 1u - turn;
    let w = SHIFTS + 4u * t;
    let above = base + spot.local.y * TILE_X + spot.local.x;
    let level = above + TILE_X;
    var sum = numbers[w] * tile[level + 1u];
    sum = fma(numbers[w + 1u], tile[level], sum);
    sum = fma(numbers[w + 2u], tile[above + 1u], sum);
    return fma(numbers[w + 3u], tile[above], sum);
}

/// Counts what a place loses where no kernel stores what scattered.
fn lose(p: Place, e: u32) {
    let own = held(e);
    if (!has_row(own, p.z)) { return; }
    enter(ESCAPED + e * PLACES + p.cell, escaping(e, p.cell, own));
    if (!is_rim(p)) { return; }
    let extent = scattered(e);
    var leaked = 0.0;
    for (var t = u32(extent.z); t < u32(extent.w); t++) {
        let share = leaving(p, t);
        if (share != 0.0) { leaked = fma(share, collected(e, t, p.cell, own), leaked); }
    }
    enter(LEAKED + e * PLACES + p.cell, leaked);
}

/// Scattering and streaming together: what scattered is in the group's memory only.
@compute @workgroup_size(GROUP_X, GROUP_Z)
fn theta_stream(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let spot = Spot(local.xy, group.xy * vec2(GROUP_X, GROUP_Z));
    let p = place_of(vec3(spot.corner + local.xy, group.z));
    let e = window.first + group.z;
    let extent = streamed(e);
    if (!meets(extent, spot)) { return; }
    for (var t = u32(extent.z); t < u32(extent.w); t++) {
        let value = flowing(e, t, spot);
        if (p.is_inside && has_row(extent, p.z)) { store(e, t, p.cell, value); }
    }
    if (p.is_inside) { lose(p, e); }
}

/// All three: a group takes BAND energies from what comes to them; a source of two of them is computed once.
@compute @workgroup_size(GROUP_X, GROUP_Z)
fn all_energies(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let spot = Spot(local.xy, group.xy * vec2(GROUP_X, GROUP_Z));
    let p = place_of(vec3(spot.corner + local.xy, 0u));
    let first = window.first + group.z * BAND;
    let end = min(first + BAND, window.first + window.count);
    var arrived: array<f32, BAND>;
    for (var t = 0u; t < NT; t++) {
        var before = -1;
        var value_before = 0.0;
        for (var e = first; e < end; e++) {
            let extent = ended(e);
            if (meets(extent, spot) && has_angle(extent, t)) {
                let lower = coming(LOWER_SOURCE, e);
                let upper = coming(UPPER_SOURCE, e);
                var above = 0.0;
                if (upper >= 0 && upper == before) {
                    above = value_before;
                } else if (upper >= 0 && has_angle(streamed(u32(upper)), t)) {
                    above = flowing(u32(upper), t, spot);
                }
                var sum = 0.0;
                if (lower >= 0) {
                    value_before = 0.0;
                    if (has_angle(streamed(u32(lower)), t)) { value_before = flowing(u32(lower), t, spot); }
                    before = lower;
                    arrived[e - first] += value_before;
                    sum = numbers[LOWER + u32(lower)] * value_before;
                }
                if (upper >= 0) { sum = fma(numbers[UPPER + u32(upper)], above, sum); }
                if (p.is_inside && has_row(extent, p.z)) { store(e, t, p.cell, sum); }
            }
        }
    }
    for (var e = first; e < end; e++) {
        let lower = coming(LOWER_SOURCE, e);
        if (lower >= 0 && p.is_inside) {
            if (has_row(streamed(u32(lower)), p.z)) { enter(ARRIVED + u32(lower) * PLACES + p.cell, arrived[e - first]); }
            lose(p, u32(lower));
        }
        let extent = streamed(e);
        if (indices[END + e] < 0 && is_read(e) && meets(extent, spot)) {
            var stopped = 0.0;
            for (var t = u32(extent.z); t < u32(extent.w); t++) { stopped += flowing(e, t, spot); }
            if (p.is_inside) {
                if (has_row(extent, p.z)) { enter(ARRIVED + e * PLACES + p.cell, stopped); }
                lose(p, e);
            }
        }
    }
}

var<workgroup> of_rows: array<f32, NZ>;
var<workgroup> of_angles: array<f32, NT>;

/// What of an energy's plane is worth keeping; a group for each energy. The rules are those of a processor (src/workload/transport/
/// extent.rs): a light plane goes, then light rows at both ends, then light angles; what goes is counted.
@compute @workgroup_size(64)
fn trim(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let e = window.first + group.z;
    let is_second = window.after != 0u;
    var extent = ended(e);
    if (is_second) { extent = scattered(e); }
    if (is_empty(extent)) { extent = vec4(0); }
    for (var z = u32(extent.x) + local.x; z < u32(extent.y); z += 64u) {
        var sum = 0.0;
        for (var t = u32(extent.z); t < u32(extent.w); t++) {
            for (var x = 0u; x < NX; x++) { sum += stored(e, t, z * NX + x); }
        }
        of_rows[z] = sum;
    }
{%- if trims_angles %}
    for (var t = u32(extent.z) + local.x; t < u32(extent.w); t += 64u) {
        var sum = 0.0;
        for (var cell = u32(extent.x) * NX; cell < u32(extent.y) * NX; cell++) { sum += stored(e, t, cell); }
        of_angles[t] = sum;
    }
{%- endif %}
    workgroupBarrier();
    if (local.x != 0u) { return; }
    if (is_read(e) && !is_second) {
        let visited = streamed(e);
        enter(VISITED + e, f32(max(visited.y - visited.x, 0)) * f32(max(visited.w - visited.z, 0)) * f32(NX));
    }
    var total = 0.0;
    for (var z = extent.x; z < extent.y; z++) { total += of_rows[z]; }
    var kept = extent;
    var left = 0.0;
    if (total <= CUTOFF) {
        kept = vec4(0);
        left = total;
    } else {
{%- if trims_rows %}
        for (; kept.x < kept.y && of_rows[kept.x] <= CUTOFF; kept.x++) { left += of_rows[kept.x]; }
        for (; kept.x < kept.y && of_rows[kept.y - 1] <= CUTOFF; kept.y--) { left += of_rows[kept.y - 1]; }
{%- endif %}
{%- if trims_angles %}
        for (; kept.z < kept.w && of_angles[kept.z] <= CUTOFF; kept.z++) { left += of_angles[kept.z]; }
        for (; kept.z < kept.w && of_angles[kept.w - 1] <= CUTOFF; kept.w--) { left += of_angles[kept.w - 1]; }
{%- endif %}
        // Rows that are each too light may be heavy together.
        if (is_empty(kept)) {
            kept = extent;
            left = 0.0;
        }
    }
    extents[(1u - window.half) * NE + e] = kept;
    if (left > 0.0) { enter(CUT + e, left); }
}
