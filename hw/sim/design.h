/*****************************************************************************
 * What harness.cpp sees of a design that Verilator has made C++ of.
 *****************************************************************************/
#ifndef SDQ_DESIGN_H
#define SDQ_DESIGN_H

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

class VerilatedContext;

// A port's value as bytes, least significant first. Verilator's types are integers or arrays of
// 32-bit words, both little-endian on the machines it runs on.
struct Port {
	uint8_t* bytes = nullptr;
	size_t size = 0;
	void set(uint64_t value) const {
		std::memset(bytes, 0, size);
		std::memcpy(bytes, &value, std::min(size, sizeof value));
	}
	uint64_t get() const {
		uint64_t value = 0;
		std::memcpy(&value, bytes, std::min(size, sizeof value));
		return value;
	}
};

struct NamedPort {
	const char* name;
	Port port;
};

class Design {
public:
	virtual ~Design() = default;
	virtual void eval() = 0;
	virtual void final() = 0;
	virtual std::vector<NamedPort> ports() = 0;
};

std::unique_ptr<Design> make_design(VerilatedContext* context);

#endif
