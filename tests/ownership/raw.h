/* What a probe needs without any C library, so that one source is a 64-bit and a 32-bit program. */
#include <asm/stat.h>
#ifdef INT80 /* a 64-bit program that makes the calls of a 32-bit one */
#include <asm/unistd_32.h>
#else
#include <asm/unistd.h>
#endif
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <linux/types.h>
#include <stddef.h>
#ifdef SITES
#include "../probe/sites.h"
#endif

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif

/* Not every probe uses every helper. */
#pragma GCC diagnostic ignored "-Wunused-function"

typedef long word;

/* An id that chown leaves as it is. */
#define KEEP ((unsigned)-1)

static word call6(word nr, word a, word b, word c, word d, word e, word f) {
	word result;
#ifdef __i386__
	word args[2] = { nr, f };
	__asm__ volatile("push %%ebp\n push 4(%%eax)\n mov (%%eax), %%eax\n pop %%ebp\n int $0x80\n pop %%ebp"
			 : "=a"(result) : "a"(args), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
#elif defined INT80
	__asm__ volatile("push %%rbp\n mov %7, %%rbp\n int $0x80\n pop %%rbp"
			 : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), "r"(f)
			 : "r8", "r9", "r10", "r11", "memory");
	result = (int)result;
#elif defined SITES
	result = by_site(nr, a, b, c, d, e, f);
#else
	register word r10 __asm__("r10") = d;
	register word r8 __asm__("r8") = e;
	register word r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
#endif
	return result;
}

#define CALL_(nr, a, b, c, d, e, f, ...) call6(nr, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), (word)(f))
#define CALL(...) CALL_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define SYS(name, ...) CALL(__NR_##name, ##__VA_ARGS__)

/* The calls with 32-bit ids. */
#if defined __i386__ || defined INT80
#define WIDE(name, ...) CALL(__NR_##name##32, ##__VA_ARGS__)
#else
#define WIDE(name, ...) CALL(__NR_##name, ##__VA_ARGS__)
#endif

/* Not SYS itself, so that another call can stand in it. */
static word shut(word descriptor) {
	return SYS(close, descriptor);
}

void *memset(void *to, int byte, size_t count) {
	for (volatile char *at = to; count--;) *at++ = byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t count) {
	volatile char *at = to;
	for (const char *byte = from; count--;) *at++ = *byte++;
	return to;
}

static char out[1 << 16];
static unsigned filled;

static void flush(void) {
	for (unsigned done = 0; done < filled;) {
		word count = SYS(write, 1, out + done, filled - done);
		if (count <= 0) SYS(exit_group, 99);
		done += count;
	}
	filled = 0;
}

static void put(char byte) {
	if (filled == sizeof out) flush();
	out[filled++] = byte;
}

static void text(const char *string) {
	while (*string) put(*string++);
}

static void number(__u64 value, unsigned base) {
	char digits[32];
	int count = 0;
	/* Base 8 or 16: by shifts, since a 32-bit program has no 64-bit division here. */
	unsigned shift = base == 8 ? 3 : 4;
	do digits[count++] = "0123456789abcdef"[value & (base - 1)];
	while (value >>= shift);
	while (count) put(digits[--count]);
}

static void decimal(word value) {
	char digits[32];
	int count = 0;
	unsigned long rest = value < 0 ? -(unsigned long)value : (unsigned long)value;
	if (value < 0) put('-');
	do digits[count++] = '0' + rest % 10;
	while (rest /= 10);
	while (count) put(digits[--count]);
}

/* A step and what came of it: 0, or an errno as a negative number. A descriptor is "ok". */
static word step(const char *name, word result) {
	text(name);
	text(" = ");
	if (result > 0) text("ok");
	else decimal(result);
	put('\n');
	return result;
}

static void run(int argc, char **argv);

__attribute__((used)) void begin(word *stack) {
	run((int)stack[0], (char **)(stack + 1));
	flush();
	SYS(exit_group, 0);
}

#ifdef __i386__
__asm__(".globl _start\n_start: mov %esp, %eax\n and $-16, %esp\n sub $12, %esp\n push %eax\n call begin");
#elif defined INT80
__attribute__((used)) static char low_stack[1 << 16]; /* where 32-bit pointers reach */
static char low_arguments[4][256];

__attribute__((used)) void begin_low(word *stack) {
	word copy[6] = { stack[0] };
	for (word argument = 0; argument < stack[0] && argument < 4; argument++) {
		char *from = (char *)stack[argument + 1];
		for (int at = 0; at < 255 && from[at]; at++) low_arguments[argument][at] = from[at];
		copy[argument + 1] = (word)low_arguments[argument];
	}
	begin(copy);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n lea low_stack+65536, %rsp\n call begin_low");
#else
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin");
#endif
