# The front door. Every target first installs what it needs and is missing (tools/bootstrap; set
# MAINSTEM_NO_BOOTSTRAP=1 to see to that yourself); Meson and Ninja do the building.

DATA ?= data
HTTP ?= 127.0.0.1:8080
ARGS ?=
APP := $(if $(wildcard examples/shop/.),--app examples/shop)

.DEFAULT_GOAL := build
.PHONY: build run demo test sanitize test-all bench fuzz-smoke clients-kip848 crash planted tidy fmt install clean help ready ready-all

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

build: ready ## build/mainstem and build/libmainstem.so
	@tools/build plain

run: build ## serve the directory DATA on HTTP (make run DATA=data HTTP=127.0.0.1:8080 ARGS=…)
	@exec build/mainstem serve --data $(DATA) --http $(HTTP) $(APP) $(ARGS)

demo: build ## a server on fresh data, real events, a kill -9, and the proof that nothing is lost
	@tools/demo

test: ready-all ## what users run must hold: units, real clients, crashes, docs; closes with "N passed, N failed"
	@tools/test users

sanitize: ready-all ## the same units under the address and thread sanitizers, and the second compiler
	@tools/test sanitizers

test-all: ready-all ## both, as the continuous integration runs them
	@tools/test

bench: ready-all build ## measure, side by side with peers where they are installed
	@bench/run

fuzz-smoke: ready-all ## ten seconds of fuzzing for each target
	@tools/fuzz-smoke

clients-kip848: ready-all build ## KIP-848 with a real client: the librdkafka of node-rdkafka is built for it once (a minute)
	@tests/client/run --new-librdkafka kafka/rdkafka_new.test.mjs

crash: build ## the long kill -9 and power-cut loops
	@tests/crash/run

planted: ready ## tests of the tests: each of some planted bugs must be noticed (five minutes)
	@tests/planted/run

tidy: ready ## layers, banned calls, sizes, layout
	@tools/tidy

fmt: ready-all ## lay the C files out by .clang-format
	@tools/fmt

install: build ## binary, library, header, man page, unit (make install PREFIX=/usr DESTDIR=…)
	@meson install -C build --no-rebuild --quiet

clean: ## remove what was built
	rm -rf build build-asan build-tsan build-clang build-fuzz build-planted

ready:
	@tools/bootstrap build

ready-all:
	@tools/bootstrap
