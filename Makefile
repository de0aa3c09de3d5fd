# SPDX-License-Identifier: GPL-2.0
# lguest: build, run and test. `make help` lists the targets.

# Installed is what this machine's kernel can load.
KVER		?= $(shell $(if $(filter install uninstall,$(MAKECMDGOALS)),uname -r,lab/kernels --release))
HOST_KVER	?= $(KVER)
GUEST_KVER	?= $(KVER)
# For the shell: the headers are fetched when they are needed.
HOST_KDIR	?= $(or $(KDIR),$$(lab/fetch-headers $(HOST_KVER)))
GUEST_KDIR	?= $$(lab/fetch-headers $(GUEST_KVER))
PREFIX		?= /usr
DESTDIR		?=

build		:= $(CURDIR)/build
layer		 = $(build)/layers/$(GUEST_KVER)
vmlinuz		 = $(build)/kernels/$(GUEST_KVER)/boot/vmlinuz-$(GUEST_KVER)

# make V=1 shows the commands.
ifeq ($(V),1)
Q :=
else
Q := @
MAKEFLAGS += --no-print-directory
quiet := -s
endif
SHELL		:= /bin/bash
# Without BTF: its tool, pahole, need not be here, nor of the kernel's version.
no_btf		:= CONFIG_DEBUG_INFO_BTF_MODULES= PAHOLE_VERSION='$$(CONFIG_PAHOLE_VERSION)'
say = @echo "  $(1)"

help:
	@echo "make run        boot a stock Debian kernel under lguest, in the lab"
	@echo "                (a shell; without a terminal: a short report)"
	@echo "make test       run all tests in the lab, or TESTS=\"gdb disk\""
	@echo "make test-debug tests on a host kernel with KASAN, lockdep, kmemleak and"
	@echo "                failing allocations; see docs/TESTING.md"
	@echo "make bochs      micro guests and a stock kernel on a host in Bochs, which has"
	@echo "                global TLB entries, CR4.PCIDE and Intel's SYSRET"
	@echo "make soak SECONDS=600  hostile guests, launchers and hosts for so long"
	@echo "make test-long  all of these, and tiny guests on ten kinds of host more: hours,"
	@echo "                unattended, then one table"
	@echo "make fuzz       make up inputs for the launcher, FUZZ_SECONDS=60 for each part"
	@echo "make mutants    make holes on purpose: the tests must notice each one"
	@echo "make all        build the module, the guest layer and the launcher"
	@echo "make debian     a Debian 12 disk image, build/debian.img, for lguest run -d"
	@echo "make bench      measure lguest and its peers; see docs/BENCHMARKS.md"
	@echo "make lab        a root shell on the disposable host; see lab/lab --help"
	@echo "make book       the code as a journey to read: build/book.html"
	@echo "make check      sparse and warnings for the module, checkpatch if installed"
	@echo "make install    install the module, the launcher, the layer and the manual"
	@echo "make install-dkms  ... the module's source instead, for dkms"
	@echo "make uninstall  remove them"
	@echo "make deb        Debian packages, lguest and lguest-dkms, in build/"
	@echo "make clean      remove what was built (downloads stay in build/)"
	@echo "make distclean  remove those too, and disk images in build/"
	@echo
	@echo "KVER=$(KVER)  the kernel to build for, as host and as guest"
	@echo "HOST_KVER, GUEST_KVER, KDIR, PREFIX, DESTDIR and V=1 can be set."

# Packages come first, and may decide KVER: so the build is another make.
all: packages
	$(Q)$(MAKE) parts

packages:
	$(Q)lab/install-packages

parts: module launcher linked

module:
	$(call say,building the module for $(HOST_KVER))
	$(Q)kdir=$(HOST_KDIR) && \
		lab/compiler $$kdir make $(quiet) -C $$kdir M=$(CURDIR)/host $(no_btf) modules

layer:
	$(call say,building the guest layer for $(GUEST_KVER))
	$(Q)mkdir -p $(layer)
	$(Q)kdir=$(GUEST_KDIR) && \
		lab/compiler $$kdir make $(quiet) -C guest KDIR=$$kdir O=$(layer) >$(layer).log
	$(Q)cp --remove-destination -L guest/layer.lds $(layer)/layer.lds

launcher:
	$(call say,building the launcher)
	$(Q)$(MAKE) $(quiet) -C launcher

# Linking needs ld, which the lab has only on request, so the guest kernel is
# linked here. The cache's names are checksums: what is not current goes.
linked: layer launcher
	$(call say,linking the guest kernel $(GUEST_KVER))
	$(Q)lab/fetch-kernel $(GUEST_KVER) >/dev/null
	$(Q)file=$$(XDG_CACHE_HOME=$(build)/cache LGUEST_LAYERS=$(build)/layers \
		launcher/lguest link $(vmlinuz)) && \
		find $(build)/cache/lguest -name '$(GUEST_KVER)-*' ! -path "$$file" -delete

run: all
	@echo "  booting the lab, and in it the guest"
	$(Q)if [ -t 0 ] && [ -t 1 ]; then \
		lab/lab --tty --timeout 0 -- lguest run; \
	else \
		lab/lab --timeout 120 -- lguest run -- sh -c \
			'uname -a; grep MemTotal /proc/meminfo; dmesg | grep -i lguest' </dev/null; \
	fi

# A compiler that is newer than we are warns of more: that ends no user's build.
test bochs test-debug test-long mutants check: export WERROR = -Werror

test: all
	$(Q)lab/install-packages bochs
	$(Q)tests/run $(TESTS)

bochs: all
	$(Q)lab/install-packages bochs
	$(Q)tests/run -b

test-debug: all
	$(Q)tests/run -d

test-long: all
	$(Q)lab/install-packages bochs
	$(Q)tests/long-run $(PARTS)

soak: all
	$(Q)HOSTILE_SECONDS=$(or $(SECONDS),600) tests/system/hostile.sh

mutants: all
	$(Q)lab/install-packages bochs
	$(Q)tests/mutants

fuzz: packages
	$(Q)tests/fuzz/run

# Half an hour; `bench/run quick` takes five minutes.
bench: all
	$(Q)bench/run all

lab: all
	$(Q)lab/lab

book:
	$(Q)mkdir -p $(build)
	$(Q)docs/book >$(build)/book.html && echo "  $(build)/book.html"

Puppy:
	$(Q)docs/puppy

debian:
	$(Q)mkdir -p $(build)
	$(Q)images/debian $(build)/debian.img

checkpatch = $(firstword $(wildcard /usr/lib/linux-kbuild-*/scripts/checkpatch.pl \
	/usr/src/linux-headers-*/scripts/checkpatch.pl))

check: packages
	$(call say,sparse and W=1 on the module)
	$(Q)rm -rf $(build)/check && mkdir -p $(build)/check
	$(Q)cp -r host include $(build)/check/
	$(Q)set -o pipefail; kdir=$(HOST_KDIR) && $(MAKE) $(quiet) -C $$kdir M=$(build)/check/host clean && \
		$(MAKE) $(quiet) -C $$kdir M=$(build)/check/host W=1 C=2 $(no_btf) modules 2>&1 | \
		tee $(build)/check/log && ! grep -q 'warning\|error' $(build)/check/log
ifneq ($(checkpatch),)
	$(call say,checkpatch)
	$(Q)find host guest launcher include -name '*.[chS]' ! -name '*.mod.c' | \
		xargs perl $(checkpatch) --no-tree --strict --terse --show-types --file -q \
		--ignore SPDX_LICENSE_TAG,FILE_PATH_CHANGES,LINUX_VERSION_CODE
else
	@echo "  checkpatch.pl is not installed here: skipped"
endif
ifneq ($(shell command -v shellcheck),)
	$(call say,shellcheck on the scripts of the guest)
	$(Q)shellcheck -s dash launcher/boot/guest/*
else
	@echo "  shellcheck is not installed here: skipped"
endif

moddir	= $(DESTDIR)/lib/modules/$(HOST_KVER)/updates
libdir	= $(DESTDIR)$(PREFIX)/lib/lguest
sharedir = $(DESTDIR)$(PREFIX)/share/lguest

mandir	= $(DESTDIR)$(PREFIX)/share/man
compdir	= $(DESTDIR)$(PREFIX)/share/bash-completion/completions
udevdir	= $(DESTDIR)$(PREFIX)/lib/udev/rules.d
sysusersdir = $(DESTDIR)$(PREFIX)/lib/sysusers.d
hookdir	= $(DESTDIR)/etc/kernel
hooks	= postinst.d postrm.d header_postinst.d
version	= $(shell sed -n 's/^.define LGUEST_VERSION[^"]*"\(.*\)"/\1/p' launcher/lguest.h)
dkmsdir	= $(DESTDIR)/usr/src/lguest-$(version)
# Not from git, which a tarball has not.
module_sources = $(shell find host include '(' -name '*.[chS]' -o -name Kbuild ')' ! -name '*.mod.c')
layer_sources = $(wildcard guest/*.[chS] guest/Kbuild guest/Makefile guest/layer.lds guest/compat/*.h) \
	include/lguest/guest.h

# The group and the device's mode take effect at once, but not in a DESTDIR; nor do this
# machine's kernels get their layers then. Whatever umask says, all may read all of it.
install: module install-program
	install -D -m 644 host/lg.ko $(moddir)/lg.ko
	$(if $(DESTDIR),,depmod $(HOST_KVER))
	$(if $(DESTDIR),,getent group lguest >/dev/null || groupadd -r lguest)
	$(if $(DESTDIR),,-udevadm control --reload && udevadm trigger -s misc)
	$(if $(DESTDIR),,-$(PREFIX)/bin/lguest link --all)

# What the Debian package lguest has, too; install-dkms is lguest-dkms: see debian/rules.
install-program: launcher
	install -D -m 755 launcher/lguest $(DESTDIR)$(PREFIX)/bin/lguest
	install -D -m 755 packaging/lguest-oci $(DESTDIR)$(PREFIX)/bin/lguest-oci
	install -D -m 755 packaging/link-all $(libdir)/link-all
	for file in $(layer_sources); do \
		install -D -m 644 $$file $(sharedir)/$$file || exit; \
	done
	set -o pipefail; launcher/lguest help --man | \
		install -D -m 644 /dev/stdin $(mandir)/man1/lguest.1
	set -o pipefail; launcher/lguest help --completion | \
		install -D -m 644 /dev/stdin $(compdir)/lguest
	install -D -m 644 packaging/man/lguest.4 $(mandir)/man4/lguest.4
	install -D -m 644 packaging/60-lguest.rules $(udevdir)/60-lguest.rules
	install -D -m 644 packaging/sysusers.conf $(sysusersdir)/lguest.conf
	for hook in $(hooks); do \
		install -D -m 755 packaging/kernel-hook $(hookdir)/$$hook/lguest || exit; \
	done

install-dkms:
	for file in $(module_sources); do \
		install -D -m 644 $$file $(dkmsdir)/$$file || exit; \
	done
	set -o pipefail; range=$$(lab/kernels --range) && [ "$$range" ] && \
		sed "s/@VERSION@/$(version)/; s/@KERNELS@/$$range/" packaging/dkms.conf.in | \
		install -D -m 644 /dev/stdin $(dkmsdir)/dkms.conf

uninstall:
	$(if $(DESTDIR),,-[ ! -e $(dkmsdir) ] || dkms remove lguest/$(version) --all)
	rm -f $(moddir)/lg.ko $(DESTDIR)$(PREFIX)/bin/lguest $(DESTDIR)$(PREFIX)/bin/lguest-oci $(mandir)/man1/lguest.1 \
		$(mandir)/man4/lguest.4 $(compdir)/lguest $(udevdir)/60-lguest.rules \
		$(sysusersdir)/lguest.conf $(hooks:%=$(hookdir)/%/lguest)
	rm -rf $(libdir) $(sharedir) $(dkmsdir)
	$(if $(DESTDIR),,rm -rf /var/lib/lguest /var/cache/lguest)
	$(if $(DESTDIR),,depmod $(HOST_KVER))

# dpkg-buildpackage writes beside the tree it builds: so that is a copy.
deb:
	$(call say,building Debian packages)
	$(Q)rm -rf $(build)/deb && mkdir -p $(build)/deb/lguest
	$(Q)tar -c --exclude=./build --exclude=./.git --exclude='*.o' --exclude='*.ko' . | \
		tar -x -C $(build)/deb/lguest
	$(Q)cd $(build)/deb/lguest && dpkg-buildpackage -b -us -uc >../log 2>&1 || { \
		tail -n 20 ../log; \
		echo "make deb: if packages are missing: sudo apt-get build-dep ."; exit 1; }
	$(Q)rm -f $(build)/lguest*_*.{deb,changes,buildinfo}
	$(Q)mv $(build)/deb/lguest*_* $(build)/ && ls $(build)/*.deb

clean:
	$(Q)find host '(' -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o \
		-name '.*.cmd' -o -name .module-common.o -o -name Module.symvers -o \
		-name modules.order ')' -delete
	$(Q)[ ! -e launcher/Makefile ] || $(MAKE) $(quiet) -C launcher clean
	$(Q)rm -rf $(build)/layers $(build)/cache $(build)/check $(build)/tests \
		$(build)/lab $(build)/lab-base

distclean: clean
	$(Q)rm -rf $(build)

.PHONY: help all packages parts module layer launcher linked run test test-long test-debug bochs soak fuzz \
	mutants bench lab debian book Puppy check \
	install install-program install-dkms uninstall deb clean distclean
