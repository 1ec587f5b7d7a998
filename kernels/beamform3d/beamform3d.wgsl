// Volumetric ultrasound beamformer (WORKLOADS §1a): delay, interpolate, rotate and sum over the elements of an array.
// Lengths and delays are in samples, phases in carrier cycles. beamform3d.cu has the same entry points in the same order.
//
// A launch works on a box of the grid: points n = (x·size.y + y)·size.z + z of the box. The arrays of the staged form are
// [element][point of the box]. A group of the fused form has `points` points, `group_z` of them along z, the rest as square as can
// be along x and y, and `split` threads for each, which share the elements among them; a thread has `depths` points along z.
{% if has_f16 %}enable f16;{% endif %}
alias Delay = {{ delay_type }};
alias Number = {{ number_type }};
alias Sum = {{ sum_type }};

const NX = {{ nx }}u;
const NY = {{ ny }}u;
const NZ = {{ nz }}u;
/// Elements, padded with ones that have no signal and are never first.
const NE = {{ padded }}u;
const ELEMENTS = {{ elements }}u;
const SAMPLES = {{ samples }}u;
/// Behind the last sample that has another after it.
const END: Delay = {{ samples - 1 }};
const CYCLES: Delay = {{ cycles }};
const START: f32 = {{ start }};
const LATE: Delay = {{ late }};
/// Half precision squares lengths after this factor, so that 400 samples fit.
const SCALE: Delay = {{ scale }};

struct Box { start: vec4<u32>, size: vec4<u32> }

@group(0) @binding(0) var<uniform> box: Box;
/// x, then y, then z of the grid's planes.
@group(0) @binding(1) var<storage, read> axes: array<f32>;
/// x, y, z, transmit delay.
{% if element_memory == 2 %}
@group(0) @binding(2) var<uniform> elements: array<vec4<f32>, NE>;
{% else %}
@group(0) @binding(2) var<storage, read> elements: array<vec4<f32>>;
{% endif %}
@group(0) @binding(3) var<storage, read> signals: array<Record>;
@group(0) @binding(3) var<storage, read_write> signals_out: array<Record>;
@group(0) @binding(4) var<storage, read_write> volumes: array<vec2<f32>>;
/// Of each column, the square of the distance along the array's plane to the nearest element.
@group(0) @binding(5) var<storage, read> nearest: array<f32>;
@group(0) @binding(5) var<storage, read_write> nearest_out: array<f32>;
/// exp(j2π·cycles·(s + ½)) of sample s.
@group(0) @binding(6) var<storage, read> phasors: array<vec2<f32>>;
/// [volume][sample][element]
@group(0) @binding(7) var<storage, read> raw: array<vec2<f32>>;
@group(0) @binding(8) var<storage, read_write> distance: array<f32>;
@group(0) @binding(9) var<storage, read_write> first: array<f32>;
@group(0) @binding(10) var<storage, read_write> delay: array<f32>;
@group(0) @binding(11) var<storage, read_write> index: array<i32>;
@group(0) @binding(12) var<storage, read_write> weight: array<f32>;
@group(0) @binding(13) var<storage, read_write> value: array<vec2<f32>>;
@group(0) @binding(14) var<storage, read_write> rotated: array<vec2<f32>>;

fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2(fma(a.x, b.x, -(a.y * b.y)), fma(a.x, b.y, a.y * b.x));
}
{% if number_type == "f16" %}
fn times_number(a: vec2<Number>, b: vec2<Number>) -> vec2<Number> {
    return vec2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
{% else %}
fn times_number(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> { return times(a, b); }
{% endif %}

// What is stored of a sample: its value, and with phase=factored the step to the next too, both turned by the phase of their
// interval's middle.
{% if storage == 32 %}
alias Pair = vec2<f32>;
fn unpack(pair: Pair) -> vec2<f32> { return pair; }
fn pack(z: vec2<f32>) -> Pair { return z; }
{% else %}
alias Pair = u32;
{% if storage == 16 %}
fn unpack(pair: Pair) -> vec2<f32> { return unpack2x16float(pair); }
fn pack(z: vec2<f32>) -> Pair { return pack2x16float(z); }
{% else %}
fn unpack(pair: Pair) -> vec2<f32> { return bitcast<vec2<f32>>(vec2(pair << 16u, pair & 0xffff0000u)); }
fn pack(z: vec2<f32>) -> Pair {
    let bits = bitcast<vec2<u32>>(z);
    // To the nearest, ties to even.
    let upper = (bits + 0x7fffu + ((bits >> vec2(16u)) & vec2(1u))) >> vec2(16u);
    return upper.x | (upper.y << 16u);
}
{% endif %}
{% endif %}
{% if is_factored %}
struct Record { value: Pair, step: Pair }
{% else %}
alias Record = Pair;
{% endif %}

fn place(volume: u32, e: u32, s: u32) -> u32 {
    {% if is_element_sample %}
    return (volume * NE + e) * SAMPLES + s;
    {% else %}
    return (volume * SAMPLES + s) * NE + e;
    {% endif %}
}

fn recorded(volume: u32, e: u32, s: u32) -> vec2<f32> {
    if (e >= ELEMENTS) { return vec2(0.0); }
    return raw[(volume * SAMPLES + s) * ELEMENTS + e];
}

/// Signals into the form that the other kernels read.
@compute @workgroup_size(256)
fn load(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= NE * SAMPLES) { return; }
    {% if is_element_sample %}
    let e = at.x / SAMPLES;
    let s = at.x % SAMPLES;
    {% else %}
    let s = at.x / NE;
    let e = at.x % NE;
    {% endif %}
    let now = recorded(at.y, e, s);
    {% if is_factored %}
    let after = recorded(at.y, e, min(s + 1u, SAMPLES - 1u));
    signals_out[place(at.y, e, s)] = Record(pack(times(now, phasors[s])), pack(times(after - now, phasors[s])));
    {% else %}
    signals_out[place(at.y, e, s)] = pack(now);
    {% endif %}
}

@compute @workgroup_size(64)
fn nearest_element(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= NX * NY) { return; }
    let x = axes[at.x / NY];
    let y = axes[NX + at.x % NY];
    var least = 3e38;
    for (var e = 0u; e < ELEMENTS; e++) {
        let across = vec2(x, y) - elements[e].xy;
        least = min(least, dot(across, across));
    }
    nearest_out[at.x] = least;
}

fn squared(length: f32) -> Delay {
    let scaled = Delay(length) * SCALE;
    return scaled * scaled;
}

fn distance_of(across: Delay, along: f32) -> Delay {
    return sqrt(across + squared(along)) * (1.0 / SCALE);
}

fn first_from_nearest(x: u32, y: u32, z: f32) -> Delay {
    let depth = z - {{ plane }};
    return Delay(sqrt(nearest[x * NY + y] + depth * depth) + ({{ common_delay }} - START));
}

/// exp(j2π·rate·u) for |u| ≤ ½; rate is 1, or cycles where the phase of whole samples comes from a table.
fn phasor(u: f32) -> vec2<f32> {
    {% if is_builtin %}
    let angle = {{ turn }} * u;
    return vec2(cos(angle), sin(angle));
    {% else %}
    let q = u * u;
    return vec2({{ cosine }}, u * ({{ sine }}));
    {% endif %}
}

/// The rotation by the phase of a delay, whole cycles taken off before anything is multiplied by 2π.
fn turn_of(samples: Delay) -> vec2<Number> {
    let phase = samples * CYCLES;
    return vec2<Number>(phasor(f32(phase - round(phase))));
}

fn sample(volume: u32, e: u32, s: u32) -> vec2<Number> {
    {% if is_factored %}
    return vec2<Number>(unpack(signals[place(volume, e, s)].value));
    {% else %}
    return vec2<Number>(unpack(signals[place(volume, e, s)]));
    {% endif %}
}

/// The signal at whole + a samples.
fn interpolated(volume: u32, e: u32, whole: u32, a: Number) -> vec2<Number> {
    {% if interpolation == 0 %}
    return sample(volume, e, whole + u32(a >= 0.5));
    {% elif interpolation == 3 %}
    // Beyond the record there is silence.
    var before = vec2<Number>();
    var after = vec2<Number>();
    if (whole > 0u) { before = sample(volume, e, whole - 1u); }
    if (whole + 2u < SAMPLES) { after = sample(volume, e, whole + 2u); }
    return before * (-a * (a - 1.0) * (a - 2.0) / 6.0) + sample(volume, e, whole) * ((a + 1.0) * (a - 1.0) * (a - 2.0) / 2.0)
        + sample(volume, e, whole + 1u) * (-(a + 1.0) * a * (a - 2.0) / 2.0) + after * ((a + 1.0) * a * (a - 1.0) / 6.0);
    {% elif is_factored %}
    let record = signals[place(volume, e, whole)];
    return vec2<Number>(unpack(record.value)) + vec2<Number>(unpack(record.step)) * a;
    {% else %}
    let now = sample(volume, e, whole);
    return now + (sample(volume, e, whole + 1u) - now) * a;
    {% endif %}
}

/// Element e's signal at a delay, 0 ≤ delay < END, rotated by the phase of `turned`.
fn term(volume: u32, e: u32, at: Delay, turned: Delay) -> vec2<Number> {
    let whole = u32(at);
    let a = at - Delay(whole);
    let z = interpolated(volume, e, whole, Number(a));
    {% if is_factored %}
    return times_number(z, vec2<Number>(phasor(f32(a) - 0.5)));
    {% elif is_recurrence %}
    return times_number(z, vec2<Number>(times(phasors[whole], phasor(f32(a) - 0.5))));
    {% else %}
    return times_number(z, turn_of(turned));
    {% endif %}
}

// The staged form: six passes over arrays.

fn count() -> u32 { return box.size.x * box.size.y * box.size.z; }

fn grid_of(n: u32) -> vec3<u32> {
    return box.start.xyz + vec3(n / (box.size.y * box.size.z), n / box.size.z % box.size.y, n % box.size.z);
}

/// First arrival at a point, less the time of the first sample; its distances too where they are wanted.
fn arrival(n: u32, is_kept: bool) -> Delay {
    let at = grid_of(n);
    let p = vec3(axes[at.x], axes[NX + at.y], axes[NX + NY + at.z]);
    var least = LATE;
    {% if not is_nearest_first %}
    let is_needed = true;
    {% else %}
    let is_needed = is_kept;
    {% endif %}
    if (is_needed) {
        for (var e = 0u; e < NE; e++) {
            let r = distance_of(squared(p.x - elements[e].x) + squared(p.y - elements[e].y), p.z - elements[e].z);
            if (is_kept) { distance[e * count() + n] = f32(r); }
            least = min(least, r + Delay(elements[e].w));
        }
    }
    {% if not is_nearest_first %}
    return least - Delay(START);
    {% else %}
    return first_from_nearest(at.x, at.y, p.z);
    {% endif %}
}

@compute @workgroup_size({{ points }})
fn tx_distance(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= count()) { return; }
    first[at.x] = f32(arrival(at.x, true));
}

@compute @workgroup_size({{ points }})
fn delays(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= count()) { return; }
    let pair = at.y * count() + at.x;
    delay[pair] = f32(Delay(first[at.x]) + Delay(distance[pair]));
}

/// The sample before, −1 outside of the record, and the weight of the one after.
@compute @workgroup_size({{ points }})
fn indices(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= count()) { return; }
    let pair = at.y * count() + at.x;
    let s = Delay(delay[pair]);
    let whole = i32(clamp(s, 0.0, END));
    index[pair] = select(-1, whole, s >= 0.0 && s < END);
    weight[pair] = f32(s - Delay(whole));
}

@compute @workgroup_size({{ points }})
fn interpolate(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= count()) { return; }
    let pair = at.y * count() + at.x;
    var is_in = index[pair] >= 0;
    {% if has_aperture %}
    let on = grid_of(at.x);
    let off = abs(vec2(axes[on.x], axes[NX + on.y]) - elements[at.y].xy);
    is_in = is_in && max(off.x, off.y) <= axes[NX + NY + on.z] / {{ twice_f_number }};
    {% endif %}
    var z = vec2<Number>();
    if (is_in) { z = interpolated(0u, at.y, u32(index[pair]), Number(weight[pair])); }
    value[pair] = vec2<f32>(z);
}

@compute @workgroup_size({{ points }})
fn rotate(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= count()) { return; }
    let pair = at.y * count() + at.x;
    // Outside of the record the value is 0.
    let s = clamp(Delay(delay[pair]), 0.0, END);
    rotated[pair] = vec2<f32>(times_number(vec2<Number>(value[pair]), turn_of(s)));
}

@compute @workgroup_size({{ points }})
fn sum(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= count()) { return; }
    var total = vec2<Sum>();
    for (var e = 0u; e < NE; e++) { total += vec2<Sum>(rotated[e * count() + at.x]); }
    let on = grid_of(at.x);
    volumes[(on.x * NY + on.y) * NZ + on.z] = vec2<f32>(total);
}

// The partial form: the delays, then the rest.

@compute @workgroup_size({{ points }})
fn partial_delays(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= count()) { return; }
    let on = grid_of(at.x);
    let p = vec3(axes[on.x], axes[NX + on.y], axes[NX + NY + on.z]);
    let earliest = arrival(at.x, false);
    for (var e = 0u; e < NE; e++) {
        let across = squared(p.x - elements[e].x) + squared(p.y - elements[e].y);
        delay[e * count() + at.x] = f32(earliest + distance_of(across, p.z - elements[e].z));
    }
}

@compute @workgroup_size({{ points }})
fn partial_sums(@builtin(global_invocation_id) at: vec3<u32>) {
    if (at.x >= count()) { return; }
    let on = grid_of(at.x);
    {% for v in range(batch) %}
    var total{{ v }} = vec2<Sum>();
    {% endfor %}
    for (var base = 0u; base < NE; base += {{ unroll }}u) {
        {% for u in range(unroll) %}
        {
            let e = base + {{ u }}u;
            let s = Delay(delay[e * count() + at.x]);
            var is_in = s >= 0.0 && s < END;
            {% if has_aperture %}
            let off = abs(vec2(axes[on.x], axes[NX + on.y]) - elements[e].xy);
            is_in = is_in && max(off.x, off.y) <= axes[NX + NY + on.z] / {{ twice_f_number }};
            {% endif %}
            if (is_in) {
                {% for v in range(batch) %}
                total{{ v }} += vec2<Sum>(term({{ v }}u, e, s, s));
                {% endfor %}
            }
        }
        {% endfor %}
    }
    {% for v in range(batch) %}
    volumes[{{ v }}u * (NX * NY * NZ) + (on.x * NY + on.y) * NZ + on.z] = vec2<f32>(total{{ v }});
    {% endfor %}
}

// The fused forms: one kernel.

const POINTS = {{ points }}u;
const SPLIT = {{ split }}u;
const GROUP_X = {{ group_x }}u;
const GROUP_Y = {{ group_y }}u;
const GROUP_Z = {{ group_z }}u;
{% if element_memory == 1 %}
var<workgroup> near_elements: array<vec4<f32>, NE>;
fn element(e: u32) -> vec4<f32> { return near_elements[e]; }
{% else %}
fn element(e: u32) -> vec4<f32> { return elements[e]; }
{% endif %}
{% if is_stored %}
/// Distances that the first loop leaves for the second.
var<workgroup> kept: array<Delay, NE * POINTS * {{ depths }}u>;
{% endif %}
{% if split > 1 %}
var<workgroup> firsts: array<Delay, POINTS * SPLIT>;
var<workgroup> sums: array<vec2<Sum>, POINTS * SPLIT>;
{% endif %}

@compute @workgroup_size({{ points * split }})
fn fused(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let point = local % POINTS;
    let part = local / POINTS;
    let depth = group.x * (GROUP_Z * {{ depths }}u) + point % GROUP_Z;
    let column = vec2(group.z * GROUP_X + point / (GROUP_Z * GROUP_Y), group.y * GROUP_Y + point / GROUP_Z % GROUP_Y);
    // Threads beyond the box work too, since all must meet at the barriers, and do not write.
    let on = box.start.xy + min(column, box.size.xy - 1u);
    let p = vec2(axes[on.x], axes[NX + on.y]);
    {% for k in range(depths) %}
    let depth{{ k }} = depth + {{ k }}u * GROUP_Z;
    let z{{ k }} = axes[NX + NY + box.start.z + min(depth{{ k }}, box.size.z - 1u)];
    {% endfor %}
    {% if element_memory == 1 %}
    for (var e = local; e < NE; e += POINTS * SPLIT) { near_elements[e] = elements[e]; }
    workgroupBarrier();
    {% endif %}

    {% if is_nearest_first %}
    {% for k in range(depths) %}
    let first{{ k }} = first_from_nearest(on.x, on.y, z{{ k }});
    {% endfor %}
    {% else %}
    {% for k in range(depths) %}
    var first{{ k }} = LATE;
    {% endfor %}
    for (var base = part; base < NE; base += SPLIT * {{ unroll }}u) {
        {% for u in range(unroll) %}
        {
            let e = base + {{ u }}u * SPLIT;
            let at = element(e);
            let across = squared(p.x - at.x) + squared(p.y - at.y);
            {% for k in range(depths) %}
            {
                let r = distance_of(across, z{{ k }} - at.z);
                {% if is_stored %}
                kept[(e * {{ depths }}u + {{ k }}u) * POINTS + point] = r;
                {% endif %}
                first{{ k }} = min(first{{ k }}, r + Delay(at.w));
            }
            {% endfor %}
        }
        {% endfor %}
    }
    {% for k in range(depths) %}
    {% if split > 1 %}
    firsts[local] = first{{ k }};
    workgroupBarrier();
    for (var i = 0u; i < SPLIT; i++) { first{{ k }} = min(first{{ k }}, firsts[i * POINTS + point]); }
    workgroupBarrier();
    {% endif %}
    first{{ k }} -= Delay(START);
    {% endfor %}
    {% endif %}

    {% for k in range(depths) %}
    {% for v in range(batch) %}
    var sum{{ k }}_{{ v }} = vec2<Sum>();
    {% endfor %}
    {% endfor %}
    for (var base = part; base < NE; base += SPLIT * {{ unroll }}u) {
        {% for u in range(unroll) %}
        {
            let e = base + {{ u }}u * SPLIT;
            let at = element(e);
            let off = abs(p - at.xy);
            let across = squared(off.x) + squared(off.y);
            {% for k in range(depths) %}
            {
                {% if is_stored %}
                let r = kept[(e * {{ depths }}u + {{ k }}u) * POINTS + point];
                {% else %}
                let r = distance_of(across, z{{ k }} - at.z);
                {% endif %}
                let s = first{{ k }} + r;
                if (s >= 0.0 && s < END {% if has_aperture %} && max(off.x, off.y) <= z{{ k }} / {{ twice_f_number }} {% endif %}) {
                    {% for v in range(batch) %}
                    sum{{ k }}_{{ v }} += vec2<Sum>(term({{ v }}u, e, s, {% if takes_out %} r {% else %} s {% endif %}));
                    {% endfor %}
                }
            }
            {% endfor %}
        }
        {% endfor %}
    }

    {% for k in range(depths) %}
    {% for v in range(batch) %}
    {% if split > 1 %}
    sums[local] = sum{{ k }}_{{ v }};
    workgroupBarrier();
    if (part == 0u) {
        for (var i = 1u; i < SPLIT; i++) { sum{{ k }}_{{ v }} += sums[i * POINTS + point]; }
    }
    workgroupBarrier();
    {% endif %}
    {% if takes_out %}
    // What all elements have in common is taken out of their sum.
    sum{{ k }}_{{ v }} = vec2<Sum>(times_number(vec2<Number>(sum{{ k }}_{{ v }}), turn_of(first{{ k }})));
    {% endif %}
    if (part == 0u && all(column < box.size.xy) && depth{{ k }} < box.size.z) {
        volumes[{{ v }}u * (NX * NY * NZ) + (on.x * NY + on.y) * NZ + box.start.z + depth{{ k }}] = vec2<f32>(sum{{ k }}_{{ v }});
    }
    {% endfor %}
    {% endfor %}
}
