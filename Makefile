# Sluice: one Makefile for the whole house.
#
#   make                  build/sluice and build/sluice-agent
#   make demo             a workspace, a fleet of eight boxes, an update, an attack, a stop
#   make test             all that CI needs; ends with "N passed, N failed"
#   make vm               boots machines under qemu, updates them, cuts their power (SLUICE_SEED=N)
#   make crash            the agent killed, and its disk failing it, at every call; images of every
#                         awkward size. Of these the suite has a few; about half an hour
#   make asan             the same suite under the address and undefined-behaviour sanitizers
#   make fuzz             every parser of bytes from outside, SECONDS=10 each
#   make lint             clang-tidy, cppcheck, format, and the house's own rules
#   make bench            figures beside peers'; BENCH="crowd halt" for some of them, BOXES=200;
#                         BENCH=ledger BOXES=1000000 is the size that its bars are for;
#                         BENCH="bytes delta" make their images of packages, under BENCH_CACHE=DIR
#   make conformance SUITE=DIR
#                         the official TUF conformance suite, from where you have it
#   make mutants          breaks each check in turn, and looks whether its test fails
#   make deb              Debian packages of both, under build/deb; MAINTAINER="Name <address>"
#   make install          DESTDIR and PREFIX are honoured; UNITDIR, SYSUSERSDIR, TMPFILESDIR
#
# Variables: VARIANT=release|asan|fuzz|cov  CC=gcc|clang-14  WERROR=1  DEPS=skip  V=1

PREFIX ?= /usr/local
DESTDIR ?=
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
# The units name programs and files as a distribution's package has them.
to_prefix = sed 's,/usr/\(bin\|sbin\|libexec\|share/doc\)/sluice,$(PREFIX)/\1/sluice,g'
VARIANT ?= release
PYTHON := /usr/bin/python3
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $@)

# The one list of Debian packages: what builds it, then what tests and demonstrates it.
DEPS_BUILD := gcc make pkg-config libc6-dev libsodium-dev libssl-dev libcurl4-openssl-dev \
	libarchive-dev zlib1g-dev libdeflate-dev libjansson-dev libfyaml-dev libinih-dev libsqlite3-dev \
	libubootenv-dev libefivar-dev libext2fs-dev comerr-dev
DEPS_TEST := libcmocka-dev python3 nginx-light openssl minisign e2fsprogs util-linux procps curl \
	sqlite3 tzdata python3-securesystemslib python3-cryptography zstd xz-utils bzip2 strace \
	ca-certificates iproute2 mandoc systemd dpkg-dev clang-14 clang-format-14 clang-tidy-14 \
	libclang-rt-14-dev cppcheck

# Looks at what `make deb` makes; in CI, at what the suite makes, too.
DEPS_DEB := lintian
# A machine that boots with GRUB under SeaBIOS: one is part of the suite wherever there is qemu, and
# in CI in any case; then all that `make vm` boots.
DEPS_SHORT := qemu-system-x86 grub-pc-bin grub-common fdisk busybox-static
DEPS_VM := $(DEPS_SHORT) ovmf grub-efi-amd64-bin systemd-boot-efi mtools dosfstools
ifneq ($(CI),)
DEPS_TEST += $(DEPS_SHORT) $(DEPS_DEB)
endif

CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
# A folder for each variant and compiler: build/release, build/asan, build/release-clang-14.
B := build/$(VARIANT)$(patsubst %,-%,$(filter-out gcc,$(lastword $(notdir $(CC)))))
CSTD := -std=gnu17
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2 \
	-Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wvla -Wundef $(if $(WERROR),-Werror)
HARDEN := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack

ifeq ($(VARIANT),release)
# Nothing unwinds a C program but a debugger, which has -g for that: an eighth less on the box.
OPT := -O2 -g $(HARDEN) -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
# Relocations of a program that may lie anywhere, packed: 3% less of it (glibc 2.36, musl 1.2.4).
OPT_LD := $(HARDEN_LD) -Wl,--gc-sections -Wl,-z,pack-relative-relocs
else ifeq ($(VARIANT),asan)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -fPIE
OPT_LD := -pie -fsanitize=address,undefined
else ifeq ($(VARIANT),fuzz)
CC := clang-14
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all
OPT_LD := -fsanitize=address,undefined
else ifeq ($(VARIANT),cov)
OPT := -O0 -g --coverage
OPT_LD := --coverage
else
$(error VARIANT is release, asan, fuzz or cov, not $(VARIANT))
endif

CPPFLAGS_ALL := -I. -isystem /usr/include/efivar -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -MMD -MP $(CPPFLAGS)
CFLAGS_ALL := $(CSTD) $(WARN) $(OPT) $(CFLAGS)
LDFLAGS_ALL := $(OPT_LD) -Wl,--as-needed $(LDFLAGS)
# What runs the conformance suite, with its own dependencies (see its pyproject.toml).
SUITE_PYTEST ?= $(PYTHON) -m pytest
LIBS_COMMON := -lsodium -lcrypto -larchive -lz -ljansson -lpthread
LIBS_AGENT := -linih -lubootenv -lefivar $(LIBS_COMMON)
LIBS_NET := -lcurl -lssl -lcrypto
LIBS_ALL = $(sort $(LIBS_AGENT) $(LIBS_NET) $(LIBS_SIGNER))
LIBS_SIGNER := -lfyaml -lsqlite3 -lext2fs -lcom_err $(LIBS_COMMON)

COMMON_SRC := $(sort $(wildcard common/*/*.c))
SIGNER_SRC := $(sort $(wildcard signer/*.c))
AGENT_SRC := $(sort $(wildcard agent/*.c))
# The program that has the network; agent/wire.c is what it shares with the agent.
NET_SRC := $(sort $(wildcard agent/net/*.c))
obj = $(patsubst %.c,$(B)/%.o,$(1))
ifeq ($(VARIANT),release)
# Boxes have little room, and but for these nothing takes time there.
HOT := common/crypto/digest% common/format/codec.c common/format/hints.c common/format/index.c
$(B)/agent/%.o $(call obj,$(filter-out $(HOT),$(COMMON_SRC))): CFLAGS_ALL += -Os
endif
COMMON_OBJ := $(call obj,$(COMMON_SRC))
SIGNER_OBJ := $(call obj,$(SIGNER_SRC))
AGENT_OBJ := $(call obj,$(AGENT_SRC))
NET_OBJ := $(call obj,$(NET_SRC))

# A unit test tests/unit/test_NAME.c links with the whole library and with both programs' rooms
# (all but their main), so it may look into any of them.
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(UNIT_SRC))
# A fuzz target tests/fuzz/fuzz_NAME.c is driven by libFuzzer in VARIANT=fuzz, and elsewhere by
# replay.c, which runs a corpus through it.
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(FUZZ_SRC))
FUZZ_OBJ := $(call obj,tests/fuzz/harness.c $(if $(filter fuzz,$(VARIANT)),,tests/fuzz/replay.c))
FUZZ_JSON := $(foreach t,client files head metadata plan report request state tree,$(B)/tests/fuzz/fuzz_$(t))
FUZZ_LD = $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer) $(foreach f,$(FUZZ_WRAP),-Wl,--wrap=$(f))
# What a target plays itself: a network.
$(B)/tests/fuzz/fuzz_http: FUZZ_WRAP := curl_easy_setopt _exit
SECONDS ?= 10
TOOL_SRC := $(sort $(wildcard tests/tools/*.c))
TOOL_BIN := $(patsubst tests/tools/%.c,$(B)/tests/tools/%,$(TOOL_SRC))
CONFORMANCE_SRC := $(sort $(wildcard tests/conformance/*.c))

.DELETE_ON_ERROR:
.PHONY: all deps deb demo vm test crash asan unit tools fuzz fuzzers lint bench install install-host \
	install-agent clean format \
	conformance conformance-client mutants

all: build/sluice build/sluice-agent build/sluice-net

build/sluice: $(B)/sluice FORCE
	@ln -sfn $(notdir $(B))/sluice $@
build/sluice-agent: $(B)/sluice-agent FORCE
	@ln -sfn $(notdir $(B))/sluice-agent $@
build/sluice-net: $(B)/sluice-net FORCE
	@ln -sfn $(notdir $(B))/sluice-net $@
.PHONY: FORCE
FORCE:

$(B)/sluice: $(SIGNER_OBJ) $(B)/libcommon.a
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_SIGNER)
$(B)/sluice-agent: $(AGENT_OBJ) $(B)/libcommon.a
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_AGENT)
$(B)/sluice-net: $(NET_OBJ) $(B)/agent/wire.o $(B)/libcommon.a
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_NET)

# The archives are made anew, so that a source file that has gone leaves no object behind.
$(B)/libcommon.a: $(COMMON_OBJ)
	@rm -f $@ && ar rcs $@ $^
$(B)/libsigner.a: $(filter-out $(B)/signer/main.o,$(SIGNER_OBJ))
	@mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^
$(B)/libagent.a: $(filter-out $(B)/agent/main.o,$(AGENT_OBJ))
	@mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^
$(B)/libnet.a: $(filter-out $(B)/agent/net/main.o,$(NET_OBJ))
	@mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^
ROOMS := $(B)/libsigner.a $(B)/libnet.a $(B)/libagent.a $(B)/libcommon.a

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(ROOMS) -lcmocka $(LIBS_ALL)
ifeq ($(VARIANT),fuzz)
$(FUZZ_JSON): $(B)/tests/fuzz/mutate_json.o
endif
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(FUZZ_OBJ) $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS_ALL) $(FUZZ_LD) -o $@ $^ $(LIBS_ALL)
$(B)/tests/tools/%: $(B)/tests/tools/%.o $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(ROOMS) $(LIBS_ALL)
# net_probe looks for it beside itself, as the agent does.
$(B)/tests/tools/sluice-net: $(B)/sluice-net
	@mkdir -p $(@D) && ln -sfn ../../sluice-net $@

# tests/conformance/client is a link, which the suite's --entrypoint takes.
$(B)/tests/conformance/client: $(call obj,$(CONFORMANCE_SRC)) $(B)/libcommon.a
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcurl $(LIBS_COMMON)
conformance-client: $(B)/tests/conformance/client
	@ln -sfn ../../$< tests/conformance/client
conformance: conformance-client
	@test -n "$(SUITE)" || { echo "SUITE=DIR: where theupdateframework/tuf-conformance lies"; exit 2; }
	cd $(SUITE) && $(SUITE_PYTEST) tuf_conformance --entrypoint $(CURDIR)/tests/conformance/client

# Kept, or a change in one room would compile every test again.
.SECONDARY: $(UNIT_BIN:=.o) $(TOOL_BIN:=.o) $(FUZZ_BIN:=.o) $(FUZZ_OBJ) \
	$(call obj,$(CONFORMANCE_SRC))
unit: $(UNIT_BIN)
tools: $(TOOL_BIN) $(B)/tests/tools/sluice-net
fuzzers: $(FUZZ_BIN)

deps:
	@if [ "$(DEPS)" = skip ]; then exit 0; fi; \
	missing=; for p in $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_MORE); do \
		dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q '^install ok' || missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "installing:$$missing"; \
		root=; [ "$$(id -u)" = 0 ] || root=sudo; \
		$$root apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive $$root apt-get install -q -y --no-install-recommends $$missing; \
	fi

# The packages come first, in a make of their own: the compiler is one of them.
test: deps
	@$(MAKE) --no-print-directory test-run
.PHONY: test-run
test-run: all unit tools fuzzers conformance-client
	$(PYTHON) tests/run --build $(B)

# Where a fault is put in is found anew in each run; SLUICE_SEED chooses those of the suite.
crash: deps
	@$(MAKE) --no-print-directory all tools
	SLUICE_CRASH=whole $(PYTHON) tests/run --build $(B) crash/test_

asan: deps
	@$(MAKE) --no-print-directory VARIANT=asan test-run

fuzz: deps
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzzers
	$(PYTHON) tests/fuzz/run --build build/fuzz --seconds $(SECONDS)

# Machines that boot for real; the log of each is kept under build/vm/log.
vm:
	@$(MAKE) --no-print-directory deps DEPS_MORE="$(DEPS_VM)"
	@$(MAKE) --no-print-directory all
	$(PYTHON) tests/run --build $(B) --jobs 2 vm/

deb:
	@$(MAKE) --no-print-directory deps DEPS_MORE="$(DEPS_DEB)"
	@$(MAKE) --no-print-directory all
	+common/debian/build $(B) build/deb
	lintian --allow-root --fail-on error,warning build/deb/*.deb

demo: deps
	@$(MAKE) --no-print-directory all tools
	$(PYTHON) tests/demo/demo.py --build $(B) $(if $(KEEP),--keep)

bench: deps
	@$(MAKE) --no-print-directory all tools conformance-client
	$(PYTHON) tests/bench/run --build $(B) $(BENCH)

mutants: deps
	@$(MAKE) --no-print-directory all unit tools conformance-client
	$(PYTHON) tests/mutants/run --build $(B) $(ONLY)

C_FILES := $(sort $(wildcard common/*.h common/*/*.[ch] signer/*.[ch] agent/*.[ch] agent/*/*.[ch] \
	tests/*/*.[ch]))
lint: deps
	$(PYTHON) tests/lint/run $(C_FILES)
format:
	clang-format-14 -i $(C_FILES)

# What each package has; both are what `make install` installs.
MAN1 := $(wildcard signer/man/*.1)
MAN5 := $(wildcard signer/man/*.5 common/man/*.5)
MAN := $(DESTDIR)$(PREFIX)/share/man
install: install-host install-agent
install-host: all
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(B)/sluice
	install -D -m 644 -t $(MAN)/man1 $(MAN1)
	install -D -m 644 -t $(MAN)/man5 $(MAN5)
	$(to_prefix) agent/systemd/sluice-watch.service | \
		install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/sluice-watch.service
	install -D -m 644 agent/systemd/sluice.sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/sluice.conf
	install -D -m 644 agent/systemd/sluice.tmpfiles.conf $(DESTDIR)$(TMPFILESDIR)/sluice.conf
install-agent: all
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/sbin $(B)/sluice-agent
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/libexec agent/libexec/sluice-trial
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/libexec/sluice $(B)/sluice-net
	install -D -m 644 -t $(MAN)/man8 $(wildcard agent/man/*.8)
	install -D -m 644 -t $(MAN)/man5 $(wildcard agent/man/*.5)
	$(to_prefix) agent/systemd/sluice-agent.service | \
		install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/sluice-agent.service
	$(to_prefix) agent/systemd/sluice-net@.service | \
		install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/sluice-net@.service
	install -D -m 644 agent/systemd/sluice-net.socket $(DESTDIR)$(UNITDIR)/sluice-net.socket
	$(to_prefix) agent/systemd/sluice-trial.service | \
		install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/sluice-trial.service
	install -d $(DESTDIR)$(UNITDIR)/sysinit.target.wants
	ln -sfn ../sluice-trial.service $(DESTDIR)$(UNITDIR)/sysinit.target.wants/
	install -D -m 644 agent/systemd/bless-boot.conf \
		$(DESTDIR)$(UNITDIR)/systemd-bless-boot.service.d/sluice.conf
	install -D -m 644 agent/systemd/sluice-agent.sysusers.conf \
		$(DESTDIR)$(SYSUSERSDIR)/sluice-agent.conf
	install -D -m 644 agent/systemd/sluice-agent.tmpfiles.conf \
		$(DESTDIR)$(TMPFILESDIR)/sluice-agent.conf
	for f in $$(cd agent && find boot systemd/drop-in -type f); do install -D -m 644 agent/$$f \
		$(DESTDIR)$(PREFIX)/share/doc/sluice-agent/examples/$$f || exit; done

clean:
	rm -rf build

-include $(COMMON_OBJ:.o=.d) $(SIGNER_OBJ:.o=.d) $(AGENT_OBJ:.o=.d) $(NET_OBJ:.o=.d) $(UNIT_BIN:=.d) $(TOOL_BIN:=.d) \
	$(patsubst %.c,$(B)/%.d,$(CONFORMANCE_SRC)) \
	$(FUZZ_BIN:=.d) $(FUZZ_OBJ:.o=.d)
