// Beamforming with virtual sources (WORKLOADS §4a), in four orders of reduction: a loop with a running total, or an array that is
// summed afterwards. Lengths and delays are in samples, phases in cycles. reduce.cu has the same entry points in the same order.
//
// A launch works on a chunk of the points. Its arrays are [transmit][receiver][point of the chunk], with the axes that they have.
// A group has `points` points and `split` threads for each, which share the receivers among them.
const NT = {{ transmits }}u;
const NR = {{ receivers }}u;
const SAMPLES = {{ samples }}u;
const CHUNK = {{ chunk }}u;
const CYCLES = {{ cycles }};
const START = {{ start }};
const POINTS = {{ points }}u;
const SPLIT = {{ split }}u;
const LEFT_END = {{ left_end }};
const RIGHT_END = {{ right_end }};
const MIN_APERTURE = {{ min_aperture }};
const MARGIN = {{ margin }};

/// What a launch has: points; transmits and receivers, from the first on; whether it begins a sum, and whether it ends the image's.
struct Box { first: u32, count: u32, t: u32, transmits: u32, r: u32, receivers: u32, begins: u32, ends: u32 }
struct Transmit {
    source: vec3<f32>,
    /// |v| and v/|v| with the sign of v's z.
    norm: f32,
    direction: vec3<f32>,
    /// What is taken off its delays.
    offset: f32,
    /// Directions (x, z) of the lines through the focus from the left and the right end of the probe.
    left: vec2<f32>,
    right: vec2<f32>,
    middle: vec2<f32>,
    /// 1/cos of half the angle between the edges.
    inverse_cosine: f32,
    more: f32,
}

@group(0) @binding(0) var<uniform> box: Box;
@group(0) @binding(1) var<storage, read> all_points: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> receivers: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> transmits: array<Transmit>;
/// [transmit][receiver][sample], as they come.
@group(0) @binding(4) var<storage, read> raw: array<vec2<f32>>;
/// The same in half precision, two to a word.
@group(0) @binding(5) var<storage, read> signals: array<u32>;
@group(0) @binding(5) var<storage, read_write> signals_out: array<u32>;
/// A side of a pair: delay; with phase=factored the phasor times the weight, else the phase in cycles; weight.
@group(0) @binding(6) var<storage, read> transmit_table: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> transmit_table_out: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> receive_table: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> receive_table_out: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> parts: array<vec2<f32>>;
@group(0) @binding(9) var<storage, read_write> image: array<vec2<f32>>;

fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2(fma(a.x, b.x, -(a.y * b.y)), fma(a.x, b.y, a.y * b.x));
}

{% if storage == 17 %}
fn pack(z: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(z);
    // To the nearest, ties to even.
    let upper = (bits + 0x7fffu + ((bits >> vec2(16u)) & vec2(1u))) >> vec2(16u);
    return upper.x | (upper.y << 16u);
}
{% else %}
fn pack(z: vec2<f32>) -> u32 { return pack2x16float(z); }
{% endif %}

fn sample(at: u32) -> vec2<f32> {
    {% if storage == 32 %}
    return raw[at];
    {% elif storage == 16 %}
    return unpack2x16float(signals[at]);
    {% else %}
    let pair = signals[at];
    return bitcast<vec2<f32>>(vec2(pair << 16u, pair & 0xffff0000u));
    {% endif %}
}

/// exp(j2π·u) for |u| ≤ ½.
fn phasor(u: f32) -> vec2<f32> {
    {% if is_builtin %}
    let angle = 6.2831853 * u;
    return vec2(cos(angle), sin(angle));
    {% else %}
    // Taylor's series around the nearest half, |2πv| ≤ π/2; an odd half turns the sign.
    let halves = round(2.0 * u);
    let v = u - 0.5 * halves;
    let q = v * v;
    let turn = 1.0 - 2.0 * abs(halves);
    let cosine = fma(fma(fma(fma(fma(fma(7.903536, q, -26.426256), q, 60.244641), q, -85.456817), q, 64.939394), q, -19.739209), q, 1.0);
    let sine = fma(fma(fma(fma(fma(fma(3.8199526, q, -15.094643), q, 42.058694), q, -76.70586), q, 81.605249), q, -41.341702), q, 6.2831853);
    return turn * vec2(cosine, v * sine);
    {% endif %}
}

fn side(length: f32, weight: f32, start: f32) -> vec4<f32> {
    let cycles = length * CYCLES;
    let u = cycles - round(cycles);
    {% if is_factored %}
    return vec4(length - start, weight * phasor(u), weight);
    {% else %}
    return vec4(length - start, u, 0.0, weight);
    {% endif %}
}

/// The window of the transmit aperture at `u`, 0 in its middle and ½ at its ends.
fn window(u: f32) -> f32 {
    {% if window == 1 %}
    return 0.5 + 0.5 * cos(6.2831853 * u);
    {% elif window == 2 %}
    return 0.54 + 0.46 * cos(6.2831853 * u);
    {% elif window == 3 %}
    return 0.5 + 0.5 * cos(12.566371 * max(u - 0.25, 0.0));
    {% elif window == 4 %}
    return 1.0 - 2.0 * u;
    {% else %}
    return 1.0;
    {% endif %}
}

/// Signed distances from the left, the right and the mid line of a transmit.
fn lines(wave: Transmit, p: vec3<f32>) -> vec3<f32> {
    return vec3(
        (p.x - LEFT_END) * wave.left.y - p.z * wave.left.x,
        (p.x - RIGHT_END) * wave.right.y - p.z * wave.right.x,
        (p.x - wave.source.x) * wave.middle.y - (p.z - wave.source.z) * wave.middle.x);
}

fn transmit_weight(wave: Transmit, p: vec3<f32>) -> f32 {
    let d = lines(wave, p);
    if (d.x * d.y > 0.0 && abs(d.z) >= MIN_APERTURE) { return 0.0; }
    {% if window == 0 %}
    return 1.0;
    {% else %}
    return window(abs(abs(d.x) / (abs(d.x) + abs(d.y)) - 0.5));
    {% endif %}
}

/// d_tx of a point.
fn transmit_length(wave: Transmit, p: vec3<f32>) -> f32 {
    let away = p - wave.source;
    let spherical = wave.norm + sign(away.z) * sqrt(dot(away, away));
    {% if wavefront == 0 %}
    return spherical;
    {% elif wavefront == 1 %}
    return dot(p, wave.direction);
    {% elif wavefront == 2 %}
    return select(spherical, dot(p, wave.direction), abs(away.z) < MARGIN);
    {% elif wavefront == 3 %}
    return mix(dot(p, wave.direction), spherical, min(abs(away.z) / MARGIN, 1.0));
    {% else %}
    let d = lines(wave, p);
    let along = dot(away.xz, wave.middle);
    return select(spherical, wave.norm + along * wave.inverse_cosine, d.x * d.y > 0.0);
    {% endif %}
}

fn transmit_of(t: u32, p: vec3<f32>) -> vec4<f32> {
    let wave = transmits[t];
    return side(transmit_length(wave, p) - wave.offset, transmit_weight(wave, p), START);
}

fn receive_of(r: u32, p: vec3<f32>) -> vec4<f32> {
    let away = p - receivers[r].xyz;
    {% if has_aperture %}
    let weight = select(0.0, 1.0, abs(away.x) <= p.z / {{ twice_f_number }});
    {% else %}
    let weight = 1.0;
    {% endif %}
    return side(sqrt(dot(away, away)), weight, 0.0);
}

/// Signals in half precision.
@compute @workgroup_size(256)
fn load(@builtin(global_invocation_id) at: vec3<u32>) {
    let i = at.y * {{ load_row }}u + at.x;
    if (at.x >= {{ load_row }}u || i >= NT * NR * SAMPLES) { return; }
    signals_out[i] = pack(raw[i]);
}

@compute @workgroup_size(POINTS)
fn transmit_sides(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= box.count) { return; }
    transmit_table_out[at.y * CHUNK + at.x] = transmit_of(at.y, all_points[box.first + at.x].xyz);
}

@compute @workgroup_size(POINTS)
fn receive_sides(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= box.count) { return; }
    receive_table_out[at.y * CHUNK + at.x] = receive_of(at.y, all_points[box.first + at.x].xyz);
}

fn transmit_side(t: u32, n: u32, p: vec3<f32>) -> vec4<f32> {
    {% if has_transmit_table %}
    return transmit_table[t * CHUNK + n];
    {% else %}
    return transmit_of(t, p);
    {% endif %}
}

fn receive_side(r: u32, n: u32, p: vec3<f32>) -> vec4<f32> {
    {% if has_receive_table %}
    return receive_table[r * CHUNK + n];
    {% else %}
    return receive_of(r, p);
    {% endif %}
}

/// The trace of a pair at a delay of 0 ≤ q ≤ SAMPLES − 1, else 0.
fn interpolated(t: u32, r: u32, q: f32) -> vec2<f32> {
    // What is read outside is not used: no branch in the loop.
    let inside = clamp(q, 0.0, f32(SAMPLES - 1u));
    let whole = min(u32(inside), SAMPLES - 2u);
    let at = (t * NR + r) * SAMPLES + whole;
    let a = inside - f32(whole);
    let now = sample(at);
    let next = sample(at + 1u);
    {% if interpolation == 0 %}
    let z = select(now, next, a >= 0.5);
    {% elif interpolation == 3 %}
    // Beyond the record there is silence.
    var before = vec2<f32>();
    var after = vec2<f32>();
    if (whole > 0u) { before = sample(at - 1u); }
    if (whole + 2u < SAMPLES) { after = sample(at + 2u); }
    let z = before * (-a * (a - 1.0) * (a - 2.0) / 6.0) + now * ((a + 1.0) * (a - 1.0) * (a - 2.0) / 2.0)
        + next * (-(a + 1.0) * a * (a - 2.0) / 2.0) + after * ((a + 1.0) * a * (a - 1.0) / 6.0);
    {% else %}
    let z = now + (next - now) * a;
    {% endif %}
    return select(vec2(0.0), z, q == inside);
}

/// The weighted term of a pair. With phase=factored the phase and the weight of the side that has its own loop are left out.
fn term(t: u32, r: u32, transmit: vec4<f32>, receive: vec4<f32>) -> vec2<f32> {
    let z = interpolated(t, r, transmit.x + receive.x);
    {% if is_factored and reduce == "tx" %}
    return times(z, transmit.yz);
    {% elif is_factored %}
    return times(z, receive.yz);
    {% else %}
    let cycles = transmit.y + receive.y;
    return times(z, transmit.w * receive.w * phasor(cycles - round(cycles)));
    {% endif %}
}

{% if split > 1 %}
var<workgroup> shares: array<vec2<f32>, POINTS * SPLIT>;
{% endif %}

/// A round of the loop that `unroll` is about.
{% if reduce == "tx" %}
fn next_total(total: vec2<f32>, k: u32, t: u32, r: u32, n: u32, p: vec3<f32>, other: vec4<f32>) -> vec2<f32> {
    let transmit = transmit_side(t + k, n, p);
    {% if is_active %}
    if (transmit.w == 0.0) { return total; }
    {% endif %}
    return total + term(t + k, r, transmit, other);
}
{% else %}
fn next_total(total: vec2<f32>, k: u32, t: u32, r: u32, n: u32, p: vec3<f32>, other: vec4<f32>) -> vec2<f32> {
    return total + term(t, r + k * SPLIT, other, receive_side(r + k * SPLIT, n, p));
}
{% endif %}

/// All rounds: the first, then `unroll` at a time, then what remains.
fn rounds(t: u32, r: u32, n: u32, p: vec3<f32>, other: vec4<f32>) -> vec2<f32> {
    var total = next_total(vec2(0.0), 0u, t, r, n, p, other);
    {% if unroll >= rounds %}
    {% for k in range(1, rounds) %}
    total = next_total(total, {{ k }}u, t, r, n, p, other);
    {% endfor %}
    {% else %}
    var k = 1u;
    for (var i = 0u; i < {{ (rounds - 1) // unroll }}u; i++) {
        {% for u in range(unroll) %}
        total = next_total(total, k + {{ u }}u, t, r, n, p, other);
        {% endfor %}
        k += {{ unroll }}u;
    }
    {% if is_rolled %}
    for (; k < {{ rounds }}u; k++) { total = next_total(total, k, t, r, n, p, other); }
    {% else %}
    {% for u in range((rounds - 1) % unroll) %}
    total = next_total(total, k + {{ u }}u, t, r, n, p, other);
    {% endfor %}
    {% endif %}
    {% endif %}
    return total;
}

/// Divided by the weights of the transmits, where that is asked for.
fn compensated(z: vec2<f32>, n: u32, p: vec3<f32>) -> vec2<f32> {
    {% if is_compensated %}
    var sum = 0.0;
    for (var t = 0u; t < NT; t++) { sum += transmit_side(t, n, p).w; }
    if (sum > 0.0) { return z / sum; }
    {% endif %}
    return z;
}

/// A part of a sum, after those of the launches before.
fn put(i: u32, z: vec2<f32>) {
    if (box.begins != 0u) { parts[i] = z; } else { parts[i] += z; }
}

/// The loops: a thread has a point, and with reduce=rx a transmit, with tx a receiver, with none both.
@compute @workgroup_size(POINTS * SPLIT)
fn loops(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = group.x * POINTS + local % POINTS;
    let share = local / POINTS;
    // Threads beyond the chunk work too, since all must meet at the barriers, and do not write.
    let n = min(at, box.count - 1u);
    let p = all_points[box.first + n].xyz;
    {% if reduce == "none" %}
    let transmit = transmit_side(group.y, n, p);
    var z = vec2(0.0);
    if ({{ "transmit.w != 0.0" if is_active else "true" }}) {
        z = term(group.y, group.z, transmit, receive_side(group.z, n, p));
        {% if is_factored %}
        z = times(z, transmit.yz);
        {% endif %}
    }
    if (at < box.count) { parts[(group.y * NR + group.z) * CHUNK + at] = z; }
    {% elif reduce == "rx" %}
    let t = box.t + group.y;
    let transmit = transmit_side(t, n, p);
    var z = vec2(0.0);
    if ({{ "transmit.w != 0.0" if is_active else "true" }}) {
        z = rounds(t, box.r, n, p, transmit);
        {% if is_factored %}
        z = times(z, transmit.yz);
        {% endif %}
    }
    if (at < box.count) { put(t * CHUNK + at, z); }
    {% elif reduce == "tx" %}
    let r = box.r + group.y;
    let receive = receive_side(r, n, p);
    var z = rounds(box.t, r, n, p, receive);
    {% if is_factored %}
    z = times(z, receive.yz);
    {% endif %}
    if (at < box.count) { put(r * CHUNK + at, z); }
    {% else %}
    var z = vec2(0.0);
    for (var t = box.t; t < box.t + box.transmits; t++) {
        let transmit = transmit_side(t, n, p);
        {% if is_active %}
        if (transmit.w == 0.0) { continue; }
        {% endif %}
        {% if is_factored %}
        z += times(rounds(t, box.r + share, n, p, transmit), transmit.yz);
        {% else %}
        z += rounds(t, box.r + share, n, p, transmit);
        {% endif %}
    }
    {% if split > 1 %}
    shares[local] = z;
    workgroupBarrier();
    if (share == 0u) {
        for (var i = 1u; i < SPLIT; i++) { z += shares[i * POINTS + local]; }
    }
    {% endif %}
    if (share == 0u && at < box.count) {
        if (box.begins == 0u) { z += image[box.first + at]; }
        if (box.ends != 0u) { z = compensated(z, n, p); }
        image[box.first + at] = z;
    }
    {% endif %}
}

/// The sums over what the loops left.
@compute @workgroup_size(POINTS)
fn sums(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= box.count) { return; }
    var z = vec2(0.0);
    for (var i = 0u; i < {{ parts }}u; i++) { z += parts[i * CHUNK + at.x]; }
    image[box.first + at.x] = compensated(z, at.x, all_points[box.first + at.x].xyz);
}
