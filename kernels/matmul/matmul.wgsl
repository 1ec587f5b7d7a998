// C = A · B in single precision: A is rows × inner, B inner × columns, C rows × columns, all row-major.
//
// A group of block_x × block_y threads computes a tile of C; each thread has thread_x × thread_y values of it in registers.
// With `staged`, the group loads tile_k columns of A and rows of B into workgroup memory before it multiplies them.
// Sizes are multiples of the tiles (the plan's restrictions see to it).
override block_x: u32;
override block_y: u32;
override rows: u32;
override columns: u32;
override inner: u32;

const THREAD_X = {{ thread_x }}u;
const THREAD_Y = {{ thread_y }}u;
const TILE_K = {{ tile_k }}u;
override TILE_X = block_x * THREAD_X;
override TILE_Y = block_y * THREAD_Y;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

{% if staged %}
var<workgroup> tile_a: array<f32, TILE_Y * TILE_K>;
var<workgroup> tile_b: array<f32, TILE_K * TILE_X>;
{% endif %}

@compute @workgroup_size(block_x, block_y)
fn matmul(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let row = group.y * TILE_Y;
    let column = group.x * TILE_X;
    var sums: array<f32, THREAD_X * THREAD_Y>;
    for (var start = 0u; start < inner; start += TILE_K) {
        {% if staged %}
        for (var i = index; i < TILE_Y * TILE_K; i += block_x * block_y) {
            tile_a[i] = a[(row + i / TILE_K) * inner + start + i % TILE_K];
        }
        for (var i = index; i < TILE_K * TILE_X; i += block_x * block_y) {
            tile_b[i] = b[(start + i / TILE_X) * columns + column + i % TILE_X];
        }
        workgroupBarrier();
        {% endif %}
        for (var k = 0u; k < TILE_K; k += {{ unroll }}u) {
            {% for step in range(unroll) %}
            {
                let at = k + {{ step }}u;
                var left: array<f32, THREAD_Y>;
                {% for y in range(thread_y) %}
                {% if staged %}
                left[{{ y }}] = tile_a[(local.y + {{ y }}u * block_y) * TILE_K + at];
                {% else %}
                left[{{ y }}] = a[(row + local.y + {{ y }}u * block_y) * inner + start + at];
                {% endif %}
                {% endfor %}
                {% for x in range(thread_x) %}
                {
                    {% if staged %}
                    let right = tile_b[at * TILE_X + local.x + {{ x }}u * block_x];
                    {% else %}
                    let right = b[(start + at) * columns + column + local.x + {{ x }}u * block_x];
                    {% endif %}
                    {% for y in range(thread_y) %}
                    sums[{{ y * thread_x + x }}] = fma(left[{{ y }}], right, sums[{{ y * thread_x + x }}]);
                    {% endfor %}
                }
                {% endfor %}
            }
            {% endfor %}
        }
        {% if staged %}
        workgroupBarrier();
        {% endif %}
    }
    {% for y in range(thread_y) %}
    {% for x in range(thread_x) %}
    c[(row + local.y + {{ y }}u * block_y) * columns + column + local.x + {{ x }}u * block_x] = sums[{{ y * thread_x + x }}];
    {% endfor %}
    {% endfor %}
}
