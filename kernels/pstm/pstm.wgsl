// Kirchhoff pre-stack time migration of a tile (WORKLOADS §2a): every contribution of a load of traces to every node. Lengths are in
// metres, times in samples of a trace. pstm.cu has the same entry points in the same order.
//
// The tile's sums are [x][y][time], of every `step`-th time. A group has tg_t times of tg_y × tg_x pillars; neighbouring threads have
// neighbouring times, so they read neighbouring samples of a trace.
struct Info { origin: vec2<u32>, size: vec2<u32>, traces: u32, is_first: u32, unused: vec2<u32> }

@group(0) @binding(0) var<uniform> info: Info;
/// Each trace has STRIDE samples, of which the first BEFORE are zeros, and some after the last.
{% if storage == 32 %}
@group(0) @binding(1) var<storage, read> traces: array<f32>;
{% else %}
@group(0) @binding(1) var<storage, read> traces: array<u32>;
{% endif %}
/// sx, sy, rx, ry.
@group(0) @binding(2) var<storage, read> geometry: array<vec4<f32>>;
/// One pillar, or a cube on a coarser grid.
@group(0) @binding(3) var<storage, read> velocities: array<f32>;
@group(0) @binding(4) var<storage, read_write> image: array<f32>;
@group(0) @binding(4) var<storage, read_write> image_bits: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> fold: array<u32>;
@group(0) @binding(5) var<storage, read_write> fold_counts: array<atomic<u32>>;
/// Eight weights for each share of an interval (interpolation 8).
@group(0) @binding(6) var<storage, read> sinc: array<f32>;

const TIMES = {{ times }}u;
const STEP = {{ step }}u;
const LAST = {{ last_time }}u;
const STRIDE = {{ stride }};
const BEFORE = {{ before }};
const BEGIN: f32 = {{ begin }};
const END: f32 = {{ end }};
const SPACING = vec2<f32>({{ dx }}, {{ dy }});
/// Half of a time of the image, in samples of a trace.
const HALF_TIME: f32 = {{ half_time }};
/// 1/dt².
const PER_SAMPLE: f32 = {{ per_sample }};
const DT: f32 = {{ dt }};
const PI: f32 = 3.14159265;

fn sample(at: i32) -> f32 {
    {% if storage == 32 %}
    return traces[at];
    {% elif storage == 16 %}
    return unpack2x16float(traces[at >> 1u])[at & 1];
    {% else %}
    let word = traces[at >> 1u];
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (at & 1) == 1));
    {% endif %}
}

fn interpolated(trace: i32, q: f32) -> f32 {
    {% if interpolation == 0 %}
    return sample(trace + i32(floor(q + 0.5)));
    {% else %}
    let whole = floor(q);
    let f = q - whole;
    let at = trace + i32(whole);
    {% if interpolation == 1 %}
    let low = sample(at);
    return fma(f, sample(at + 1) - low, low);
    {% elif interpolation == 3 %}
    let a = sample(at - 1);
    let b = sample(at);
    let c = sample(at + 1);
    let d = sample(at + 2);
    let two = a - 2.5 * b + 2.0 * c - 0.5 * d;
    let three = 1.5 * (b - c) + 0.5 * (d - a);
    return fma(fma(fma(three, f, two), f, 0.5 * (c - a)), f, b);
    {% else %}
    let place = f * {{ sinc_steps }}f;
    let row = u32(place);
    let rest = place - f32(row);
    var sum = 0.0;
    for (var k = 0u; k < 8u; k++) {
        let low = sinc[row * 8u + k];
        sum = fma(fma(rest, sinc[(row + 1u) * 8u + k] - low, low), sample(at + i32(k) - 3), sum);
    }
    return sum;
    {% endif %}
    {% endif %}
}

fn node(x: u32, y: u32, t: u32) -> f32 {
    return velocities[(x * {{ cube_y }}u + y) * {{ cube_t }}u + t];
}

fn velocity(x: u32, y: u32, t: u32) -> f32 {
    {% if lookup == 0 %}
    return velocities[t];
    {% elif lookup == 1 %}
    return node(min((x + {{ step_x // 2 }}u) / {{ step_x }}u, {{ cube_x - 1 }}u),
                min((y + {{ step_y // 2 }}u) / {{ step_y }}u, {{ cube_y - 1 }}u),
                min((t + {{ step_t // 2 }}u) / {{ step_t }}u, {{ cube_t - 1 }}u));
    {% else %}
    let at = vec3(x, y, t);
    let steps = vec3({{ step_x }}u, {{ step_y }}u, {{ step_t }}u);
    let last = vec3({{ cube_x - 1 }}u, {{ cube_y - 1 }}u, {{ cube_t - 1 }}u);
    let low = min(at / steps, last);
    let high = min(low + 1u, last);
    let f = vec3<f32>(at - low * steps) / vec3<f32>(steps);
    // a + f·(b − a): a constant stays what it is.
    let a = line(node(low.x, low.y, low.z), node(low.x, low.y, high.z), f.z);
    let b = line(node(low.x, high.y, low.z), node(low.x, high.y, high.z), f.z);
    let c = line(node(high.x, low.y, low.z), node(high.x, low.y, high.z), f.z);
    let d = line(node(high.x, high.y, low.z), node(high.x, high.y, high.z), f.z);
    return line(line(a, b, f.y), line(c, d, f.y), f.x);
    {% endif %}
}

fn line(a: f32, b: f32, f: f32) -> f32 { return a + f * (b - a); }

/// What a node knows of its time.
struct Moment { it: u32, v: f32, half: f32, slowness: f32 }

fn moment(it: u32, v: f32) -> Moment {
    let half = HALF_TIME * f32(it);
    return Moment(it, v, half * half, PER_SAMPLE / (v * v));
}

/// Weighted amplitude, and 1 where the trace counts.
fn contribution(k: u32, x: f32, y: f32, now: Moment) -> vec2<f32> {
    let g = geometry[k];
    let s = vec2(x - g.x, y - g.y);
    let r = vec2(x - g.z, y - g.w);
    let m = 0.5 * (s + r);
    let square = m.x * m.x + m.y * m.y;
    {% if aperture == 0 %}
    let radius = {{ amax }};
    {% elif aperture == 1 %}
    let radius = select(select({{ amax }}, {{ amax }} * 0.75, now.it < {{ half_from }}u), {{ amax }} * 0.5, now.it < {{ quarter_from }}u);
    {% else %}
    let radius = clamp(now.v * HALF_TIME * DT * f32(now.it) * {{ dip_tangent }}, {{ amin }}, {{ amax }});
    {% endif %}
    if (square > radius * radius) { return vec2(0.0); }
    let flat = radius * {{ flat_share }};
    var w = 1.0;
    if (square > flat * flat) { w = 0.5 + 0.5 * cos(PI * (sqrt(square) - flat) / (radius - flat)); }
    let ts = sqrt(fma(s.x * s.x + s.y * s.y, now.slowness, now.half));
    let tr = sqrt(fma(r.x * r.x + r.y * r.y, now.slowness, now.half));
    let total = ts + tr;
    let q = total - BEGIN;
    if (q < 0.0 || q >= END) { return vec2(0.0); }
    {% if mute == 2 %}
    if (total > {{ stretch }} * 2.0 * sqrt(now.half)) { return vec2(0.0); }
    {% elif mute == 1 %}
    let earliest = length(g.xy - g.zw) * {{ slow_mute }};
    w *= clamp((total * DT - earliest) * {{ per_ramp }}, 0.0, 1.0);
    {% endif %}
    {% if has_spreading %}
    w /= now.v * total * DT;
    {% endif %}
    {% if has_obliquity %}
    w *= 2.0 * sqrt(now.half) / total;
    {% endif %}
    let trace = i32(k) * STRIDE + BEFORE;
    {% if anti_alias == 1 %}
    let sine = min(max(abs(m.x), abs(m.y)) / (now.v * total * DT), 1.0);
    if (sine >= 0.01 && total * DT >= 1e-3) {
        w *= max(0.0, 1.0 - max(sine * {{ grid_dominant }} / now.v, {{ least_share }}));
    }
    {% endif %}
    {% if anti_alias == 2 %}
    let steep = abs(s / max(ts, 1e-3) + r / max(tr, 1e-3)) * now.slowness;
    let n = clamp(i32(ceil(max(steep.x, steep.y) * {{ coarse }})), 0, {{ longest }});
    var amplitude = 0.0;
    for (var j = -n; j <= n; j++) {
        amplitude = fma(f32(n + 1 - abs(j)) / f32((n + 1) * (n + 1)), interpolated(trace + j, q), amplitude);
    }
    {% else %}
    let amplitude = interpolated(trace, q);
    {% endif %}
    return vec2(w * amplitude, 1.0);
}

{% if is_local %}
var<workgroup> group_velocity: array<f32, {{ tg_t }}>;
{% endif %}

/// A node collects from every trace of the load.
@compute @workgroup_size({{ tg_t }}, {{ tg_y }}, {{ tg_x }})
fn gather(@builtin(global_invocation_id) at: vec3<u32>, @builtin(local_invocation_id) own: vec3<u32>) {
    let it = min(at.x * STEP, LAST);
    {% if is_local %}
    if (own.y == 0u && own.z == 0u) { group_velocity[own.x] = velocities[it]; }
    workgroupBarrier();
    let v = group_velocity[own.x];
    {% else %}
    let v = velocity(info.origin.x + min(at.z, info.size.x - 1u), info.origin.y + min(at.y, info.size.y - 1u), it);
    {% endif %}
    if (at.x >= TIMES || at.y >= info.size.y || at.z >= info.size.x) { return; }
    let x = f32(info.origin.x + at.z) * SPACING.x;
    let y = f32(info.origin.y + at.y) * SPACING.y;
    let now = moment(it, v);
    let place = (at.z * info.size.y + at.y) * TIMES + at.x;
    var sum = vec2(0.0);
    var count = 0u;
    if (info.is_first == 0u) {
        sum.x = image[place];
        count = fold[place];
    }
    for (var k = 0u; k < info.traces; k += {{ trace_batch }}u) {
        {% for i in range(trace_batch) %}
        if (k + {{ i }}u < info.traces) { sum += contribution(k + {{ i }}u, x, y, now); }
        {% endfor %}
    }
    image[place] = sum.x;
    fold[place] = count + u32(sum.y);
}

@compute @workgroup_size({{ tg_t }}, {{ tg_y }}, {{ tg_x }})
fn clear(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= TIMES || at.y >= info.size.y || at.z >= info.size.x) { return; }
    let place = (at.z * info.size.y + at.y) * TIMES + at.x;
    image[place] = 0.0;
    fold[place] = 0u;
}

/// A trace gives to every node of the tile: groups lie side by side along y, then x; z counts the traces.
@compute @workgroup_size({{ tg_t }}, {{ tg_y }}, {{ tg_x }})
fn scatter(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) own: vec3<u32>) {
    let across = (info.size.y + {{ tg_y - 1 }}u) / {{ tg_y }}u;
    let t = group.x * {{ tg_t }}u + own.x;
    let py = (group.y % across) * {{ tg_y }}u + own.y;
    let px = (group.y / across) * {{ tg_x }}u + own.z;
    if (t >= TIMES || py >= info.size.y || px >= info.size.x || group.z >= info.traces) { return; }
    let it = min(t * STEP, LAST);
    let x = f32(info.origin.x + px) * SPACING.x;
    let y = f32(info.origin.y + py) * SPACING.y;
    let found = contribution(group.z, x, y, moment(it, velocity(info.origin.x + px, info.origin.y + py, it)));
    if (found.y == 0.0) { return; }
    let place = (px * info.size.y + py) * TIMES + t;
    atomicAdd(&fold_counts[place], 1u);
    // WGSL has no atomic sum of floats: compare and exchange until nobody was in between.
    var old = atomicLoad(&image_bits[place]);
    loop {
        let tried = atomicCompareExchangeWeak(&image_bits[place], old, bitcast<u32>(bitcast<f32>(old) + found.x));
        if (tried.exchanged) { break; }
        old = tried.old_value;
    }
}
