/*****************************************************************************
 * Drives a design with any number of AXI-Stream ports and one clock, ap_clk, and one reset,
 * ap_rst_n. It sees of the design what design.h says, so that it is compiled once for all of them.
 *
 * Usage: harness PLAN, a text file of lines
 *   source PREFIX FILE BYTES BEATS FRAMES    PREFIX_tdata/_tvalid/_tready takes FRAMES frames of
 *                                            BEATS beats of BYTES bytes from FILE
 *   cycle PREFIX FILE BYTES BEATS FRAMES     the same, but FILE is shorter and is read again and again
 *   sink PREFIX FILE BYTES BEATS FRAMES      the same the other way
 *   set PORT VALUE                           an input that stays constant
 *   probe PORT                               an output that is printed at the end
 *   write ADDRESS DATA                       an AXI-Lite write (s_axilite) before the first frame
 *   read ADDRESS                             an AXI-Lite read, after all writes
 *   stall N       probability, in 1/65536, that a source holds a beat back in a cycle, and,
 *                 independently, that a sink is not ready in it; the same in AXI-Lite
 *   burst N       each of these decisions of a stream holds for 1 to 2 N - 1 cycles instead of one:
 *                 long refusals after long runs fill a pipeline and then stop it
 *   late N        no sink is ready before cycle N
 *   seed N        of the stalls, and of registers that have no reset
 *   alone N       how many of the first frames go through with nothing else in the pipeline: the
 *                 next frame enters after their last beat has left
 *   gap N         frame k does not begin before k*N cycles after the first (0: as soon as it can)
 *   reset N       in cycle N, reset, forget all that was received, and start again
 *   patience N    cycles without any transfer after which the design counts as stuck
 *   coverage FILE                            where counts of lines and branches go at the end, of a
 *                                            design compiled with them
 *
 * All streams follow AXI-Stream: who has said TVALID holds it and the data until the transfer; the
 * harness does so itself and checks that the design does.
 *
 * Prints "read ADDRESS VALUE", "frame K FIRST_IN LAST_IN FIRST_OUT LAST_OUT", in cycles, when frame
 * K has left by every sink, "probe PORT VALUE", and "done CYCLES" at the end.
 * Exit codes: 0 done, 3 stuck, 4 protocol violated, 5 files or plan.
 *****************************************************************************/
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "design.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

namespace {

constexpr int kStuck = 3;
constexpr int kProtocol = 4;
constexpr int kFiles = 5;
constexpr int kResetCycles = 16;

using Count = unsigned long long;

[[noreturn]] void fail(int code, const std::string& what) {
	std::fflush(stdout);
	std::fprintf(stderr, "%s\n", what.c_str());
	std::exit(code);
}

// xorshift64*, so that the stalls do not depend on the C++ library.
class Stalls {
public:
	Stalls(uint64_t seed, uint32_t threshold, uint64_t burst = 0)
	    : state_((seed + 1) * 0x9E3779B97F4A7C15ULL | 1), threshold_(threshold), burst_(burst) {}
	bool next() {
		if (threshold_ == 0) return false;
		if (left_ > 0) {
			--left_;
			return stalled_;
		}
		stalled_ = draw() < threshold_;
		if (burst_ > 1) left_ = draw() % (2 * burst_ - 1);
		return stalled_;
	}

private:
	uint64_t draw() {
		state_ ^= state_ >> 12;
		state_ ^= state_ << 25;
		state_ ^= state_ >> 27;
		return (state_ * 0x2545F4914F6CDD1DULL) >> 48;
	}
	uint64_t state_;
	uint32_t threshold_;
	uint64_t burst_, left_ = 0;
	bool stalled_ = false;
};

struct Stream {
	std::string prefix, file;
	size_t bytes = 0, beats = 0, frames = 0;
	bool cyclic = false;
	std::vector<uint8_t> data;
	Port tdata;
	uint8_t* tvalid = nullptr;
	uint8_t* tready = nullptr;
	Stalls stalls{0, 0};
	size_t done = 0;  // beats
	bool waiting = false;  // an offered beat that was not taken yet
	std::vector<Count> first, last;  // cycles of each frame's first and last beat

	size_t total() const { return beats * frames; }
	bool finished() const { return done == total(); }
	uint8_t* next() { return &data[done * bytes % data.size()]; }
	void restart() {
		done = 0;
		waiting = false;
	}
	void count(Count now) {
		if (done % beats == 0) first[done / beats] = now;
		last[done / beats] = now;
		++done;
	}
};

struct Plan {
	std::vector<Stream> sources, sinks;
	std::vector<std::pair<std::string, uint64_t>> constants;
	std::vector<std::string> probes;
	std::vector<std::pair<uint32_t, uint32_t>> writes;
	std::string coverage;
	std::vector<uint32_t> reads;
	std::map<std::string, Count> numbers{{"stall", 0}, {"burst", 0}, {"late", 0},
	                                     {"seed", 0},  {"alone", 0}, {"gap", 0},
	                                     {"reset", 0}, {"patience", 100000}};
};

Plan read_plan(const char* path) {
	Plan plan;
	std::ifstream file(path);
	if (!file) fail(kFiles, std::string("can't read ") + path);
	std::string line;
	while (std::getline(file, line)) {
		std::istringstream words(line);
		std::string kind;
		words >> kind;
		if (kind == "source" || kind == "cycle" || kind == "sink") {
			Stream stream;
			stream.cyclic = kind == "cycle";
			words >> stream.prefix >> stream.file >> stream.bytes >> stream.beats >> stream.frames;
			(kind == "sink" ? plan.sinks : plan.sources).push_back(std::move(stream));
		} else if (kind == "set") {
			plan.constants.emplace_back();
			words >> plan.constants.back().first >> plan.constants.back().second;
		} else if (kind == "probe") {
			plan.probes.emplace_back();
			words >> plan.probes.back();
		} else if (kind == "write") {
			plan.writes.emplace_back();
			words >> plan.writes.back().first >> plan.writes.back().second;
		} else if (kind == "read") {
			plan.reads.emplace_back();
			words >> plan.reads.back();
		} else if (kind == "coverage") {
			words >> plan.coverage;
		} else if (plan.numbers.count(kind)) {
			words >> plan.numbers[kind];
		} else {
			fail(kFiles, "unknown line in the plan: " + line);
		}
		if (!words) fail(kFiles, "incomplete line in the plan: " + line);
	}
	return plan;
}

class Bench {
public:
	Bench(Plan plan, int argc, char** argv)
	    : plan_(std::move(plan)), sources_(plan_.sources), sinks_(plan_.sinks) {
		const uint64_t seed = plan_.numbers["seed"];
		context_->commandArgs(argc, argv);
		context_->randReset(2);  // registers without a reset start with random bits,
		context_->randSeed(static_cast<int>(seed % 2147483646 + 1));  // the same for the same seed
		design_ = make_design(context_.get());
		for (const NamedPort& each : design_->ports()) ports_[each.name] = each.port;
		clock_ = port("ap_clk").bytes;
		reset_ = port("ap_rst_n").bytes;
		uint64_t number = 0;
		for (Stream& stream : sources_) attach(stream, seed * 4096 + number++, true);
		for (Stream& stream : sinks_) attach(stream, seed * 4096 + number++, false);
		access_ = Stalls(seed * 4096 + number, static_cast<uint32_t>(plan_.numbers["stall"]));
		for (const auto& [name, value] : ports_)  // else its inputs start with random bits
			if (name.compare(0, 10, "s_axilite_") == 0) value.set(0);
		for (const auto& [name, value] : plan_.constants) port(name).set(value);
	}

	void run() {
		reset();
		for (const auto& [address, data] : plan_.writes) write(address, data);
		for (const uint32_t address : plan_.reads) read(address);
		const Count restart = plan_.numbers["reset"];
		now_ = last_transfer_ = 0;
		while (!finished() && !context_->gotFinish()) {
			if (restart && now_ == restart) {
				reset();
				for (Stream& stream : sources_) stream.restart();
				for (Stream& stream : sinks_) stream.restart();
				left_ = 0;
				last_transfer_ = now_;
			}
			step();
		}
		for (const std::string& name : plan_.probes)
			std::printf("probe %s %llu\n", name.c_str(), static_cast<Count>(port(name).get()));
		design_->final();
		if (!finished()) fail(kStuck, "the design ended the simulation " + progress());
		for (const Stream& sink : sinks_) {
			std::ofstream file(sink.file, std::ios::binary);
			file.write(reinterpret_cast<const char*>(sink.data.data()),
			           static_cast<std::streamsize>(sink.data.size()));
			if (!file.flush()) fail(kFiles, "can't write " + sink.file);
		}
		write_coverage();
		std::printf("done %llu\n", now_);
	}

private:
	Port port(const std::string& name) const {
		const auto found = ports_.find(name);
		if (found == ports_.end()) fail(kFiles, "the design has no port " + name);
		return found->second;
	}

	void attach(Stream& stream, uint64_t seed, bool is_source) {
		stream.tdata = port(stream.prefix + "_tdata");
		stream.tvalid = port(stream.prefix + "_tvalid").bytes;
		stream.tready = port(stream.prefix + "_tready").bytes;
		stream.stalls = Stalls(seed, static_cast<uint32_t>(plan_.numbers["stall"]),
		                       plan_.numbers["burst"]);
		stream.data.resize(stream.total() * stream.bytes);
		stream.first.resize(stream.frames);
		stream.last.resize(stream.frames);
		if (stream.bytes > stream.tdata.size)
			fail(kFiles, stream.prefix + " is narrower than the plan says");
		if (!is_source) return;
		std::ifstream file(stream.file, std::ios::binary);
		if (stream.cyclic) {
			file.seekg(0, std::ios::end);
			const size_t size = file ? static_cast<size_t>(file.tellg()) : 0;
			if (size == 0 || size % stream.bytes != 0) fail(kFiles, stream.file + " has no beats");
			stream.data.resize(size);
			file.seekg(0);
		}
		file.read(reinterpret_cast<char*>(stream.data.data()),
		          static_cast<std::streamsize>(stream.data.size()));
		if (static_cast<size_t>(file.gcount()) != stream.data.size())
			fail(kFiles, stream.file + " is missing or too short");
	}

	// 10 ns a cycle. FINN's compute core wants 100 ns of rest first, as a real DSP slice does.
	// Inputs change with the falling edge, and are settled before the rising one.
	void settle() {
		*clock_ = 0;
		context_->timeInc(5000);
		design_->eval();
	}
	void rise() {
		*clock_ = 1;
		context_->timeInc(5000);
		design_->eval();
		++now_;
	}

	void write_coverage() {
		if (plan_.coverage.empty()) return;
#if VM_COVERAGE
		context_->coveragep()->write(plan_.coverage);
#else
		fail(kFiles, "the design was compiled without coverage");
#endif
	}

	void reset() {
		for (Stream& stream : sources_) *stream.tvalid = 0;
		for (Stream& stream : sinks_) *stream.tready = 0;
		*reset_ = 0;
		for (int i = 0; i < kResetCycles; ++i) {
			settle();
			rise();
		}
		*reset_ = 1;
	}

	// AXI-Lite. Who has said VALID holds it until the transfer; READY comes and goes.
	void write(uint32_t address, uint32_t data) {
		port("s_axilite_AWADDR").set(address);
		port("s_axilite_WDATA").set(data);
		port("s_axilite_WSTRB").set(15);
		Channel aw = channel("AW"), w = channel("W"), b = channel("B");
		for (Count tries = 0; !b.done; ++tries) {
			if (tries > plan_.numbers["patience"])
				fail(kStuck, "an AXI-Lite write to " + std::to_string(address) + " hangs");
			offer(aw);
			offer(w);
			*b.ready = !access_.next();
			settle();
			answered(b, aw.done && w.done);
			transfer(aw);
			transfer(w);
			check(b, "write to ", address, "s_axilite_BRESP");
			rise();
		}
		*b.ready = 0;
	}

	void read(uint32_t address) {
		port("s_axilite_ARADDR").set(address);
		Channel ar = channel("AR"), r = channel("R");
		for (Count tries = 0; !r.done; ++tries) {
			if (tries > plan_.numbers["patience"])
				fail(kStuck, "an AXI-Lite read of " + std::to_string(address) + " hangs");
			offer(ar);
			*r.ready = !access_.next();
			settle();
			answered(r, ar.done);
			transfer(ar);
			check(r, "read of ", address, "s_axilite_RRESP");
			if (r.done)
				std::printf("read %lu %llu\n", static_cast<unsigned long>(address),
				            static_cast<Count>(port("s_axilite_RDATA").get()));
			rise();
		}
		*r.ready = 0;
	}

	struct Channel {
		uint8_t* valid = nullptr;
		uint8_t* ready = nullptr;
		bool waiting = false;  // VALID was said
		bool done = false;
	};

	Channel channel(const std::string& name) const {
		Channel made;
		made.valid = port("s_axilite_" + name + "VALID").bytes;
		made.ready = port("s_axilite_" + name + "READY").bytes;
		return made;
	}

	void offer(Channel& channel) {
		if (!channel.waiting && !channel.done) channel.waiting = !access_.next();
		*channel.valid = channel.waiting && !channel.done;
	}

	static void transfer(Channel& channel) {
		if (*channel.valid && *channel.ready) channel.done = true;
	}

	// The design answers after the request was taken, and holds the answer.
	static void answered(Channel& channel, bool asked) {
		if (*channel.valid && !asked) fail(kProtocol, "an AXI-Lite answer without a request");
		if (channel.waiting && !*channel.valid) fail(kProtocol, "an AXI-Lite answer was withdrawn");
		channel.waiting = *channel.valid;
		transfer(channel);
	}

	void check(const Channel& channel, const char* what, uint32_t address, const char* response) {
		const uint64_t code = port(response).get();
		if (!channel.done || !code) return;
		write_coverage();  // a test may have brought it about
		fail(kProtocol, std::string("the AXI-Lite ") + what + std::to_string(address) +
		                    " was answered with error " + std::to_string(code));
	}

	bool may_begin(size_t frame) const {
		if (frame > 0 && frame <= plan_.numbers.at("alone"))
			for (const Stream& sink : sinks_)
				if (sink.done < frame * sink.beats) return false;
		return frame == 0 || now_ >= sources_[0].first[0] + frame * plan_.numbers.at("gap");
	}

	void step() {
		for (Stream& source : sources_) {
			if (!source.waiting && !source.finished()) {
				const bool begins = source.done % source.beats == 0;
				source.waiting = (!begins || may_begin(source.done / source.beats)) &&
				                 !source.stalls.next();
				if (source.waiting)
					std::memcpy(source.tdata.bytes, source.next(), source.bytes);
			}
			*source.tvalid = source.waiting;
		}
		const bool late = now_ < plan_.numbers["late"];
		for (Stream& sink : sinks_) *sink.tready = !late && !sink.finished() && !sink.stalls.next();
		settle();
		bool moved = false;
		for (Stream& source : sources_) {
			if (!source.waiting || !*source.tready) continue;
			source.waiting = false;
			source.count(now_);
			moved = true;
		}
		for (Stream& sink : sinks_) {
			if (sink.finished()) continue;
			uint8_t* const kept = &sink.data[sink.done * sink.bytes];
			if (sink.waiting &&
			    (!*sink.tvalid || std::memcmp(kept, sink.tdata.bytes, sink.bytes) != 0))
				fail(kProtocol, "cycle " + std::to_string(now_) + ": " + sink.prefix +
				                    " dropped or changed a beat before its transfer");
			sink.waiting = *sink.tvalid;
			if (!sink.waiting) continue;
			std::memcpy(kept, sink.tdata.bytes, sink.bytes);
			if (!*sink.tready) continue;
			const size_t frame = sink.done / sink.beats;
			if (sources_.size() == 1 && sources_[0].done <= frame * sources_[0].beats)
				fail(kProtocol, "cycle " + std::to_string(now_) + ": " + sink.prefix +
				                    " gave a beat of frame " + std::to_string(frame) +
				                    " before its first input");
			sink.waiting = false;
			sink.count(now_);
			moved = true;
		}
		if (moved) {
			last_transfer_ = now_;
			report();
		}
		if (now_ - last_transfer_ > plan_.numbers["patience"])
			fail(kStuck, "stuck: no transfer for " + std::to_string(now_ - last_transfer_) +
			                 " cycles, " + progress());
		rise();
	}

	void report() {
		const size_t frames = sinks_[0].frames;
		while (left_ < frames) {
			Count first_out = ~0ULL, last_out = 0;
			for (const Stream& sink : sinks_) {
				if (sink.frames != frames) return;  // streams that have nothing to do with each other
				if (sink.done < (left_ + 1) * sink.beats) return;
				first_out = std::min(first_out, sink.first[left_]);
				last_out = std::max(last_out, sink.last[left_]);
			}
			const Stream& source = sources_[0];
			if (source.frames != frames) return;
			std::printf("frame %zu %llu %llu %llu %llu\n", left_, source.first[left_],
			            source.last[left_], first_out, last_out);
			std::fflush(stdout);
			++left_;
		}
	}

	bool finished() const {
		for (const Stream& sink : sinks_)
			if (!sink.finished()) return false;
		return true;
	}

	std::string progress() const {
		std::string text;
		for (const auto* streams : {&sources_, &sinks_})
			for (const Stream& stream : *streams)
				if (!stream.finished())
					text += (text.empty() ? "" : ", ") + std::to_string(stream.done) + " of " +
					        std::to_string(stream.total()) + " beats through " + stream.prefix;
		return text;
	}

	Plan plan_;
	std::vector<Stream>&sources_, &sinks_;
	std::unique_ptr<VerilatedContext> context_ = std::make_unique<VerilatedContext>();
	std::unique_ptr<Design> design_;
	std::map<std::string, Port> ports_;
	uint8_t *clock_ = nullptr, *reset_ = nullptr;
	Stalls access_{0, 0};  // of AXI-Lite
	Count now_ = 0, last_transfer_ = 0;
	size_t left_ = 0;  // frames that have left by every sink
};

}  // namespace

int main(int argc, char** argv) {
	if (argc < 2) fail(kFiles, "usage: see the head of harness.cpp");
	Bench(read_plan(argv[1]), argc, argv).run();
	return 0;
}
