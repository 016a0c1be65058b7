// Which elements dropout keeps: numbers of a counter-based generator (Philox4x32-10; Salmon et al., "Parallel
// random numbers: as easy as 1, 2, 3", 2011), so that every thread draws its own part and what is kept does not
// depend on how many there are. The key is drawn from libtorch's generator: seeds and saved states mean what
// they do elsewhere.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/PhiloxRNGEngine.h>

#include <cmath>

namespace brew {

// Sixteen bits decide one element, so a draw of the generator (four times 32 bits) serves eight.
constexpr int64_t A_DRAW = 8;
constexpr double SIXTEEN_BITS = 65536.0;

// How many of 2^16 are dropped, and what the others are multiplied by: what is dropped in truth is a multiple of
// 2^-16, and the scale is that of what is dropped.
struct Share {
    explicit Share(double probability)
        : dropped(static_cast<uint32_t>(std::lround(probability * SIXTEEN_BITS))),
          scale(SIXTEEN_BITS / (SIXTEEN_BITS - dropped)) {}
    uint32_t dropped;
    double scale;
};

inline void check_probability(double probability) {
    TORCH_CHECK(probability >= 0.0 && probability <= 1.0 - 1.0 / SIXTEEN_BITS, "a probability of dropout of ",
                probability, "; it must lie in [0, 1)");
}

inline uint64_t draw_key() {
    auto generator = at::detail::getDefaultCPUGenerator();
    auto* numbers = at::check_generator<at::CPUGeneratorImpl>(generator);
    std::lock_guard<std::mutex> lock(numbers->mutex_);
    return numbers->random64();
}

// 1 for what is kept, 0 for what is dropped, of the elements of a sequence from `start`, a multiple of A_DRAW, on.
inline void draw(uint8_t* keep, uint64_t sequence, int64_t start, int64_t count, uint64_t key, uint32_t dropped) {
    at::Philox4_32 numbers(key, sequence, static_cast<uint64_t>(start / A_DRAW));
    int64_t index = 0;
    for (; index + 2 <= count; index += 2) {
        const uint32_t number = numbers();
        keep[index] = (number & 0xffff) >= dropped;
        keep[index + 1] = (number >> 16) >= dropped;
    }
    if (index < count) {
        keep[index] = (numbers() & 0xffff) >= dropped;
    }
}

}  // namespace brew
