// Drives one instance of the generated module farm: reads its beats from standard input, sends
// them with random gaps, takes the results with random backpressure, and prints them.
//
// Usage: farm INSTANCE OUTPUTS SEED. Input: "w HEX..." and "a HEX..." lines, one beat each, as
// 32-bit words, least significant first. Output: lines "= HEX..." in the same form.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "Vmodel.h"

namespace {

using Beat = std::vector<uint32_t>;

// A flag that stays as it is for a random number of cycles. Long refusals after long runs fill a
// pipeline and then stop it, which independent coin flips practically never do.
class Bursts {
public:
    Bursts(uint64_t seed, uint32_t on, uint32_t off) : state_(seed * 2 + 1), on_(on), off_(off) {}
    bool next() {
        if (left_-- == 0) {
            value_ = !value_;
            left_ = draw() % (value_ ? on_ : off_);
        }
        return value_;
    }

private:
    uint32_t draw() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<uint32_t>((state_ * 0x2545F4914F6CDD1DULL) >> 33);
    }
    uint64_t state_;
    uint32_t on_, off_, left_ = 0;
    bool value_ = false;
};

template <typename Port>
void put(Port& port, const Beat& beat) {
    for (size_t i = 0; i < beat.size(); ++i) port[i] = beat[i];
}

}  // namespace

int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    const size_t outputs = std::strtoull(argv[2], nullptr, 10);
    const uint64_t seed = std::strtoull(argv[3], nullptr, 10);
    context.randReset(2);
    context.randSeed(static_cast<int>(seed + 1));
    Vmodel farm{&context};

    std::vector<Beat> weights, activations;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line.substr(1));
        Beat beat;
        for (std::string word; words >> word;) beat.push_back(std::stoul(word, nullptr, 16));
        (line[0] == 'w' ? weights : activations).push_back(beat);
    }

    Bursts weight_gaps(seed * 3 + 1, 60, 3), input_gaps(seed * 3 + 2, 60, 3);
    Bursts ready(seed * 3 + 3, 20, 40);
    farm.select = std::atoi(argv[1]);
    size_t w = 0, a = 0, taken = 0;
    bool offer_w = false, offer_a = false;
    for (uint64_t now = 0; taken < outputs && now < 200 * outputs + 10000; ++now) {
        farm.clk = 0;
        farm.rst_n = now >= 8;
        // A beat once offered stays until it is taken.
        offer_w = offer_w || (farm.rst_n && w < weights.size() && weight_gaps.next());
        offer_a = offer_a || (farm.rst_n && a < activations.size() && input_gaps.next());
        if (offer_w) put(farm.w_data, weights[w]);
        if (offer_a) put(farm.a_data, activations[a]);
        farm.w_valid = offer_w;
        farm.a_valid = offer_a;
        farm.o_ready = farm.rst_n && ready.next();
        farm.eval();
        const bool took_w = offer_w && farm.w_ready, took_a = offer_a && farm.a_ready;
        if (farm.o_valid && farm.o_ready) {
            std::printf("=");
            for (size_t i = 0; i < sizeof farm.o_data / 4; ++i) std::printf(" %x", farm.o_data[i]);
            std::printf("\n");
            ++taken;
        }
        farm.clk = 1;
        farm.eval();
        if (took_w) ++w, offer_w = false;
        if (took_a) ++a, offer_a = false;
    }
    return 0;
}
