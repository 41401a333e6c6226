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
	X(open, 2, 5) X(mkdir, 83, 39) X(unlink, 87, 10) X(umask, 95, 60)

enum call {
#define X(name, x86_64, i386) CALL_##name,
	CALLS(X)
#undef X
	CALL_COUNT
};

#endif
