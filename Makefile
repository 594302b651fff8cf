# Thin on purpose: every target calls a script of tools/, each of which says what it does at its head.
#
#   make                      the release build, into build/           make debug    without optimization, build/debug
#   make test                 unit, process and simulation tests       make check    all that a reviewer would run
#   make demo                 the main job end to end, by itself       make bench    beside its peers; build/bench.json
#   make sim SEED=n           one simulated run, replayed exactly      make fuzz T=resp TIME=600
#   make test-slow sim-slow   the suites that take long                make install DESTDIR=/x prefix=/usr
#   make figures ONLY="4.8"   a thesis's experiments on the engines; docs/engines.md, docs/figures
#   make figures ONLY=keeper  FaaSKeeper's experiments; docs/keeper.md
#   make setup                only install what is missing             make format, make clean
#
# BUILD=dir builds elsewhere; CAIRN_CACHE=dir keeps Wasmtime elsewhere than in ~/.cache/cairn.

BUILD ?= build
prefix ?= /usr/local
DESTDIR ?=
SEED ?=
SEEDS ?= 1000
T ?=
TIME ?= 600

all:
	@tools/setup build
	@tools/build $(BUILD) -- product

debug:
	@tools/setup build
	@tools/build build/debug -Dbuildtype=debug -- product

setup:
	@tools/setup build test check
	@tools/wasmtime

tests:
	@tools/setup build test
	@tools/build $(BUILD)

test: tests
	@tools/test $(BUILD) --no-suite slow

test-slow:
	@tools/setup build test slow
	@tools/build $(BUILD)
	@tools/test $(BUILD) --suite slow

check:
	@tools/setup build test check
	@tools/check $(STEPS)

demo:
	@tools/setup build test
	@tools/build $(BUILD) -- product
	@tools/demo $(BUILD)

sim: tests
	@tools/sim $(BUILD) $(SEED)

sim-slow: tests
	@tools/sim $(BUILD) $(or $(SEED),1) $(SEEDS)

fuzz:
	@tools/setup build test check
	@tools/fuzz "$(T)" "$(TIME)"

bench:
	@tools/setup build test bench
	@tools/faster >/dev/null || true
	@tools/build $(BUILD) -- product bench-programs
	@tools/bench $(BUILD) $(ONLY)

figures:
	@tools/setup build bench
	@tools/build $(BUILD) -- product bench-programs
	@[ "$(ONLY)" = keeper ] || bench/thesis.py $(BUILD) $(ONLY)
	@[ -n "$(filter-out keeper,$(ONLY))" ] || bench/faaskeeper.py $(BUILD)

install:
	@test -x $(BUILD)/cairn || $(MAKE) --no-print-directory all
	@DESTDIR=$(DESTDIR) tools/install $(BUILD) $(prefix)

format:
	@tools/setup check
	@tools/format

clean:
	rm -rf build $(BUILD)

.PHONY: all debug setup tests test test-slow check demo sim sim-slow fuzz bench figures install format clean
