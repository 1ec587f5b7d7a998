// Images that cameras see of whole-sphere frames (WORKLOADS §5a): each thread looks up four pixels of a row, of one frame or of
// all frames of a batch. e2p.cu has the same entry points in the same order.
//
// A group has TILE_X / 4 by TILE_Y threads. Frames are [frame][row][column][3] bytes, four to a word, or pixels that `load` made of
// them: a word each, or four halves. Images are [frame][camera][row][column][3] bytes, four to a word.
const WIDTH = {{ width }};
const HEIGHT = {{ height }};
const OUT_WIDTH = {{ out_width }}u;
const OUT_HEIGHT = {{ out_height }}u;
/// Pixels from a map's row to the next.
const STRIDE = {{ stride }}u;
const CAMERAS = {{ cameras }}u;
const TILE_X = {{ tile_x }}u;
const TILE_Y = {{ tile_y }}u;
/// Bits of a fixed-point word that hold its row.
const ROW_BITS = {{ row_bits }}u;
/// Steps of a column to a pixel.
const STEPS = {{ steps }};
/// x of the first column on the plane one unit ahead, and from one to the next; y of rows.
const FIRST_X = {{ first_x }};
const STEP_X = {{ step_x }};
const FIRST_Y = {{ first_y }};
const STEP_Y = {{ step_y }};
const PI = 3.14159265;

struct Box { first_camera: u32, cameras: u32, frames: u32, more: u32 }
struct Camera {
    /// From x, y and 1 on the plane to the ray, before the yaw.
    right: vec4<f32>,
    up: vec4<f32>,
    ahead: vec4<f32>,
    /// Columns to the right of its map, or of what its ray gives.
    shift: f32,
    map: u32,
    more: vec2<u32>,
}

@group(0) @binding(0) var<uniform> box: Box;
@group(0) @binding(1) var<storage, read> frames: array<u32>;
@group(0) @binding(2) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read_write> pixels_out: array<u32>;
@group(0) @binding(3) var<storage, read> cameras: array<Camera>;
/// [map][row][column]: column and row of the place, or both in a word of fixed point.
@group(0) @binding(4) var<storage, read> map: array<u32>;
/// The first row of sixteen words of fixed point.
@group(0) @binding(5) var<storage, read> first_rows: array<u32>;
@group(0) @binding(6) var<storage, read_write> images: array<u32>;

/// The pixel above and to the left of where is looked, and how near it is: of a pixel, or with a fixed-point map, of 1/32 of one.
struct Place { column: i32, row: i32, a: f32, b: f32 }

/// atan2 as in src/workload/e2p/places.rs: the language's own may be wrong by a tenth of a pixel.
fn arctangent(y: f32, x: f32) -> f32 {
    let high = abs(y);
    let wide = abs(x);
    let small = min(high, wide);
    let large = max(high, wide);
    let ratio = small / select(1.0, large, large > 0.0);
    let is_steep = ratio > 0.41421356;
    let base = select(0.0, 0.25 * PI, is_steep);
    let t = select(ratio, (ratio - 1.0) / (ratio + 1.0), is_steep);
    let z = t * t;
    let series = ((8.0537445e-2 * z - 1.3877686e-1) * z + 1.9977711e-1) * z - 3.333295e-1;
    var angle = base + (series * z * t + t);
    angle = select(0.5 * PI - angle, angle, high < wide);
    angle = select(angle, PI - angle, x < 0.0);
    return select(angle, -angle, y < 0.0);
}

fn place(u: f32, v: f32) -> Place {
    let column = i32(u);
    let row = i32(v);
    return Place(column, row, u - f32(column), v - f32(row));
}

/// To the right, and on the other side beyond the seam. Never beyond the width in between, where columns would lose a bit.
fn shifted(column: f32, shift: f32) -> f32 {
    let seam = f32(WIDTH) - shift;
    return select(column + shift, column - seam, {% if wraps %}column >= seam{% else %}false{% endif %});
}

fn find(camera: Camera, column: u32, row: u32) -> Place {
    {% if map == "trig" %}
    let x = FIRST_X + STEP_X * f32(column);
    let y = FIRST_Y + STEP_Y * f32(row);
    let at = vec3(x, y, 1.0);
    let right = dot(camera.right.xyz, at);
    let up = dot(camera.up.xyz, at);
    let ahead = dot(camera.ahead.xyz, at);
    let turn = arctangent(right, ahead);
    let rise = arctangent(up, sqrt(right * right + ahead * ahead));
    let ideal = turn * (f32(WIDTH) / (2.0 * PI)) + (0.5 * f32(WIDTH) - 0.5);
    // On the grid of maps, and shifted by the yaw as they are.
    var u = floor(ideal * STEPS + 0.5) / STEPS;
    u = shifted(select(u, u + f32(WIDTH), u < 0.0), camera.shift);
    let v = clamp(0.5 * f32(HEIGHT) - 0.5 - rise * (f32(HEIGHT) / PI), 0.0, f32(HEIGHT) - 1.0);
    return place(u, v);
    {% elif map == "fixed" %}
    let p = (camera.map * OUT_HEIGHT + row) * STRIDE + column;
    let word = map[p];
    var u = i32(word >> ROW_BITS) + i32(32.0 * camera.shift);
    u = select(u, u - 32 * WIDTH, u >= 32 * WIDTH);
    let v = i32(word & ((1u << ROW_BITS) - 1u));
    return Place(u >> 5u, i32(first_rows[p / 16u]) + (v >> 5u), f32(u & 31), f32(v & 31));
    {% else %}
    let p = (camera.map * OUT_HEIGHT + row) * STRIDE + column;
    let u = shifted(bitcast<f32>(map[2u * p]), camera.shift);
    return place(u, bitcast<f32>(map[2u * p + 1u]));
    {% endif %}
}

/// Red, green and blue of a pixel, which may lie beyond the seam or an edge.
fn levels(frame: u32, column: i32, row: i32) -> vec3<f32> {
    {% if wraps %}
    let i = select(select(column, column - WIDTH, column >= WIDTH), column + WIDTH, column < 0);
    {% else %}
    let i = clamp(column, 0, WIDTH - 1);
    {% endif %}
    let j = clamp(row, 0, HEIGHT - 1);
    let at = frame * u32(WIDTH * HEIGHT) + u32(j * WIDTH + i);
    {% if pixels == "f16" %}
    return vec3(unpack2x16float(pixels[2u * at]), unpack2x16float(pixels[2u * at + 1u]).x);
    {% else %}
    {% if pixels == "rgba8" %}
    let bits = pixels[at];
    {% else %}
    let byte = 3u * at;
    let shift = 8u * (byte % 4u);
    var bits = frames[byte / 4u] >> shift;
    if shift > 8u {
        bits |= frames[byte / 4u + 1u] << (32u - shift);
    }
    {% endif %}
    return vec3<f32>(vec3(bits, bits >> 8u, bits >> 16u) & vec3(255u));
    {% endif %}
}

fn rounded(v: vec3<f32>) -> vec3<u32> {
    return vec3<u32>(clamp(round(v), vec3(0.0), vec3(255.0)));
}

fn between(start: vec3<f32>, end: vec3<f32>, t: f32) -> vec3<f32> {
    {% if pixels == "f16" %}
    return quantizeToF16(start + quantizeToF16(t * quantizeToF16(end - start)));
    {% else %}
    return start + t * (end - start);
    {% endif %}
}

fn cubic(t: f32) -> vec4<f32> {
    // Keys' kernel with −0.75, at t + 1, t and 1 − t.
    let far = t + 1.0;
    let first = ((-0.75 * far + 3.75) * far - 6.0) * far + 3.0;
    let second = (1.25 * t - 2.25) * t * t + 1.0;
    let near = 1.0 - t;
    let third = (1.25 * near - 2.25) * near * near + 1.0;
    return vec4(first, second, third, 1.0 - first - second - third);
}

fn look(frame: u32, at: Place) -> vec3<u32> {
    {% if interpolation == 0 %}
    return vec3<u32>(levels(frame, at.column + i32(at.a >= 0.5), at.row + i32(at.b >= 0.5)));
    {% elif interpolation == 3 %}
    let across = cubic(at.a);
    let down = cubic(at.b);
    var sum = vec3(0.0);
    for (var j = 0; j < 4; j++) {
        var line = vec3(0.0);
        for (var i = 0; i < 4; i++) {
            line += across[i] * levels(frame, at.column + i - 1, at.row + j - 1);
        }
        sum += down[j] * line;
    }
    return rounded(sum);
    {% else %}
    let p0 = levels(frame, at.column, at.row);
    let p1 = levels(frame, at.column + 1, at.row);
    let q0 = levels(frame, at.column, at.row + 1);
    let q1 = levels(frame, at.column + 1, at.row + 1);
    {% if map == "fixed" %}
    // Whole numbers below 2²⁴, so that this is exact.
    let above = p0 * (32.0 - at.a) + p1 * at.a;
    let below = q0 * (32.0 - at.a) + q1 * at.a;
    return (vec3<u32>(above * (32.0 - at.b) + below * at.b) + vec3(512u)) >> vec3(10u);
    {% else %}
    {% if pixels == "f16" %}
    let a = quantizeToF16(at.a);
    let b = quantizeToF16(at.b);
    {% else %}
    let a = at.a;
    let b = at.b;
    {% endif %}
    return rounded(between(between(p0, p1, a), between(q0, q1, a), b));
    {% endif %}
    {% endif %}
}

fn word_of(v: vec3<u32>) -> u32 { return v.x | (v.y << 8u) | (v.z << 16u); }

{% if pixels != "rgb8" %}
/// Four pixels of a frame: three words to four or eight.
@compute @workgroup_size(256)
fn load(@builtin(global_invocation_id) id: vec3<u32>) {
    const QUADS = u32(WIDTH * HEIGHT) / 4u;
    if id.x >= QUADS { return; }
    let q = id.z * QUADS + id.x;
    let w = vec3(frames[3u * q], frames[3u * q + 1u], frames[3u * q + 2u]);
    let four = vec4(w.x & 0xffffffu, (w.x >> 24u) | ((w.y & 0xffffu) << 8u), (w.y >> 16u) | ((w.z & 255u) << 16u), w.z >> 8u);
    for (var k = 0u; k < 4u; k++) {
        let bits = four[k];
        {% if pixels == "f16" %}
        let v = vec3<f32>(vec3(bits, bits >> 8u, bits >> 16u) & vec3(255u));
        pixels_out[8u * q + 2u * k] = pack2x16float(v.xy);
        pixels_out[8u * q + 2u * k + 1u] = pack2x16float(vec2(v.z, 0.0));
        {% else %}
        pixels_out[4u * q + k] = bits;
        {% endif %}
    }
}
{% endif %}

@compute @workgroup_size({{ tile_x // 4 }}, {{ tile_y }})
fn remap(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let column = group.x * TILE_X + 4u * local.x;
    let row = group.y * TILE_Y + local.y;
    if column >= OUT_WIDTH || row >= OUT_HEIGHT { return; }
    let number = box.first_camera + group.z % box.cameras;
    let camera = cameras[number];
    var places: array<Place, 4>;
    for (var k = 0u; k < 4u; k++) {
        places[k] = find(camera, column + k, row);
    }
    {% if is_camera_outer %}
    for (var frame = 0u; frame < box.frames; frame++) {
    {% else %}
    {
        let frame = group.z / box.cameras;
    {% endif %}
        let w0 = word_of(look(frame, places[0]));
        let w1 = word_of(look(frame, places[1]));
        let w2 = word_of(look(frame, places[2]));
        let w3 = word_of(look(frame, places[3]));
        let to = 3u * ((((frame * CAMERAS + number) * OUT_HEIGHT + row) * OUT_WIDTH + column) / 4u);
        images[to] = w0 | (w1 << 24u);
        images[to + 1u] = (w1 >> 8u) | (w2 << 16u);
        images[to + 2u] = (w2 >> 16u) | (w3 << 8u);
    }
}
