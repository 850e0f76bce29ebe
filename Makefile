# Flotilla: short names for what tools/ and Meson do.  Each target does its own set-up.
#   make          build/flotillad and build/flotilla
#   make run      a three-broker cluster in the foreground, data in ./run
#   make test     every test;  make test SUITES="unit sim"  some of them
BUILD ?= build
SUITES ?= all
SECONDS_EACH ?= 10
SEED ?= 1
MINUTES ?= 10
CLIENTS ?=

.PHONY: all build run test bench interop interop-librdkafka sim bugs soak chaos fuzz cover asan ubsan tsan format format-check setup clean

all: build

setup:
	@tools/setup

$(BUILD)/build.ninja:
	meson setup $(BUILD)

build: setup $(BUILD)/build.ninja
	ninja -C $(BUILD)

run: build
	tools/run_cluster --build $(BUILD)

test: build
	tools/run_tests --build $(BUILD) --suites $(SUITES)

bench: build
	tools/run_bench --build $(BUILD)

# Real clients of other projects, fetched into build-interop/; make interop CLIENTS="kafkajs sarama"  some of them.
interop: build
	@tools/setup interop
	tools/run_interop --build $(BUILD) --clients $(CLIENTS)

# librdkafka's own test suite.
interop-librdkafka: build
	@tools/setup interop
	tools/run_librdkafka_tests --build $(BUILD)

sim: build
	$(BUILD)/tests/sim/raft/raft_sim --seed $(SEED) --seeds 1000
	$(BUILD)/tests/sim/drill/broker_sim --seed $(SEED) --seconds 60

# Real brokers under kills, pauses, partitions, power cuts ...; tools/run_chaos --list names the faults.
chaos: build
	tools/run_chaos --build $(BUILD) --minutes $(MINUTES)

# Plants known mistakes and demands that the tests find them.
bugs: setup
	tools/run_bug_bank

# Adds MINUTES of simulation to docs/design/soak-ledger.md.
soak: setup
	tools/run_soak --minutes $(MINUTES)

fuzz:
	@tools/setup
	tools/run_fuzz --seconds $(SECONDS_EACH)

# Which branches the tests take; fails below tools/coverage_goals.
cover: setup
	tools/run_cover

# The whole suite under a sanitizer, each in a build directory of its own.
asan: setup
	tools/run_tests --build build-asan --sanitize address,undefined --suites $(SUITES)

ubsan: setup
	tools/run_tests --build build-ubsan --sanitize undefined --suites $(SUITES)

tsan: setup
	tools/run_tests --build build-tsan --sanitize thread --suites $(SUITES)

format: setup
	git ls-files '*.c' '*.h' | xargs clang-format -i

format-check: setup
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

clean:
	rm -rf $(BUILD) build-asan build-ubsan build-tsan build-fuzz build-cover build-interop build-soak
