#!/bin/bash
# D1 J3: privileged instructions in the text of each kernel that is known, of those that
# neither launcher nor layer does: each stands in a function that no guest comes to.
# Another one is new in Linux, and somebody has to look.
. "$(dirname "$0")/../system/lib/lab.sh"
. "$lib/guest.sh"

# Why not, and the functions.
cat >"$work/why" <<'END'
an operation of which the layer has its own	(pv_)?native_.*|__native_read_cr3|xsaves|xrstors|__(rd|wr)gsbase_inactive|asm_load_gs_index|this_cpu_cmpxchg16b_emu
another machine's: Xen, Hyper-V, SEV	xen_.*|hv_.*|sev_.*|snp_.*|svsm_.*|vc_.*|sme_.*|__enc_copy|pvalidate_.*|pvh_start_xen|__sev_.*|sev_verify_cbit
ways in and out that XENPV replaces	entry_SYS.*|error_entry|paranoid_(entry|exit)|asm_exc_nmi|nmi_swapgs|end_repeat_nmi|nested_nmi.*|syscall_return_via_sysret|__irqentry_text_end|common_interrupt_return|sysret32_from_system_call
the start of a machine	(secondary_|common_)?startup_64.*|verify_cpu|startup_32|fpu__init_system.*
kexec, hibernation, sleep: refused	machine_kexec.*|identity_mapped|virtual_mapped|relocate_.*|restore_registers|core_restore_code|do_suspend_lowlevel|wakeup_.*|swsusp_arch_suspend
another CPU, or one that idles by MWAIT or ACPI	.*play_dead|mwait_idle|intel_idle.*|acpi_processor_ffh_cstate_enter|acpi_safe_halt|stop_this_cpu
features that CPUID does not show	__fpu_restore_sig|arch_tlbbatch_flush|flush_tlb_.*|.*invlpgb.*|alloc_shstk|shstk_.*|setup_signal_shadow_stack|.*shadow_stack.*
END
known=$(cut -f 2 "$work/why" | paste -sd '|')
for name in $("$top/lab/kernels" --names); do
	guest_layer "$name"
	elf=$(XDG_CACHE_HOME="$guests/cache" LGUEST_LAYERS="$guests/layers" \
		"$top/launcher/lguest" link "$built/kernels/$release/boot/vmlinuz-$release")
	"$top/launcher/lguest" link --symbols "$built/kernels/$release/boot/vmlinuz-$release" >"$work/symbols"
	perl "$lib/text.pl" "$elf" "$work/symbols" >"$work/found"
	check "D1 J3 $release: the list is one" test "$(wc -l <"$work/found")" -gt 60
	is "D1 J3 $release: no other function has one" "" \
		"$(grep -vE " (__pi_)?($known)(\.[a-z0-9.]+)?$" "$work/found")"
done
finish
