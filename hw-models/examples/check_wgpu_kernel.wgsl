// y = x w^T with FP16 operands and FP32 results, with the bits of `ampere.mma.f16.f32`: steps of 8 products, products and
// accumulator aligned to the greatest exponent, 24 fraction bits kept, the rest cut off, the sum truncated to FP32.
//
// All arithmetic is that of integers, which WGSL defines to the last bit. With `f32` it promises less: a compiler may
// contract `a * b + c`, `fma` may be computed either way, and subnormals may be flushed.
//
// Takes finite operands, K a multiple of STEP; sums stay below FP32's largest number.

// Set otherwise, these make twins of the kernel that are wrong in the way that real kernels are.
override FRACTION_BITS: u32 = 24u;
override STEP: u32 = 8u;
override NEAREST: bool = false;

// The exponent that a zero presents.
const FLOOR: i32 = -132;

// M, N, K.
@group(0) @binding(0) var<uniform> shape: vec4<u32>;
// FP16 codes, one a word: [M, K] and [N, K].
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> w: array<u32>;
// FP32 codes: [M, N].
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

// A number: magnitude in units of the last place of its format, and the exponent that it is aligned by.
struct Term {
    negative: bool,
    magnitude: u32,
    exponent: i32,
}

// The exact product of two FP16 numbers, 20 fraction bits; subnormals keep the least exponent.
fn product(a: u32, b: u32) -> Term {
    let fields = vec2<u32>((a >> 10u) & 31u, (b >> 10u) & 31u);
    let significands = (vec2<u32>(a, b) & vec2<u32>(1023u)) | (min(fields, vec2<u32>(1u)) << vec2<u32>(10u));
    let exponents = vec2<i32>(max(fields, vec2<u32>(1u))) - vec2<i32>(15);
    return Term(((a ^ b) & 0x8000u) != 0u, significands.x * significands.y, exponents.x + exponents.y);
}

// An FP32 number, 23 fraction bits.
fn accumulator(bits: u32) -> Term {
    let field = (bits >> 23u) & 255u;
    return Term((bits >> 31u) != 0u, (bits & 0x7fffffu) | (min(field, 1u) << 23u), i32(max(field, 1u)) - 127);
}

// The greater exponent; zeros have none.
fn highest(exponent: i32, term: Term) -> i32 {
    return select(exponent, max(exponent, term.exponent), term.magnitude != 0u);
}

// A term of so many fraction bits in units of 2^(exponent - FRACTION_BITS), what lies below cut off.
fn aligned(term: Term, fraction_bits: u32, exponent: i32) -> i32 {
    let below = u32(clamp(exponent - term.exponent, 0, 31));
    let magnitude = i32((term.magnitude << (FRACTION_BITS - fraction_bits)) >> below);
    return select(magnitude, -magnitude, term.negative);
}

// sum * 2^(exponent - FRACTION_BITS) as FP32.
fn rounded(sum: i32, exponent: i32) -> u32 {
    let magnitude = u32(abs(sum));
    if magnitude == 0u {
        return 0u;
    }
    let unit = exponent - i32(FRACTION_BITS);
    let last = max(unit + i32(firstLeadingBit(magnitude)) - 23, -149);
    let down = last - unit;
    var kept = magnitude;
    if down > 0 {
        kept = magnitude >> u32(down);
        let lost = magnitude - (kept << u32(down));
        let half = 1u << u32(down - 1);
        if NEAREST && (lost > half || (lost == half && (kept & 1u) == 1u)) {
            kept += 1u;
        }
    } else {
        kept = magnitude << u32(-down);
    }
    // The hidden bit of a normal number, and a carry out of the significand, both add one to the exponent field.
    return ((u32(last + 149) << 23u) + kept) | select(0u, 0x80000000u, sum < 0);
}

@compute @workgroup_size(8, 8)
fn matmul(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let column = id.x;
    if row >= shape.x || column >= shape.y {
        return;
    }
    var result = 0u;
    for (var first = 0u; first < shape.z; first += STEP) {
        let c = accumulator(result);
        var exponent = highest(FLOOR, c);
        for (var k = first; k < first + STEP; k += 1u) {
            exponent = highest(exponent, product(x[row * shape.z + k], w[column * shape.z + k]));
        }
        var sum = aligned(c, 23u, exponent);
        for (var k = first; k < first + STEP; k += 1u) {
            sum += aligned(product(x[row * shape.z + k], w[column * shape.z + k]), 20u, exponent);
        }
        result = rounded(sum, exponent);
    }
    y[row * shape.y + column] = result;
}
