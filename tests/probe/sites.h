/* Calls as a C library makes them: each number by instructions of its own, `mov $NUMBER, %eax; syscall`. */
#ifndef SITES_H
#define SITES_H

__attribute__((noinline, unused)) static long by_site(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result = nr;
#define SITE(number) \
	case number: \
		__asm__ volatile("mov %7, %%eax\n syscall" : "=&a"(result) \
			: "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), "i"(number) : "rcx", "r11", "memory"); \
		break;
	switch (nr) {
	SITE(2) SITE(4) SITE(5) SITE(6) SITE(83) SITE(88) SITE(90) SITE(91) SITE(92) SITE(93) SITE(94) SITE(102)
	SITE(104) SITE(107) SITE(108) SITE(191) SITE(192) SITE(193) SITE(194) SITE(195) SITE(196) SITE(257)
	SITE(258) SITE(260) SITE(262) SITE(266) SITE(217) SITE(268) SITE(280) SITE(332)
	default:
		__asm__ volatile("syscall" : "+a"(result)
			: "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	}
#undef SITE
	return result;
}

#endif
