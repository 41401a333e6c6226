/* Shows an inode by every stat the ABI has. */

static void fields(const char *how, __u64 uid, __u64 gid, __u64 mode, __u64 rdev, __u64 size, __u64 links) {
	text("  ");
	text(how);
	text(" uid ");
	decimal((word)uid);
	text(" gid ");
	decimal((word)gid);
	text(" mode ");
	number(mode, 8);
	text(" rdev ");
	number(rdev, 16);
	text(" size ");
	decimal((word)size);
	text(" links ");
	decimal((word)links);
	put('\n');
}

static void failed(const char *how, word result) {
	text("  ");
	text(how);
	text(" fails ");
	decimal(result);
	put('\n');
}

#define SHOW(how, type, result) do { \
	word came_ = (result); \
	if (came_) failed(how, came_); \
	else fields(how, buffer.type.st_uid, buffer.type.st_gid, buffer.type.st_mode, buffer.type.st_rdev, \
		buffer.type.st_size, buffer.type.st_nlink); \
} while (0)

static union {
	struct stat plain;
	struct __old_kernel_stat old;
#ifdef __i386__
	struct stat64 wide;
#endif
	struct statx x;
	char bytes[512];
} buffer;

/* Whether the kernel, or what stands for it, wrote behind the structure. */
static void guard(size_t size) {
	for (size_t at = size; at < sizeof buffer; at++)
		if (buffer.bytes[at] != 0x5A) { text("  WROTE BEHIND THE STRUCTURE\n"); break; }
	memset(&buffer, 0x5A, sizeof buffer);
}

static void show_statx(const char *how, int directory, const char *path, int flags, unsigned mask) {
	memset(&buffer, 0x5A, sizeof buffer);
	word result = SYS(statx, directory, path, flags, mask, &buffer);
	if (result) failed(how, result);
	else fields(how, buffer.x.stx_uid, buffer.x.stx_gid, buffer.x.stx_mode,
		((__u64)buffer.x.stx_rdev_major << 32) | buffer.x.stx_rdev_minor, buffer.x.stx_size, buffer.x.stx_nlink);
	guard(sizeof buffer.x);
}

static void show_descriptor(int descriptor) {
	memset(&buffer, 0x5A, sizeof buffer);
	SHOW("fstat", plain, SYS(fstat, descriptor, &buffer));
	guard(sizeof buffer.plain);
#ifdef __i386__
	SHOW("fstat64", wide, SYS(fstat64, descriptor, &buffer));
	guard(sizeof buffer.wide);
	SHOW("oldfstat", old, SYS(oldfstat, descriptor, &buffer));
	guard(sizeof buffer.old);
	SHOW("fstatat64 empty", wide, SYS(fstatat64, descriptor, "", &buffer, AT_EMPTY_PATH));
	guard(sizeof buffer.wide);
#else
	SHOW("newfstatat empty", plain, SYS(newfstatat, descriptor, "", &buffer, AT_EMPTY_PATH));
	guard(sizeof buffer.plain);
	SHOW("newfstatat null", plain, SYS(newfstatat, descriptor, 0, &buffer, AT_EMPTY_PATH));
	guard(sizeof buffer.plain);
#endif
	show_statx("statx empty", descriptor, "", AT_EMPTY_PATH, STATX_BASIC_STATS);
	show_statx("statx null", descriptor, 0, AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME);
	char link[32] = "/proc/self/fd/00";
	link[14] = '0' + descriptor / 10;
	link[15] = '0' + descriptor % 10;
	char *at = link + (descriptor < 10 ? 1 : 0);
	if (at != link) { memcpy(link + 14, link + 15, 2); at = link; }
	memset(&buffer, 0x5A, sizeof buffer);
	SHOW("by /proc", plain, SYS(stat, at, &buffer));
	guard(sizeof buffer.plain);
}

static void show(const char *path) {
	text(path);
	put('\n');
	memset(&buffer, 0x5A, sizeof buffer);
	SHOW("stat", plain, SYS(stat, path, &buffer));
	guard(sizeof buffer.plain);
	SHOW("lstat", plain, SYS(lstat, path, &buffer));
	guard(sizeof buffer.plain);
#ifdef __i386__
	SHOW("stat64", wide, SYS(stat64, path, &buffer));
	guard(sizeof buffer.wide);
	SHOW("lstat64", wide, SYS(lstat64, path, &buffer));
	guard(sizeof buffer.wide);
	SHOW("oldstat", old, SYS(oldstat, path, &buffer));
	guard(sizeof buffer.old);
	SHOW("oldlstat", old, SYS(oldlstat, path, &buffer));
	guard(sizeof buffer.old);
	SHOW("fstatat64", wide, SYS(fstatat64, AT_FDCWD, path, &buffer, AT_SYMLINK_NOFOLLOW));
	guard(sizeof buffer.wide);
#else
	SHOW("newfstatat", plain, SYS(newfstatat, AT_FDCWD, path, &buffer, AT_SYMLINK_NOFOLLOW));
	guard(sizeof buffer.plain);
#endif
	show_statx("statx", AT_FDCWD, path, 0, STATX_BASIC_STATS);
	show_statx("statx nofollow", AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME);
	show_statx("statx no mask", AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0);
	int descriptor = SYS(open, path, O_PATH | O_NOFOLLOW);
	if (descriptor >= 0) show_descriptor(descriptor);
	shut(descriptor);
}
