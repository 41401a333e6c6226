/* How the probe reaches the kernel: no libc, three ways in. */
#ifndef KERNEL_H
#define KERNEL_H

#ifdef __x86_64__
#include "sites.h"
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/* Ways into the kernel. NATIVE: `syscall` on x86_64, `int $0x80` on i386. SITES: `syscall` as a C library
 * makes it, with a place of its own for each number. INT80: `int $0x80` from
 * 64-bit code, with rubbish in the upper half of every argument register. VDSO: i386 through
 * __kernel_vsyscall, that is sysenter or syscall. */
enum entry { NATIVE, SITES, INT80, VDSO };

extern unsigned long vdso; /* AT_SYSINFO of an i386 process */

#ifdef __x86_64__
#define NR(x86_64, i386) (x86_64)
#else
#define NR(x86_64, i386) (i386)
#endif

#ifdef __x86_64__
static inline long native(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;
	__asm__ volatile("syscall" : "=a"(result)
		: "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return result;
}

static inline long int80(long nr, long a, long b, long c, long d, long e)
{
	const long dirt = 0x5a5a5a5a00000000;
#define HALF(x) (((x) & 0xffffffffl) | dirt)
	long result;
	__asm__ volatile("int $0x80" : "=a"(result)
		: "a"(nr), "b"(HALF(a)), "c"(HALF(b)), "d"(HALF(c)), "S"(HALF(d)), "D"(HALF(e))
		: "r8", "r9", "r10", "r11", "memory");
#undef HALF
	return result;
}
#else
static inline long native(long nr, long a, long b, long c, long d, long e)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result)
		: "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}

static inline long sysenter(long nr, long a, long b, long c, long d, long e)
{
	long result;
	__asm__ volatile("call *vdso" : "=a"(result)
		: "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}
#endif

static inline long enter(enum entry entry, long nr, long a, long b, long c, long d, long e)
{
#ifdef __x86_64__
	if (entry == INT80)
		return int80(nr, a, b, c, d, e);
	if (entry == SITES)
		return by_site(nr, a, b, c, d, e, 0);
#else
	if (entry == VDSO)
		return sysenter(nr, a, b, c, d, e);
#endif
	return native(nr, a, b, c, d, e);
}

/* Calls of the probe's own machinery, always by the native way. */
#define sys_read(fd, at, n) native(NR(0, 3), fd, (long)(at), n, 0, 0)
#define sys_write(fd, at, n) native(NR(1, 4), fd, (long)(at), n, 0, 0)
#define sys_open(path, flags, mode) native(NR(2, 5), (long)(path), flags, mode, 0, 0)
#define sys_close(fd) native(NR(3, 6), fd, 0, 0, 0, 0)
#define sys_mprotect(at, n, prot) native(NR(10, 125), (long)(at), n, prot, 0, 0)
#define sys_dup2(from, to) native(NR(33, 63), from, to, 0, 0, 0)
#define sys_ftruncate(fd, n) native(NR(77, 93), fd, n, 0, 0, 0)
#define sys_memfd_create(name) native(NR(319, 356), (long)(name), 0, 0, 0, 0)
#define sys_getpid() native(NR(39, 20), 0, 0, 0, 0, 0)
#define sys_gettid() native(NR(186, 224), 0, 0, 0, 0, 0)
#define sys_fork() native(NR(57, 2), 0, 0, 0, 0, 0)
#define sys_kill(pid, signal) native(NR(62, 37), pid, signal, 0, 0, 0)
#define sys_wait4(pid, status, flags) native(NR(61, 114), pid, (long)(status), flags, 0, 0)
#define sys_exit(code) native(NR(60, 1), code, 0, 0, 0, 0)
#define sys_exit_group(code) native(NR(231, 252), code, 0, 0, 0, 0)
#define sys_unshare(flags) native(NR(272, 310), flags, 0, 0, 0, 0)
#define sys_statx(fd, path, flags, mask, at) native(NR(332, 383), fd, (long)(path), flags, mask, (long)(at))
#define sys_readlink(path, at, n) native(NR(89, 85), (long)(path), (long)(at), n, 0, 0)
#define sys_lgetxattr(path, name, at, n) native(NR(192, 230), (long)(path), (long)(name), (long)(at), n, 0)
#define sys_llistxattr(path, at, n) native(NR(195, 233), (long)(path), (long)(at), n, 0, 0)
#define sys_getdents64(fd, at, n) native(NR(217, 220), fd, (long)(at), n, 0, 0)
#define sys_capget(header, data) native(NR(125, 184), (long)(header), (long)(data), 0, 0, 0)
#define sys_prctl(option, arg) native(NR(157, 172), option, arg, 0, 0, 0)

struct timespec { long seconds, nanoseconds; };

static inline long sys_futex_wait(volatile u32 *word, u32 value, struct timespec *timeout)
{
	return native(NR(202, 240), (long)word, 0 /* FUTEX_WAIT */, value, (long)timeout, 0);
}

static inline long sys_futex_wake(volatile u32 *word)
{
	return native(NR(202, 240), (long)word, 1 /* FUTEX_WAKE */, 0x7fffffff, 0, 0);
}

/* Maps a file, shared, readable and writable. */
static inline long map_shared(long fd, unsigned long size)
{
#ifdef __x86_64__
	register long flags __asm__("r10") = 1;
	register long r8 __asm__("r8") = fd;
	register long offset __asm__("r9") = 0;
	long result;
	__asm__ volatile("syscall" : "=a"(result)
		: "a"(9L), "D"(0L), "S"(size), "d"(3L), "r"(flags), "r"(r8), "r"(offset)
		: "rcx", "r11", "memory");
	return result;
#else
	unsigned long arguments[6] = { 0, size, 3, 1, fd, 0 };
	return native(90, (long)arguments, 0, 0, 0, 0);
#endif
}

/* Makes clone or clone3 with two arguments; the child takes the word on top of its new stack as the
 * argument of task_main. The second enters by int $0x80 from 64-bit code. */
long start_task(long nr, long first, long second);
long start_task_int80(long nr, long first, long second);
__attribute__((noreturn)) void task_main(long index);

#endif
