// Attention with dropout on the CPU, forward and backward, a head at a time in a thread's nearest cache.
//
// libtorch's fused attention has no dropout there; step by step the map of every head, its softmax, its mask of
// dropout and what is left of it all go through memory, and queries, keys, values and contexts are copied to and
// fro between (batch, length, heads, size) and (batch, heads, length, size). Here nothing of the map is kept: the
// backward pass computes it anew from queries and keys, and draws anew what was dropped (Dao et al.,
// "FlashAttention", 2022, for a head that fits the cache whole).

#include "draws.h"
#include "guard.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>

using brew::guarded;
using brew::tensor;

// One compilation for each kind of vector unit; the program chooses as it starts.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define EACH_PROCESSOR __attribute__((target_clones("avx512f", "fma", "default")))
#else
#define EACH_PROCESSOR
#endif
#define INLINE __attribute__((always_inline)) inline

namespace {

// Sixteen floats, wherever they lie.
constexpr int64_t LANES = 16;
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t Whole __attribute__((vector_size(4 * LANES), aligned(4)));

constexpr int64_t padded(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

INLINE Lanes load(const float* from) { return *reinterpret_cast<const Lanes*>(from); }
INLINE void store(float* to, Lanes lanes) { *reinterpret_cast<Lanes*>(to) = lanes; }

INLINE float total(Lanes lanes) {
    float sum = 0.0f;
    for (int64_t lane = 0; lane < LANES; ++lane) {
        sum += lanes[lane];
    }
    return sum;
}

// A matrix whose element (i, k) lies at i * row + k * column.
struct Matrix {
    const float* values;
    int64_t row;
    int64_t column;
};

template <int ROWS>
INLINE void product_of_rows(Matrix left, const float* right, int64_t columns, int64_t inner, float* out) {
    for (int64_t column = 0; column < columns; column += LANES) {
        Lanes sums[ROWS] = {};
        for (int64_t k = 0; k < inner; ++k) {
            const Lanes lanes = load(right + k * columns + column);
#pragma GCC unroll 6
            for (int row = 0; row < ROWS; ++row) {
                sums[row] += left.values[row * left.row + k * left.column] * lanes;
            }
        }
#pragma GCC unroll 6
        for (int row = 0; row < ROWS; ++row) {
            store(out + row * columns + column, sums[row]);
        }
    }
}

// out (rows, columns) = left (rows, inner) times right (inner, columns); columns are a multiple of LANES.
INLINE void product(Matrix left, const float* right, int64_t rows, int64_t columns, int64_t inner, float* out) {
    int64_t row = 0;
    const auto at = [&](int64_t first) { return Matrix{left.values + first * left.row, left.row, left.column}; };
    for (; row + 6 <= rows; row += 6) {
        product_of_rows<6>(at(row), right, columns, inner, out + row * columns);
    }
    float* rest = out + row * columns;
    switch (rows - row) {
        case 5: product_of_rows<5>(at(row), right, columns, inner, rest); break;
        case 4: product_of_rows<4>(at(row), right, columns, inner, rest); break;
        case 3: product_of_rows<3>(at(row), right, columns, inner, rest); break;
        case 2: product_of_rows<2>(at(row), right, columns, inner, rest); break;
        case 1: product_of_rows<1>(at(row), right, columns, inner, rest); break;
        default: break;
    }
}

// e^x for x <= 0, to two units of the last place; 0 where that is no normal float, NaN of NaN. Cody and Waite's reduction with
// the polynomial of Cephes' expf (Moshier, 1989).
INLINE Lanes exponential(Lanes x) {
    const Lanes zero = {};
    const Lanes lowest = zero - 87.0f;
    const Lanes given = x;
    x = x > lowest ? x : lowest;
    // Adding 1.5 * 2^23 rounds to a whole number.
    const Lanes shifted = x * 1.44269504088896341f + 12582912.0f;
    const Lanes power = shifted - 12582912.0f;
    Lanes rest = x - power * 0.693359375f;
    rest = rest + power * 2.12194440e-4f;
    Lanes sum = zero + 1.9875691500e-4f;
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.0f;
    const Whole bits = (__builtin_convertvector(power, Whole) + 127) << 23;
    Lanes scale;
    std::memcpy(&scale, &bits, sizeof(scale));
    const Lanes found = given > lowest ? sum * scale : zero;
    return given == given ? found : given;
}

// What both passes know of the whole.
struct Shape {
    int64_t batch;
    int64_t heads;
    int64_t length;
    int64_t size;

    int64_t width() const { return heads * size; }
    // What scores are multiplied by.
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(size)); }
    int64_t map() const { return length * padded(length); }
    int64_t rows() const { return length * padded(size); }
    int64_t columns() const { return size * padded(length); }
};

struct Given {
    Shape shape;
    // (batch, length, 3, heads, size), and (batch, length).
    const float* joined;
    const float* mask;
    uint64_t key;
    brew::Share share;
};

// Rows of a head, side by side and filled up with zeros; the source's rows lie `apart`.
INLINE void pack_rows(const float* from, int64_t apart, const Shape& shape, float* to) {
    const int64_t columns = padded(shape.size);
    for (int64_t row = 0; row < shape.length; ++row) {
        std::copy_n(from + row * apart, shape.size, to + row * columns);
        std::fill_n(to + row * columns + shape.size, columns - shape.size, 0.0f);
    }
}

// The same, columns for rows.
INLINE void pack_columns(const float* from, int64_t apart, const Shape& shape, float* to) {
    const int64_t columns = padded(shape.length);
    for (int64_t column = 0; column < shape.size; ++column) {
        for (int64_t row = 0; row < shape.length; ++row) {
            to[column * columns + row] = from[row * apart + column];
        }
        std::fill_n(to + column * columns + shape.length, columns - shape.length, 0.0f);
    }
}

INLINE void unpack_rows(const float* from, float scale, const Shape& shape, float* to, int64_t apart) {
    const int64_t columns = padded(shape.size);
    for (int64_t row = 0; row < shape.length; ++row) {
        for (int64_t column = 0; column < shape.size; ++column) {
            to[row * apart + column] = from[row * columns + column] * scale;
        }
    }
}

// softmax(Q K^T / sqrt(size) + mask) of one head, (length, padded length), with zeros in what is padded.
INLINE void softmax_of_scores(const Given& given, int64_t row_of_batch, Matrix query, const float* keys, float* map) {
    const Shape& shape = given.shape;
    const int64_t columns = padded(shape.length);
    const float scale = shape.scale();
    product(query, keys, shape.length, columns, shape.size, map);
    const float* mask = given.mask + row_of_batch * shape.length;
    for (int64_t row = 0; row < shape.length; ++row) {
        float* scores = map + row * columns;
        for (int64_t column = 0; column < shape.length; ++column) {
            scores[column] = scores[column] * scale + mask[column];
        }
        std::fill_n(scores + shape.length, columns - shape.length, -std::numeric_limits<float>::infinity());
        Lanes highest = load(scores);
        for (int64_t column = LANES; column < columns; column += LANES) {
            const Lanes lanes = load(scores + column);
            highest = lanes > highest ? lanes : highest;
        }
        float most = highest[0];
        for (int64_t lane = 1; lane < LANES; ++lane) {
            most = std::max(most, highest[lane]);
        }
        Lanes sums = {};
        for (int64_t column = 0; column < columns; column += LANES) {
            const Lanes lanes = exponential(load(scores + column) - most);
            sums += lanes;
            store(scores + column, lanes);
        }
        const float sum = total(sums);
        const float share = 1.0f / sum;
        for (int64_t column = 0; column < columns; column += LANES) {
            store(scores + column, load(scores + column) * share);
        }
    }
}

// to = from, with zeros where dropout drops and the rest scaled up; `keep` is (length, length).
INLINE void drop(const Given& given, const uint8_t* keep, const float* from, float* to) {
    const int64_t length = given.shape.length, columns = padded(length);
    const auto scale = static_cast<float>(given.share.scale);
    for (int64_t row = 0; row < length; ++row) {
        for (int64_t column = 0; column < length; ++column) {
            const auto kept = static_cast<float>(keep[row * length + column]);
            to[row * columns + column] = from[row * columns + column] * (kept * scale);
        }
        std::fill_n(to + row * columns + length, columns - length, 0.0f);
    }
}

// The head's queries; its keys and values lie one and two widths behind them.
INLINE const float* queries(const Given& given, int64_t row_of_batch, int64_t head) {
    const Shape& shape = given.shape;
    return given.joined + row_of_batch * shape.length * 3 * shape.width() + head * shape.size;
}

void draw_of(const Given& given, int64_t index, uint8_t* keep) {
    const int64_t count = given.shape.length * given.shape.length;
    brew::draw(keep, static_cast<uint64_t>(index), 0, count, given.key, given.share.dropped);
}

int64_t forward_scratch(const Shape& shape) { return shape.columns() + 2 * shape.rows() + shape.map(); }

// The context of one head of one row of the batch, written into (batch, length, heads, size).
EACH_PROCESSOR
void forward_head(const Given& given, int64_t index, const uint8_t* keep, float* scratch, float* output) {
    const Shape& shape = given.shape;
    const int64_t row_of_batch = index / shape.heads, head = index % shape.heads, apart = 3 * shape.width();
    const float* query = queries(given, row_of_batch, head);
    float* keys = scratch;
    float* values = keys + shape.columns();
    float* context = values + shape.rows();
    float* map = context + shape.rows();
    pack_columns(query + shape.width(), apart, shape, keys);
    pack_rows(query + 2 * shape.width(), apart, shape, values);
    softmax_of_scores(given, row_of_batch, {query, apart, 1}, keys, map);
    drop(given, keep, map, map);
    product({map, padded(shape.length), 1}, values, shape.length, padded(shape.size), shape.length, context);
    float* to = output + row_of_batch * shape.length * shape.width() + head * shape.size;
    unpack_rows(context, 1.0f, shape, to, shape.width());
}

int64_t backward_scratch(const Shape& shape) { return 2 * shape.columns() + 4 * shape.rows() + 3 * shape.map(); }

// The gradients of a head's queries, keys and values, written into the shape of `joined`.
//
// With P the map, D what is left of it after dropout and G the context's gradient: dV = D^T G, dD = G V^T,
// dP = dD where it is kept, scaled; dS = P (dP - sum_j dP P); dQ = dS K / sqrt(size), dK = dS^T Q / sqrt(size).
EACH_PROCESSOR
void backward_head(const Given& given, int64_t index, const uint8_t* keep, const float* gradient, float* scratch,
                   float* output) {
    const Shape& shape = given.shape;
    const int64_t row_of_batch = index / shape.heads, head = index % shape.heads, apart = 3 * shape.width();
    const int64_t columns = padded(shape.length), size = padded(shape.size);
    const float scale = shape.scale();
    const float* query = queries(given, row_of_batch, head);
    const float* of_context = gradient + row_of_batch * shape.length * shape.width() + head * shape.size;
    float* to = output + (query - given.joined);
    float* keys = scratch;
    float* values = keys + shape.columns();
    float* rows = values + shape.columns();
    float* key_rows = rows + shape.rows();
    float* gradient_rows = key_rows + shape.rows();
    float* result = gradient_rows + shape.rows();
    float* map = result + shape.rows();
    float* dropped = map + shape.map();
    float* of_map = dropped + shape.map();
    pack_columns(query + shape.width(), apart, shape, keys);
    pack_columns(query + 2 * shape.width(), apart, shape, values);
    pack_rows(query, apart, shape, rows);
    pack_rows(query + shape.width(), apart, shape, key_rows);
    pack_rows(of_context, shape.width(), shape, gradient_rows);
    softmax_of_scores(given, row_of_batch, {query, apart, 1}, keys, map);
    drop(given, keep, map, dropped);

    product({dropped, 1, columns}, gradient_rows, shape.length, size, shape.length, result);
    unpack_rows(result, 1.0f, shape, to + 2 * shape.width(), apart);

    product({of_context, shape.width(), 1}, values, shape.length, columns, shape.size, of_map);
    drop(given, keep, of_map, of_map);
    for (int64_t row = 0; row < shape.length; ++row) {
        float* gradients = of_map + row * columns;
        const float* shares = map + row * columns;
        Lanes sums = {};
        for (int64_t column = 0; column < columns; column += LANES) {
            sums += load(gradients + column) * load(shares + column);
        }
        const float sum = total(sums);
        for (int64_t column = 0; column < columns; column += LANES) {
            store(gradients + column, load(shares + column) * (load(gradients + column) - sum));
        }
    }
    product({of_map, columns, 1}, key_rows, shape.length, size, shape.length, result);
    unpack_rows(result, scale, shape, to, apart);
    product({of_map, 1, columns}, rows, shape.length, size, shape.length, result);
    unpack_rows(result, scale, shape, to + shape.width(), apart);
}

// Calls `work` for every head of every row of the batch with what it keeps and memory of its own.
template <typename Work>
void for_each_head(const Given& given, int64_t scratch, const Work& work) {
    const Shape& shape = given.shape;
    at::parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t first, int64_t last) {
        std::vector<float> memory(scratch);
        std::vector<uint8_t> keep(shape.length * shape.length);
        for (int64_t index = first; index < last; ++index) {
            draw_of(given, index, keep.data());
            work(index, keep.data(), memory.data());
        }
    });
}

struct Attention : torch::autograd::Function<Attention> {
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& joined,
                              const at::Tensor& mask, int64_t heads, double probability) {
        const auto width = joined.size(2) / 3;
        const Shape shape{joined.size(0), heads, joined.size(1), width / heads};
        const auto values = joined.contiguous();
        const auto added = mask.contiguous();
        const auto key = brew::draw_key();
        auto output = at::empty({shape.batch, shape.length, width}, values.options());
        const Given given{shape, values.const_data_ptr<float>(), added.const_data_ptr<float>(), key,
                          brew::Share(probability)};
        auto* to = output.mutable_data_ptr<float>();
        for_each_head(given, forward_scratch(shape), [&](int64_t index, const uint8_t* keep, float* scratch) {
            forward_head(given, index, keep, scratch, to);
        });
        context->save_for_backward({values, added});
        context->saved_data["heads"] = heads;
        context->saved_data["probability"] = probability;
        context->saved_data["key"] = static_cast<int64_t>(key);
        return output;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list gradients) {
        TORCH_CHECK(!at::GradMode::is_enabled(), "this attention has no second derivative");
        const auto saved = context->get_saved_variables();
        const auto &values = saved[0], &added = saved[1];
        const auto gradient = gradients[0].contiguous();
        const auto heads = context->saved_data["heads"].toInt();
        const Shape shape{values.size(0), heads, values.size(1), values.size(2) / 3 / heads};
        const Given given{shape, values.const_data_ptr<float>(), added.const_data_ptr<float>(),
                          static_cast<uint64_t>(context->saved_data["key"].toInt()),
                          brew::Share(context->saved_data["probability"].toDouble())};
        auto output = at::empty_like(values);
        const auto* from = gradient.const_data_ptr<float>();
        auto* to = output.mutable_data_ptr<float>();
        for_each_head(given, backward_scratch(shape), [&](int64_t index, const uint8_t* keep, float* scratch) {
            backward_head(given, index, keep, from, scratch, to);
        });
        return {output, at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

}  // namespace

extern "C" {

// Attention over `joined`, the queries, keys and values side by side, (batch, length, 3 width), with `mask` of as
// many elements as (batch, length) added to the scores; a new tensor (batch, length, width) with its gradient.
char* brew_attention(Raw joined, Raw mask, int64_t heads, double probability, Raw* output) {
    return guarded([&] {
        TORCH_CHECK(output != nullptr, "attention has nowhere to go");
        brew::check_probability(probability);
        const auto& values = tensor(joined, "joined");
        const auto& added = tensor(mask, "mask");
        for (const auto* given : {&values, &added}) {
            TORCH_CHECK(given->device().is_cpu() && given->scalar_type() == at::kFloat,
                        "this attention is for float32 on the CPU, and it is given ", given->scalar_type(), " on ",
                        given->device());
        }
        TORCH_CHECK(heads > 0 && values.dim() == 3 && values.size(2) % (3 * heads) == 0, "queries, keys and values of ",
                    heads, " heads are ", values.sizes(), "; they must be (batch, length, 3 width)");
        TORCH_CHECK(added.numel() == values.size(0) * values.size(1), "the mask is ", added.sizes(),
                    "; it must have one number for each of ", values.size(0), " x ", values.size(1), " positions");
        *output = new at::Tensor(Attention::apply(values, added, heads, probability));
    });
}

}  // extern "C"
