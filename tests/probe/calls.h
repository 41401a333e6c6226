/* The calls a script can make: name, number on x86_64, number on i386; -1 where there is none. */
#ifndef CALLS_H
#define CALLS_H

#define CALLS(X) \
	X(getuid, 102, 199) X(getgid, 104, 200) X(geteuid, 107, 201) X(getegid, 108, 202) \
	X(getresuid, 118, 209) X(getresgid, 120, 211) X(getgroups, 115, 205) \
	X(setuid, 105, 213) X(setgid, 106, 214) X(setreuid, 113, 203) X(setregid, 114, 204) \
	X(setresuid, 117, 208) X(setresgid, 119, 210) X(setfsuid, 122, 215) X(setfsgid, 123, 216) \
	X(setgroups, 116, 206) X(capget, 125, 184) X(capset, 126, 185) X(prctl, 157, 172) \
	X(getuid16, -1, 24) X(getgid16, -1, 47) X(geteuid16, -1, 49) X(getegid16, -1, 50) \
	X(getresuid16, -1, 165) X(getresgid16, -1, 171) X(getgroups16, -1, 80) \
	X(setuid16, -1, 23) X(setgid16, -1, 46) X(setreuid16, -1, 70) X(setregid16, -1, 71) \
	X(setresuid16, -1, 164) X(setresgid16, -1, 170) X(setfsuid16, -1, 138) \
	X(setfsgid16, -1, 139) X(setgroups16, -1, 81) \
	X(chown, 92, 212) X(lchown, 94, 198) X(fchown, 93, 207) X(fchownat, 260, 298) \
	X(chown16, -1, 182) X(lchown16, -1, 16) X(fchown16, -1, 95) \
	X(chmod, 90, 15) X(fchmod, 91, 94) X(fchmodat, 268, 306) X(access, 21, 33) \
	X(open, 2, 5) X(mkdir, 83, 39) X(unlink, 87, 10) X(umask, 95, 60) \
	X(openat, 257, 295) X(creat, 85, 8) X(close, 3, 6) X(write, 1, 4) X(chdir, 80, 12) \
	X(truncate, 76, 92) X(ftruncate, 77, 93) X(truncate64, -1, 193) X(ftruncate64, -1, 194) \
	X(fchmodat2, 452, 452) X(utime, 132, 30) X(utimes, 235, 271) X(utimensat, 280, 320) \
	X(mkdirat, 258, 296) X(mknod, 133, 14) X(mknodat, 259, 297) X(symlink, 88, 83) X(symlinkat, 266, 304) \
	X(link, 86, 9) X(linkat, 265, 303) X(rename, 82, 38) X(renameat, 264, 302) X(renameat2, 316, 353) \
	X(unlinkat, 263, 301) X(rmdir, 84, 40) X(faccessat2, 439, 439) \
	X(setxattr, 188, 226) X(lsetxattr, 189, 227) X(fsetxattr, 190, 228) \
	X(getxattr, 191, 229) X(lgetxattr, 192, 230) X(fgetxattr, 193, 231) \
	X(listxattr, 194, 232) X(llistxattr, 195, 233) X(flistxattr, 196, 234) \
	X(removexattr, 197, 235) X(lremovexattr, 198, 236) X(fremovexattr, 199, 237)

enum call {
#define X(name, x86_64, i386) CALL_##name,
	CALLS(X)
#undef X
	CALL_COUNT
};

#endif
