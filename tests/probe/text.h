/* Text in fixed buffers. */
#ifndef TEXT_H
#define TEXT_H

#include "kernel.h"

struct text {
	u32 length;
	char at[1 << 16];
};

static inline u32 length_of(const char *s)
{
	u32 n = 0;
	while (s[n])
		n++;
	return n;
}

static inline int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static inline int compare(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (u8)*a - (u8)*b;
}

/* Copies what stands before the next space, and gives what stands behind it. */
static inline const char *word(const char *s, char *to, u32 size)
{
	u32 n = 0;
	for (; *s && *s != ' '; s++)
		if (n < size - 1)
			to[n++] = *s;
	to[n] = 0;
	while (*s == ' ')
		s++;
	return s;
}

static inline const char *after(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return 0;
	return s;
}

static inline void put(struct text *text, const char *s)
{
	while (*s && text->length < sizeof text->at)
		text->at[text->length++] = *s++;
}

static inline void put_unsigned(struct text *text, unsigned long value)
{
	char digits[24], *at = digits + sizeof digits - 1;
	*at = 0;
	do
		*--at = '0' + value % 10;
	while (value /= 10);
	put(text, at);
}

static inline void put_signed(struct text *text, long value)
{
	if (value < 0)
		put(text, "-");
	put_unsigned(text, value < 0 ? -(unsigned long)value : (unsigned long)value);
}

static inline void put_hex(struct text *text, u32 value, int digits)
{
	char two[2] = { 0, 0 };
	for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
		two[0] = "0123456789abcdef"[value >> shift & 15];
		put(text, two);
	}
}

/* A capability set, without the leading zeros. */
static inline void put_set(struct text *text, u64 set)
{
	put_hex(text, set >> 32, 3);
	put_hex(text, set, 8);
}

/* Reads a decimal or hexadecimal number and moves past it; sets *bad if there is none. */
static inline u64 number(const char **s, int *bad)
{
	const char *at = *s;
	int minus = *at == '-';
	u64 value = 0;
	at += minus;
	const char *hexadecimal = after(at, "0x");
	const char *start = at = hexadecimal ? hexadecimal : at;
	for (;; at++) {
		u32 digit = *at >= '0' && *at <= '9' ? *at - '0' : hexadecimal && *at >= 'a' && *at <= 'f' ? *at - 'a' + 10 : 99;
		if (digit == 99)
			break;
		value = value * (hexadecimal ? 16 : 10) + digit;
	}
	if (at == start)
		*bad = 1;
	*s = at;
	return minus ? -value : value;
}

#endif
