# Thin on purpose: every target calls a script of tools/, or meson.  `make help` lists them.
BUILD ?= build

all: setup
	@tools/build $(BUILD)

setup:
	@tools/setup

test: all
	@meson test -C $(BUILD) --no-rebuild --suite unit --print-errorlogs

clean:
	rm -rf build build-*

.PHONY: all setup test clean
