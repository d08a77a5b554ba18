/*****************************************************************************
 * Drives a stitched accelerator: frames in, frames out, one clock.
 *
 * Usage: harness INPUT OUTPUT BYTES_IN BYTES_OUT BEATS_IN BEATS_OUT FRAMES STALL SEED ALONE PATIENCE
 *   INPUT     file of FRAMES x BEATS_IN beats of BYTES_IN bytes, the width of s_axis_tdata
 *   OUTPUT    file to write, FRAMES x BEATS_OUT beats of BYTES_OUT bytes, the width of m_axis_tdata
 *   STALL     probability, in 1/65536, that the source holds a beat back in a cycle, and,
 *             independently, that the sink is not ready in it
 *   SEED      seed of the stalls
 *   ALONE     how many of the first frames go through with nothing else in the pipeline: the next
 *             frame enters after their last beat has left
 *   PATIENCE  cycles without any transfer after which the design counts as stuck
 *
 * Both ports follow AXI-Stream: a source that has said TVALID holds it and its data until the
 * transfer; the harness does so itself and checks that the design does.
 *
 * Prints one line for each frame that has left: "frame N FIRST_IN LAST_IN FIRST_OUT LAST_OUT", in
 * cycles, and "done CYCLES" at the end. Exit codes: 0 done, 3 stuck, 4 protocol violated, 5 files.
 *****************************************************************************/
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "Vmodel.h"
#include "verilated.h"

namespace {

constexpr int kStuck = 3;
constexpr int kProtocol = 4;
constexpr int kFiles = 5;
constexpr int kResetCycles = 16;

// A port's value as bytes, least significant first, whatever type Verilator gave it. Verilator's
// types are arrays of 32-bit words or integers, both little-endian on the machines it runs on.
template <typename Signal>
void store(Signal& signal, const uint8_t* bytes, size_t count) {
	std::memset(&signal, 0, sizeof signal);
	std::memcpy(&signal, bytes, count);
}
template <typename Signal>
void load(const Signal& signal, uint8_t* bytes, size_t count) {
	std::memcpy(bytes, &signal, count);
}

// xorshift64*, so that the stalls do not depend on the C++ library.
class Stalls {
public:
	Stalls(uint64_t seed, uint32_t threshold) : state_(seed * 2 + 1), threshold_(threshold) {}
	bool next() {
		state_ ^= state_ >> 12;
		state_ ^= state_ << 25;
		state_ ^= state_ >> 27;
		return ((state_ * 0x2545F4914F6CDD1DULL) >> 48) < threshold_;
	}

private:
	uint64_t state_;
	uint32_t threshold_;
};

struct Frame {
	uint64_t first_in = 0, last_in = 0, first_out = 0, last_out = 0;
};

}  // namespace

int main(int argc, char** argv) {
	if (argc < 12) {
		std::fprintf(stderr, "usage: see the head of harness.cpp\n");
		return kFiles;
	}
	const size_t beats_in = std::strtoull(argv[5], nullptr, 10);
	const size_t beats_out = std::strtoull(argv[6], nullptr, 10);
	const size_t frames = std::strtoull(argv[7], nullptr, 10);
	const uint32_t stall = std::strtoul(argv[8], nullptr, 10);
	const uint64_t seed = std::strtoull(argv[9], nullptr, 10);
	const size_t alone = std::strtoull(argv[10], nullptr, 10);
	const uint64_t patience = std::strtoull(argv[11], nullptr, 10);
	const size_t in_bytes = std::strtoull(argv[3], nullptr, 10);
	const size_t out_bytes = std::strtoull(argv[4], nullptr, 10);

	std::vector<uint8_t> input(frames * beats_in * in_bytes);
	std::vector<uint8_t> output(frames * beats_out * out_bytes);
	if (FILE* file = std::fopen(argv[1], "rb")) {
		const size_t got = std::fread(input.data(), 1, input.size(), file);
		std::fclose(file);
		if (got != input.size()) {
			std::fprintf(stderr, "%s holds %zu bytes, not %zu\n", argv[1], got, input.size());
			return kFiles;
		}
	} else {
		std::fprintf(stderr, "can't read %s\n", argv[1]);
		return kFiles;
	}

	auto context = std::make_unique<VerilatedContext>();
	context->commandArgs(argc, argv);
	context->randReset(2);  // registers without a reset start with random bits,
	context->randSeed(static_cast<int>(seed % 2147483646 + 1));  // the same for the same seed
	auto design = std::make_unique<Vmodel>(context.get());

	// 10 ns a cycle. FINN's compute core wants 100 ns of rest first, as a real DSP slice does.
	const auto cycle = [&] {
		design->ap_clk = 1;
		context->timeInc(5000);
		design->eval();
		design->ap_clk = 0;
		context->timeInc(5000);
		design->eval();
	};
	if (in_bytes > sizeof design->s_axis_tdata || out_bytes > sizeof design->m_axis_tdata) {
		std::fprintf(stderr, "the ports are narrower than %zu and %zu bytes\n", in_bytes, out_bytes);
		return kFiles;
	}
	design->ap_clk = 0;
	design->ap_rst_n = 0;
	design->s_axis_tvalid = 0;
	design->m_axis_tready = 0;
	design->eval();
	for (int i = 0; i < kResetCycles; ++i) cycle();
	design->ap_rst_n = 1;
	design->eval();

	Stalls source_stalls(seed * 2 + 0, stall), sink_stalls(seed * 2 + 1, stall);
	std::vector<Frame> record(frames);
	const size_t total_in = frames * beats_in, total_out = frames * beats_out;
	size_t sent = 0, received = 0;
	bool offered = false, was_waiting = false;
	std::vector<uint8_t> waiting(out_bytes), seen(out_bytes);
	uint64_t now = 0, last_transfer = 0;

	while (received < total_out && !context->gotFinish()) {
		// Inputs change just after the edge: here, with the clock low.
		if (!offered && sent < total_in) {
			const size_t frame = sent / beats_in;
			const bool held = frame > 0 && frame <= alone && sent % beats_in == 0 &&
			                  received < frame * beats_out;
			offered = !held && !source_stalls.next();
			if (offered) store(design->s_axis_tdata, &input[sent * in_bytes], in_bytes);
		}
		design->s_axis_tvalid = offered;
		design->m_axis_tready = !sink_stalls.next();
		design->eval();

		const bool in_transfer = offered && design->s_axis_tready;
		const bool out_valid = design->m_axis_tvalid;
		const bool out_transfer = out_valid && design->m_axis_tready;
		if (out_valid) load(design->m_axis_tdata, seen.data(), out_bytes);
		if (was_waiting && (!out_valid || seen != waiting)) {
			std::fprintf(stderr, "cycle %llu: m_axis dropped or changed a beat before its transfer\n",
			             static_cast<unsigned long long>(now));
			return kProtocol;
		}
		was_waiting = out_valid && !out_transfer;
		waiting = seen;

		if (in_transfer) {
			Frame& frame = record[sent / beats_in];
			if (sent % beats_in == 0) frame.first_in = now;
			frame.last_in = now;
			++sent;
			offered = false;
		}
		if (out_transfer) {
			const size_t index = received / beats_out;
			Frame& frame = record[index];
			if (sent <= index * beats_in) {
				std::fprintf(stderr, "cycle %llu: m_axis gave a beat of frame %zu before its first input\n",
				             static_cast<unsigned long long>(now), index);
				return kProtocol;
			}
			std::memcpy(&output[received * out_bytes], seen.data(), out_bytes);
			if (received % beats_out == 0) frame.first_out = now;
			frame.last_out = now;
			++received;
			if (received % beats_out == 0) {
				std::printf("frame %zu %llu %llu %llu %llu\n", index,
				            static_cast<unsigned long long>(frame.first_in),
				            static_cast<unsigned long long>(frame.last_in),
				            static_cast<unsigned long long>(frame.first_out),
				            static_cast<unsigned long long>(frame.last_out));
				std::fflush(stdout);
			}
		}
		if (in_transfer || out_transfer) last_transfer = now;
		if (now - last_transfer > patience) {
			std::fprintf(stderr,
			             "stuck: no transfer for %llu cycles, %zu of %zu beats in, %zu of %zu out\n",
			             static_cast<unsigned long long>(patience), sent, total_in, received,
			             total_out);
			return kStuck;
		}
		cycle();
		++now;
	}
	design->final();
	if (received < total_out) {
		std::fprintf(stderr, "the design ended the simulation after %zu of %zu beats\n", received,
		             total_out);
		return kStuck;
	}
	FILE* file = std::fopen(argv[2], "wb");
	if (!file || std::fwrite(output.data(), 1, output.size(), file) != output.size() ||
	    std::fclose(file) != 0) {
		std::fprintf(stderr, "can't write %s\n", argv[2]);
		return kFiles;
	}
	std::printf("done %llu\n", static_cast<unsigned long long>(now));
	return 0;
}
