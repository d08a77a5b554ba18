/*****************************************************************************
 * The design that harness.cpp drives, compiled with what Verilator has made of it. ports.h, written
 * for each design, names its ports: PORTS(X) expands X for each.
 *****************************************************************************/
#include "design.h"

#include "Vmodel.h"
#include "ports.h"

namespace {

class Wrapped final : public Design {
public:
	explicit Wrapped(VerilatedContext* context) : model_(context) {}
	void eval() override { model_.eval(); }
	void final() override { model_.final(); }
	std::vector<NamedPort> ports() override {
#define PORT(name) {#name, {reinterpret_cast<uint8_t*>(&model_.name), sizeof(model_.name)}},
		return {PORTS(PORT)};
#undef PORT
	}

private:
	Vmodel model_;
};

}  // namespace

std::unique_ptr<Design> make_design(VerilatedContext* context) {
	return std::make_unique<Wrapped>(context);
}
