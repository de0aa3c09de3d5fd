/* SPDX-License-Identifier: GPL-2.0 */
/*
 * drivers/tty/hvc has its header beside it, not among the headers that
 * distributions install.  This is as much of it as console.c needs.
 *
 * 6.8 made get_chars and put_chars return ssize_t and take a size_t.  Taking
 * int (the low half of the argument) and returning long suits both.
 */
#ifndef _GUEST_COMPAT_HVC_H
#define _GUEST_COMPAT_HVC_H

struct hvc_struct;

struct hv_ops {
	long (*get_chars)(u32 vtermno, u8 *buf, int count);
	long (*put_chars)(u32 vtermno, const u8 *buf, int count);
	int (*flush)(u32 vtermno, bool wait);
	int (*notifier_add)(struct hvc_struct *hp, int irq);
	void (*notifier_del)(struct hvc_struct *hp, int irq);
	void (*notifier_hangup)(struct hvc_struct *hp, int irq);
	int (*tiocmget)(struct hvc_struct *hp);
	int (*tiocmset)(struct hvc_struct *hp, unsigned int set,
			unsigned int clear);
	void (*dtr_rts)(struct hvc_struct *hp, int raise);
};

int hvc_instantiate(u32 vtermno, int index, const struct hv_ops *ops);
struct hvc_struct *hvc_alloc(u32 vtermno, int data, const struct hv_ops *ops,
			     int outbuf_size);
int notifier_add_irq(struct hvc_struct *hp, int irq);
void notifier_del_irq(struct hvc_struct *hp, int irq);
void notifier_hangup_irq(struct hvc_struct *hp, int irq);

#endif /* _GUEST_COMPAT_HVC_H */
