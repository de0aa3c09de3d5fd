#!/bin/bash
# What is said about options in --help, the manual and the completion; and what
# `make install` puts where. None of it needs a lab.
. "$(dirname "$0")/lib/lab.sh"
lguest=$top/launcher/lguest

"$lguest" help --man >"$work/lguest.1"
"$lguest" help --completion >"$work/complete"
commands=$("$lguest" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')

of_help() { "$lguest" "$1" --help | grep -oE '^ .{4} --[a-z-]+' | grep -oE -e '--[a-z-]+' | sort; }
of_manual() {
	sed 's/\\-/-/g' "$work/lguest.1" |
		awk -v c="lguest $1 " '/^\.S[SH] / { on = index($0, c) > 0 } on' |
		grep -E '^\\fB-' | grep -oE -e '--[a-z-]+' | sort
}
complete_words() {	# WORD...: what bash would offer for the last one
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lguest
		printf "%s\n" "${COMPREPLY[@]}"' - "$work/complete" "$@" | sort
}

check "L6 K13 there are commands" test "$(wc -w <<<"$commands")" -ge 5
is "L6 the completion offers the commands" "$(sort <<<"$commands")" "$(complete_words lguest '')"
for command in $commands; do
	is "L6 $command: the manual has the options of --help" "$(of_help "$command")" "$(of_manual "$command")"
	is "L6 $command: so has the completion" "$(of_help "$command")" "$(complete_words lguest "$command" --)"
done
is "L6 the completion offers files for -k" "$(cd "$work" && ls lguest.1)" \
	"$(cd "$work" && complete_words lguest run -k lgu)"
is "L6 ... and nothing behind --" "" "$(complete_words lguest run -- --)"
is "L6 the manual lists the exit statuses of help" \
	"$("$lguest" help | sed -n '/^Exit status/,$s/^  \([0-9]*\) .*/\1/p')" \
	"$(sed -n '/^.SH EXIT STATUS/,/^.SH INPUT/s/^\([0-9]*\)$/\1/p' "$work/lguest.1")"
for page in "$work/lguest.1" "$top/packaging/man/lguest.4"; do
	is "L6 troff has no complaint about ${page##*/}" "" \
		"$(groff -man -ww -Tutf8 "$page" 2>&1 >/dev/null)"
done
is "L6 lguest(4) names every request" \
	"$(grep -oE 'LHREQ_[A-Z_]+' "$top/include/lguest/device.h" | sort -u)" \
	"$(grep -oE 'LHREQ_[A-Z_]+' "$top/packaging/man/lguest.4" | sort -u)"

# As from a tarball: nothing has been fetched but headers, no kernel was named, and root's
# files are nobody else's. The launcher is compiled already, as that takes longest.
dest=$work/dest tree=$work/tree
mkdir -p "$tree/build" "$work/bin"
tar -c -C "$top" --exclude=./build --exclude=./.git --exclude='*.o' --exclude='*.ko' . | tar -x -C "$tree"
cp -a "$built/launcher" "$tree/build/"
for dir in apt debs headers roots; do
	mkdir -p "$built/$dir"
	ln -s "$built/$dir" "$tree/build/"
done
headers=$("$top/lab/fetch-headers" "$release")
printf '#!/bin/sh\necho %s\n' "$release" >"$work/bin/uname"
chmod +x "$work/bin/uname"
(umask 077; PATH=$work/bin:$PATH make -C "$tree" install install-dkms DESTDIR="$dest") >"$work/log" 2>&1
is "L7 make install, for the kernel that runs" 0 $?
is "L7 ... with no kernel, nor a package, fetched" "" "$(grep fetching "$work/log"; ls "$tree/build" | grep kernels)"
is "L7 ... all of it for all to read" "" "$(find "$dest" ! -perm -o=r)"
for file in usr/bin/lguest usr/bin/lguest-oci usr/share/man/man1/lguest.1 usr/share/man/man4/lguest.4 \
	usr/share/bash-completion/completions/lguest usr/lib/udev/rules.d/60-lguest.rules \
	usr/lib/sysusers.d/lguest.conf lib/modules/"$release"/updates/lg.ko \
	usr/lib/lguest/link-all usr/share/lguest/guest/Makefile \
	etc/kernel/{postinst,postrm,header_postinst}.d/lguest; do
	check "L7 ... $file" test -s "$dest/$file"
done
is "L7 ... the module is this kernel's" "$release" "$(modinfo -F vermagic "$dest"/lib/modules/*/updates/lg.ko | cut -d ' ' -f 1)"
check "L7 the layer is built from what is installed" make -s -C "$dest/usr/share/lguest/guest" \
	KDIR="$headers" O="$work/layer"
cp "$dest/usr/share/lguest/guest/layer.lds" "$work/layer/"
check "L7 ... and links" "$lguest" link -l "$work/layer" -o "$work/linked" "$vmlinuz"
is "L7 no git is needed for that" "" "$(grep -nE '^[^#]*\bgit (ls-files|describe|rev-parse)' "$top/Makefile" "$top/lab"/*)"
is "L7 the packages have the program's version" "lguest $(sed -n '1s/.*(\(.*\)).*/\1/p' "$top/debian/changelog")" \
	"$("$lguest" version)"
is "L6 the installed manual is the program's" "$(cat "$work/lguest.1")" \
	"$(cat "$dest/usr/share/man/man1/lguest.1")"

# As dkms would: a copy of the source, its MAKE[0] with the variables it sets.
dkms_build() (
	. "$(echo "$dest"/usr/src/lguest-*/dkms.conf)"
	dkms_tree=$work/dkms
	mkdir -p "$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION"
	cp -r "$dest/usr/src/lguest-$PACKAGE_VERSION" "$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build"
	kernel_source_dir=$headers
	. "$dest/usr/src/lguest-$PACKAGE_VERSION/dkms.conf"
	# without pahole, which headers bring where they are installed
	${MAKE[0]} CONFIG_DEBUG_INFO_BTF_MODULES= &&
		test -s "$dkms_tree/lguest/$PACKAGE_VERSION/build/${BUILT_MODULE_LOCATION[0]}/${BUILT_MODULE_NAME[0]}.ko"
)
check "L7 dkms.conf builds the module" dkms_build
check "L7 make uninstall" env PATH="$work/bin:$PATH" make -C "$tree" uninstall DESTDIR="$dest"
is "L7 ... leaves nothing" "" "$(find "$dest" -type f)"

finish
