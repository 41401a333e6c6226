# What runs inside a tracee, see worker/inside.rs: areas to work in, a page with words and thunks, three of code, and the
# pages of the slate (ownership/slate.rs).
#
# A call site `mov eax, NUMBER; syscall` begins with a jump to a thunk instead, which leads here with the address of its
# two words in rcx: where the site's `syscall` stands, and NUMBER. The kernel makes the very call, marked so that no
# filter stops it, where what it answers can be corrected, or is known to be right. In all doubt the site's own
# `syscall` is left to do it, which a filter sees.
#
# All registers are as the kernel would leave them: rcx holds where it returns to and r11 the flags.
#
# The kernel needs no stack for a call, so none is used here, and rsp is the caller's throughout: a signal's frame goes where it
# would go else. What is to be remembered stands in an area that a task takes for one call. A handler that interrupts it takes
# another one, as does another thread. One that never returns, as longjmp(3) has it, leaves an area taken, until a call is made
# with the same stack pointer, which no two calls that are to go on have, or the tracer finds that nobody goes back there
# (worker/areas.rs). Where none is left the site's own call is made. The address of a subroutine's caller stands there as well,
# so none may call itself.
    .pushsection .rodata.inside, "a", @progbits
    .balign 4096
    .globl remainroot_inside_begin, remainroot_inside_end, remainroot_inside_calls
remainroot_inside_begin:
closed:
    .quad 0                             # not zero: the sites' own calls are to be made
others:
    .quad 0                             # not zero: somebody here is not root
    .quad {magic}
knows_ids:
    .quad 0                             # not zero: here are the ids of all that run here, in the order of getuid(2),
ids:
    .quad 0                             # getgid(2),
    .quad 0                             # geteuid(2), getegid(2)
borne_count:
    .long 0                             # how often what an inode bears was read
    .org remainroot_inside_begin + {lacked_at}
lacked_count:
    .long 0                             # how often no area was left
    .org remainroot_inside_begin + {wanted_at}
wanted:
    .quad {looks}                       # which sites of a library are rewritten when it is mapped, a bit for each of the calls
    .org remainroot_inside_begin + {page}

nothing:
    .byte 0                             # an empty path
owner:
    .asciz "user.rootlesscontainers"
    .set OWNER_NAME, 24                 # its bytes
owner_and_mode:
    .asciz "user.containers.override_stat"
    .set STAT_NAME, 30                  # its bytes
others_names:
    .asciz "user.remainroot.xattrs"
threads:
    .asciz "/proc/self/task"
label:
    .asciz "security.selinux"
    .set LABEL_NAME, 17                 # its bytes
access_list:
    .asciz "system.posix_acl_access"
    .set LIST_NAME, 24                  # its bytes
    .set ANY_LIST, 17                   # those that default lists' begin with, too
    .balign 4
# Which calls are answered, by number, and where; those that only look come first.
    .macro answered number, answer
    .long \number, answer_\answer - remainroot_inside_begin
    .endm
remainroot_inside_calls:
    answered 4, stat
    answered 5, stat
    answered 6, stat
    answered 262, newfstatat
    answered 332, statx
    answered 2, open
    answered 257, openat
    answered 85, creat
    answered 83, mkdir
    answered 258, mkdirat
    answered 88, symlink
    answered 266, symlinkat
    answered 90, chmod
    answered 91, fchmod
    answered 268, fchmodat
    answered 92, chown
    answered 93, fchown
    answered 94, lchown
    answered 260, fchownat
    answered 280, utimensat
    answered 102, getuid
    answered 104, getgid
    answered 107, geteuid
    answered 108, getegid
    answered 191, xattr
    answered 192, xattr
    answered 193, xattr
    answered 194, xattr
    answered 195, xattr
    answered 196, xattr
    answered 188, setxattr
    answered 189, setxattr
    answered 190, setxattr
    answered 197, removexattr
    answered 198, removexattr
    answered 199, removexattr
    answered 217, getdents64
    answered 9, mmap
    .org remainroot_inside_calls + 8 * {calls} # more rows are an error here, fewer one of a unit test

    # The slate and its state.
    .set SLATE, remainroot_inside_begin + {code}
    .set STATE, 8
    .set WRITERS, 16
    .set DEVICES, 2048
    .set LIBRARIES, {libraries}
    .set HINTS, {hints}
    .set PLAIN, {plain}
    .set ENTRIES, {entries}
    .set ENABLED, 1
    .set QUIET, 2
    .set ALMIGHTY, 4
    .set REPLACED, 8
    .set EMPTY, 16
    .set OVERFLOW, 65534                # fs.overflowuid, fs.overflowgid
    # What an entry says, above the permission bits.
    .set SHOWS_UID, 0x10000
    .set SHOWS_GID, 0x20000
    .set SHOWS_MODE, 0x40000
    .set IF_QUIET, 0x80000
    # An area, at rbp: the stack pointer of who has it, or 0; registers of the caller's; where his words stand, and what is
    # needed to leave.
    .set AREAS, remainroot_inside_begin - {areas} * AREA
    .set AREA, {area}
    .set TAKEN, 0
    .set OF_R8, 8
    .set OF_R10, 16
    .set OF_RDX, 24
    .set OF_RSI, 32
    .set OF_RDI, 40
    .set OF_R9, 48
    .set OF_RBX, 56
    .set OF_R12, 64
    .set OF_R13, 72
    .set OF_R14, 80
    .set OF_R15, 88
    .set OF_RBP, 96
    .set OF_SITE, 104
    .set HELD_FLAGS, 112                     # as lahf and seto have them in ax
    .set OF_R11, 120
    .set RESULT, 128
    .set RETURN, 136
    .set GIVEN, 144                     # user and group that an inode is given to
    .set KEPT, 152                      # eight words
    .set NAMES, 216                    # of names
    # Where subroutines return to.
    .set LINKS, 224
    .irp name, change_time, place, list, but_label, is_certain, borne, value, message, varint, put, line, number, kernel, describe, fill, has_none, reads, ask, names_list, bears_no_more, drop, name
    .set LINK_\name, LINKS
    .set LINKS, LINKS + 8
    .endr
    .set LINK_map, LINK_borne
    .set LINK_protect, LINK_value
    # Two struct stat.
    .set STAT, 400
    .set OTHER_STAT, STAT + STAT_SIZE
    # Where attributes are read: struct xattr_args, and the values of two.
    .set READ, OTHER_STAT + STAT_SIZE
    .set VALUE, 0
    .set VALUE_SIZE, 8
    .set OWNER, 16
    .set OWNER_SIZE, 16
    .set LINE, 32
    .set LINE_SIZE, 40
    # A path.
    .set PATH, READ + 80
    .set LONGEST, 256
    .set RARELY, 127                    # once in 128
    .set STATX_CTIME, 0x80
    # Flags with which not every access and every instruction does what it does here: TF, DF and AC.
    .set ODD_FLAGS, 0x40500
    .set ALWAYS_SET, 0x202
    # In struct stat, of so many bytes.
    .set STAT_SIZE, 144
    .set LINKS, 16
    .set MODE, 24
    .set UID, 28
    .set GID, 32
    .set SIZE, 48

    .set MARK, {mark}
    .set AT_FDCWD, -100
    .set NOFOLLOW, 0x100
    .set NO_AUTOMOUNT, 0x800
    .set EMPTY_PATH, 0x1000
    .set ENOENT, -2
    .set EFAULT, -14
    .set ENODATA, -61
    .set EOPNOTSUPP, -95
    .set S_IFMT, 0xf000
    .set S_IFREG, 0x8000
    .set S_IFDIR, 0x4000
    .set S_IFLNK, 0xa000
    .set S_IFCHR, 0x2000
    .set S_ISGID, 0x400
    .set DT_REG, 8
    .set XATTR_CREATE, 1
    .set XATTR_REPLACE, 2
    .set NONE, -1                       # whom nothing is given to
    .set LIST_OF_A_MODE, 28             # bytes of a version and three entries
    .set SET_ID, 0xc00
    .set O_WRONLY, 0x1
    .set O_CREAT, 0x40
    .set O_TRUNC, 0x200
    .set O_EXCL, 0x80
    .set O_NOFOLLOW, 0x20000
    .set O_CLOEXEC, 0x80000
    .set O_PATH, 0x200000
    .set CHANGES, 0x400243              # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE
    .set BEYOND, 0x600000               # O_PATH, O_TMPFILE
    .set PROT_READ, 1
    .set PROT_WRITE, 2
    .set PROT_EXEC, 4
    .set MAP_SHARED, 0x1
    .set MAP_PRIVATE, 0x2
    .set MAP_FIXED, 0x10
    .set MAP_ANONYMOUS, 0x20
    .set MAP_FIXED_NOREPLACE, 0x100000
    # A site's bytes, and where a thunk's words stand.
    .set SITE_SIZE, 7
    .set THUNK_SIZE, 32
    .set WAY_OUT_SHIFT, 5               # bytes of a way out, as a power of two

    # The flags that instructions set to the upper bits of rcx, which holds an address; changes rax. And back: the flags to ax.
    .macro pack
    lahf
    seto al
    shl rax, 48
    or rcx, rax
    .endm

    .macro unpack
    mov rax, rcx
    shl rcx, 16
    shr rcx, 16
    shr rax, 48
    .endm

    # Sets these flags to what ax says, which it changes.
    .macro set_flags
    add al, 0x7f
    sahf
    .endm

    # Takes an area, saves the registers there, and goes on behind this jump. It leaves rdi, rsi, rdx, r10, r8 and r9 alone.
    # The words are at rcx then.
    .macro enter
    .byte 0xe9
    .long take - . - 4
    .endm

    # Calls a subroutine; changes r11.
    .macro invoke name
    lea r11, [rip + .Lback\@]
    mov [rbp + LINK_\name], r11
    jmp \name
.Lback\@:
    .endm

    # Returns from it.
    .macro back name
    jmp qword ptr [rbp + LINK_\name]
    .endm

    # Goes to slow after a system call of a caller with odd flags, of which r11 is a copy then.
    .macro refuse_odd_flags
    test r11d, ODD_FLAGS
    jnz slow
    .endm

    # Device number, inode number and change time of a struct stat to r15d, r13 and r14, its mode to eax.
    .macro identify_stat
    mov r15d, [rbx]
    mov r13, [rbx + 8]
    mov r14, [rbx + 104]
    shl r14, 32
    mov eax, [rbx + 112]
    or r14, rax
    mov eax, [rbx + MODE]
    .endm

    # The same of a struct statx.
    .macro identify_statx
    mov ecx, [rbx + 140]
    movzx r15d, cl
    xor ecx, r15d
    shl ecx, 12
    or r15d, ecx
    mov ecx, [rbx + 136]
    shl ecx, 8
    or r15d, ecx
    mov r13, [rbx + 32]
    mov r14, [rbx + 96]
    shl r14, 32
    mov eax, [rbx + 104]
    or r14, rax
    test dword ptr [rbx], STATX_CTIME
    jnz .Ltold\@
    invoke change_time
.Ltold\@:
    movzx eax, word ptr [rbx + 28]
    .endm

    # Goes to slow unless that is what was kept.
    .macro same_as_before
    cmp r13, [rbp + KEPT]
    jne slow
    cmp r14, [rbp + KEPT + 8]
    jne slow
    cmp r15d, [rbp + KEPT + 16]
    jne slow
    .endm

    # Corrects what the kernel has said in the structure at rbx, and leaves; the offsets are of owner, group and mode.
    .macro correct identify, uid, gid, mode
    \identify
    and eax, S_IFMT
    mov r12d, eax
    # What is open may have been opened by another node, which it is shown as.
    cmp eax, S_IFCHR
    jne 1f
    test dword ptr [rip + SLATE + STATE], REPLACED
    jnz slow
1:
    lea rdi, [rip + SLATE]
    test dword ptr [rdi + STATE], ENABLED
    jz slow
    test dword ptr [rdi + STATE], EMPTY
    jz .Lfull\@
    # Root's is all that there is, where his id is the only one. Else he is whom the kernel has no id for, or may be.
    test dword ptr [rdi + STATE], QUIET
    jz .Lmany\@
    mov dword ptr [rbx + \uid], 0
    mov dword ptr [rbx + \gid], 0
    jmp .Lsame\@
.Lmany\@:
    cmp dword ptr [rbx + \uid], OVERFLOW
    je slow
    cmp dword ptr [rbx + \gid], OVERFLOW
    je slow
    jmp .Lsame\@
.Lfull\@:
    mov rdx, [rdi]                      # odd while it changes
    test dl, 1
    jnz slow
    movabs r8, {factor}
    mov rax, r13
    imul rax, r8
    # One of which there is nothing to say has a word instead of an entry.
    mov rcx, rax
    shr rcx, 64 - {plain_bits}
    shl ecx, 4
    lea rsi, [rdi + rcx + PLAIN]
    mov rcx, rax
    xor rcx, r14
    imul rcx, r8
    rol rcx, 32
    mov r8d, r15d
    xor rcx, r8
    and rcx, -2
    mov r8, [rsi]
    xor r8, rcx
    cmp r8, 1
    jbe 10f
    mov r8, [rsi + 8]
    xor r8, rcx
    cmp r8, 1
    jbe 10f
    mov rcx, rax
    shr rcx, 64 - {hint_bits}
    bt [rdi + HINTS], rcx
    jnc 3f
    shr rax, 64 - {bits}
    shl rax, 5
    lea rsi, [rdi + rax + ENTRIES]
    mov ecx, {ways}
1:
    cmp [rsi], r13
    jne 2f
    cmp [rsi + 8], r14
    jne 2f
    cmp [rsi + 16], r15d
    je 4f
2:
    add rsi, 32
    dec ecx
    jnz 1b
3:

    # No entry: what it bears says all, and root's is what it does not say, whose id is the only one that there is, if
    # nothing is known of any inode that stands elsewhere, or is just being changed, and the kernel says the same of it
    # again.
    invoke is_certain
    xor r8d, r8d
    mov r10d, SHOWS_UID | SHOWS_GID
    # Others could have set what an inode of others bears.
    cmp dword ptr [rbx + \uid], 0
    jne 6f
    # Nothing else bears attributes of users.
    cmp r12d, S_IFREG
    je 5f
    cmp r12d, S_IFDIR
    jne 6f
5:
    invoke borne
    mov [rbp + KEPT], r13
    mov [rbp + KEPT + 8], r14
    mov [rbp + KEPT + 16], r15
    mov [rbp + KEPT + 24], r8
    mov [rbp + KEPT + 32], r10
    invoke kernel
    test eax, eax
    jnz slow
    \identify
    mov r10, [rbp + KEPT + 32]
    mov r8, [rbp + KEPT + 24]
    same_as_before
6:
    test dword ptr [rip + SLATE + STATE], ENABLED
    jz slow
    test dword ptr [rip + SLATE + STATE], QUIET
    jz slow
    mov eax, r10d
    jmp 7f

10:
    mov eax, r8d
    neg eax
    and eax, IF_QUIET
    jmp 11f
4:
    mov eax, [rsi + 20]
    mov r8, [rsi + 24]
11:
    mov ecx, [rdi + STATE]
    cmp [rdi], rdx
    jne slow
    test eax, IF_QUIET
    jz 7f
    test ecx, QUIET
    jz slow
7:
    test eax, SHOWS_UID
    jz 8f
    mov [rbx + \uid], r8d
8:
    shr r8, 32
    test eax, SHOWS_GID
    jz 9f
    mov [rbx + \gid], r8d
9:
    test eax, SHOWS_MODE
    jz 5f
    and eax, 0xfff
    or eax, r12d
    mov [rbx + \mode], ax
5:
.Lsame\@:
    xor eax, eax
    jmp done
    .endm

    # Answers with an id, which needs no kernel. Which way a byte is read shows DF; AC and ID show by no instruction that needs
    # no stack.
    .macro answer_id offset
    mov r11, rsi
    lea rsi, [rip + remainroot_inside_begin + 1]
    lodsb
    xchg r11, rsi
    pack
    cmp qword ptr [rip + closed], 0
    jne aside
    cmp qword ptr [rip + knows_ids], 0
    je aside
    unpack
    not r11d
    and r11d, 2
    shl r11d, 17
    or r11d, eax
    ror r11d, 8
    bt r11d, 24
    jnc 1f
    or r11d, 0x800
1:
    and r11d, 0xfff
    or r11d, ALWAYS_SET
    set_flags
    mov eax, [rip + ids + \offset]
    mov rcx, [rcx]
    lea rcx, [rcx + 2]
    jmp rcx
    .endm

take:
    pack
    cmp qword ptr [rip + closed], 0
    jne aside
    test rsp, rsp
    jz aside
    # Threads, whose stacks lie apart, begin to look at different ones.
    mov r11, rsp
    shr r11, 16
    imul r11d, r11d, 0x9e3779b1
    shr r11d, 32 - {area_bits}
    imul r11d, r11d, AREA
    lea rax, [rip + AREAS]
    add r11, rax
    xor eax, eax
    lock cmpxchg [r11], rsp
    je 3f
    cmp rax, rsp
    je 3f
    lea r11, [rip + AREAS]
1:
    cmp [r11], rsp
    je 3f
    xor eax, eax
    cmp [r11], rax
    jne 2f
    lock cmpxchg [r11], rsp
    je 3f
2:
    add r11, AREA
    lea rax, [rip + remainroot_inside_begin]
    cmp r11, rax
    jb 1b
    inc dword ptr [rip + lacked_count]
    jmp aside
3:
    mov [r11 + OF_RBP], rbp
    mov rbp, r11
    unpack
    mov [rbp + HELD_FLAGS], eax
    mov [rbp + OF_SITE], rcx
    mov [rbp + OF_R8], r8
    mov [rbp + OF_R10], r10
    mov [rbp + OF_RDX], rdx
    mov [rbp + OF_RSI], rsi
    mov [rbp + OF_RDI], rdi
    mov [rbp + OF_R9], r9
    mov [rbp + OF_RBX], rbx
    mov [rbp + OF_R12], r12
    mov [rbp + OF_R13], r13
    mov [rbp + OF_R14], r14
    mov [rbp + OF_R15], r15
    # The jump by which the thunk came here ends before its words, and what goes on is behind a jump as long.
    movsxd rax, dword ptr [rcx - 4]
    lea rax, [rcx + rax + 5]
    jmp rax

answer_getuid:
    answer_id 0
answer_getgid:
    answer_id 4
answer_geteuid:
    answer_id 8
answer_getegid:
    answer_id 12

# newfstatat(directory, path, buffer, flags)
answer_newfstatat:
    enter
    mov rbx, rdx
    jmp stat
# stat(path, buffer), lstat(path, buffer), fstat(descriptor, buffer)
answer_stat:
    enter
    mov rbx, rsi
stat:
    mov eax, [rcx + 8]
    mov r9d, MARK
    syscall
    test eax, eax
    jnz done
    refuse_odd_flags
    correct identify_stat, UID, GID, MODE

# statx(directory, path, flags, mask, buffer)
answer_statx:
    enter
    mov rbx, r8
    invoke kernel
    test eax, eax
    jnz done
    refuse_odd_flags
    mov eax, [rbx]
    and eax, 0x11b                      # type, mode, uid, gid, ino
    cmp eax, 0x11b
    jne slow
    correct identify_statx, 20, 24, 28

# The change time of the inode at hand, which statx was not asked for and need not say (fill_mg_cmtime), to r14; goes to slow
# unless it is the inode r13, r15d.
change_time:
    mov [rbp + KEPT + 40], rbx
    lea rbx, [rbp + OTHER_STAT]
    invoke place
    mov r10d, edx
    invoke describe
    test eax, eax
    jnz slow
    cmp [rbx + 8], r13
    jne slow
    cmp [rbx], r15d
    jne slow
    mov r14, [rbx + 104]
    shl r14, 32
    mov eax, [rbx + 112]
    or r14, rax
    mov rbx, [rbp + KEPT + 40]
    back change_time

# How the call at hand names its inode to list: rdi, rsi, edx.
place:
    mov rcx, [rbp + OF_SITE]
    mov eax, [rcx + 8]
    mov rdi, [rbp + OF_RDI]
    mov rsi, [rbp + OF_RSI]
    mov edx, [rbp + OF_R10]             # newfstatat
    cmp eax, 262
    je 2f
    mov edx, [rbp + OF_RDX]             # statx
    cmp eax, 332
    je 2f
    cmp eax, 5                          # fstat
    je 3f
    cmp eax, 190                        # fsetxattr
    je 3f
    cmp eax, 193                        # fgetxattr
    je 3f
    cmp eax, 199                        # fremovexattr
    je 3f
    cmp eax, 196                        # flistxattr
    je 3f
    mov rsi, rdi
    mov edi, AT_FDCWD
    xor edx, edx
    cmp eax, 4                          # stat
    je 1f
    cmp eax, 188                        # setxattr
    je 1f
    cmp eax, 191                        # getxattr
    je 1f
    cmp eax, 197                        # removexattr
    je 1f
    cmp eax, 194                        # listxattr
    je 1f
    mov edx, NOFOLLOW                   # lstat, lgetxattr and their like
1:
    back place
2:
    and edx, NOFOLLOW | EMPTY_PATH
    back place
3:
    lea rsi, [rip + nothing]
    mov edx, EMPTY_PATH
    back place

# How many bytes the names of an inode's attributes take, 0 where it cannot have any, to rax: listxattrat(2).
list:
    xor r10d, r10d
    xor r8d, r8d
    mov r9d, MARK
    mov eax, 465
    syscall
    cmp rax, EOPNOTSUPP
    jne 1f
    xor eax, eax
1:
    back list

# Takes the label that every inode has on some systems, and which says nothing of owners, off how many bytes the names of an
# inode's attributes take: rax, of the inode rdi, rsi, edx. Changes rdx as value does.
but_label:
    cmp rax, LABEL_NAME
    je 1f
    cmp rax, LABEL_NAME + OWNER_NAME
    jne 2f
1:
    mov [rbp + NAMES], rax
    lea r8, [rbp + READ]
    lea r10, [rip + label]
    xor r9d, r9d
    xor eax, eax
    invoke value
    mov rcx, rax
    mov rax, [rbp + NAMES]
    test rcx, rcx
    js 2f
    sub rax, LABEL_NAME
2:
    back but_label

# Goes to slow unless what an inode bears is all that is known of it.
is_certain:
    mov eax, [rip + SLATE + STATE]
    and eax, ENABLED | QUIET
    cmp eax, ENABLED | QUIET
    jne slow
    cmp qword ptr [rip + SLATE + WRITERS], 0
    jne slow
    back is_certain

# What the attributes of the inode at hand say of it, as an entry would: what to r10d, the ids to r8. Changes rax, rcx, rdx,
# rsi, rdi, r9 and r11.
borne:
    invoke place
    invoke list
    xor r8d, r8d
    mov r10d, SHOWS_UID | SHOWS_GID
    test rax, rax
    jz 4f
    js slow
    # Now and then the tracer is asked, which makes an entry: what is looked at often needs no reading.
    inc dword ptr [rip + borne_count]
    test byte ptr [rip + borne_count], RARELY
    jz slow
    mov [rbp + NAMES], rax
    lea r8, [rbp + READ]
    lea r10, [rip + owner]
    lea rax, [r8 + OWNER]
    mov r9d, OWNER_SIZE
    invoke value
    # Where that is all there is no need to ask for the other.
    mov rcx, ENODATA
    cmp qword ptr [rbp + NAMES], OWNER_NAME
    mov [rbp + NAMES], rax
    jne 1f
    test rax, rax
    jns 2f
1:
    lea r10, [rip + owner_and_mode]
    lea rax, [r8 + LINE]
    mov r9d, LINE_SIZE
    invoke value
    mov rcx, rax
2:
    mov rdx, [rbp + NAMES]
    lea rsi, [rbp + READ]
    xor r8d, r8d
    mov r10d, SHOWS_UID | SHOWS_GID
    cmp rcx, ENODATA
    je 3f
    test rcx, rcx
    js slow
    invoke line
3:
    cmp rdx, ENODATA
    je 4f
    test rdx, rdx
    js slow
    invoke message
    jc slow
4:
    back borne

# The value, r9d bytes at most at rax, of the attribute r10 of the inode rdi, rsi, edx; what getxattrat(2) needs for that
# goes to r8. Marked where that has room, in the half of the flags that does not count.
value:
    mov [r8 + VALUE], rax
    mov [r8 + VALUE_SIZE], r9
    movabs rax, {mark} << 32
    or rdx, rax
    mov r9d, 16
    mov eax, 464
    syscall
    back value

# Reads the protobuf message of ids at [rsi + OWNER], rdx bytes, to r8; those that it leaves are root's. Sets the carry flag
# where that cannot be read.
message:
    xor r8d, r8d
    lea r9, [rsi + OWNER]
    add rdx, r9
    cmp r9, rdx
    je 3f
    cmp byte ptr [r9], 0x08
    jne 1f
    invoke varint
    jc 4f
    mov r8d, eax
    cmp r9, rdx
    je 3f
1:
    cmp byte ptr [r9], 0x10
    jne 2f
    invoke varint
    jc 4f
    shl rax, 32
    or r8, rax
    cmp r9, rdx
    je 3f
2:
    stc
    back message
3:
    clc
4:
    back message

# The varint behind the tag at r9 and before rdx, to eax: an id, or 0 where it says that none is meant. Advances r9. Sets the
# carry flag where it is none.
varint:
    xor eax, eax
    xor ecx, ecx
1:
    inc r9
    cmp r9, rdx
    jae 4f
    movzx edi, byte ptr [r9]
    mov r11d, edi
    and edi, 0x7f
    shl rdi, cl
    or rax, rdi
    add ecx, 7
    test r11b, 0x80
    jz 2f
    cmp ecx, 35
    jb 1b
    jmp 4f
2:
    inc r9
    mov ecx, 0xffffffff
    cmp rax, rcx
    ja 4f
    jne 3f
    xor eax, eax
3:
    clc
    back varint
4:
    stc
    back varint

# Writes the tag in dl and the id in eax behind it, where root's own means that none is meant, at rdi, which it advances.
put:
    mov [rdi], dl
    inc rdi
    cmp eax, 1
    sbb edx, edx
    or eax, edx
1:
    mov [rdi], al
    inc rdi
    cmp eax, 0x80
    jb 2f
    or byte ptr [rdi - 1], 0x80
    shr eax, 7
    jmp 1b
2:
    back put

# Reads the line uid:gid:mode[:type] at [rsi + LINE], rcx bytes, to r8 and r10d.
line:
    lea r9, [rsi + LINE]
    add rcx, r9
    mov edi, 10
    invoke number
    mov r8, rax
    invoke number
    shl rax, 32
    or r8, rax
    mov edi, 8
    invoke number
    and eax, 0xfff
    or eax, SHOWS_MODE
    or r10d, eax
    # A regular file or a directory.
    sub rcx, r9
    cmp rcx, -1
    je 1f
    mov eax, [r9]
    cmp rcx, 3
    je 2f
    cmp rcx, 4
    jne slow
    cmp eax, 'f' | 'i' << 8 | 'l' << 16 | 'e' << 24
    jne slow
1:
    back line
2:
    and eax, 0xffffff
    cmp eax, 'd' | 'i' << 8 | 'r' << 16
    jne slow
    back line

# The number to the base edi at r9, before a colon or the end at rcx, to rax: less than 0xffffffff. Advances r9 beyond the
# colon, or the end.
number:
    xor eax, eax
    cmp r9, rcx
    jae slow
    cmp byte ptr [r9], ':'
    je slow
1:
    movzx r11d, byte ptr [r9]
    inc r9
    sub r11d, '0'
    cmp r11d, ':' - '0'
    je 2f
    cmp r11d, edi
    jae slow
    imul rax, rdi
    add rax, r11
    mov r11d, 0xffffffff
    cmp rax, r11
    jae slow
    cmp r9, rcx
    jb 1b
    inc r9
2:
    back number

# Makes the call at hand.
kernel:
    mov rcx, [rbp + OF_SITE]
    mov eax, [rcx + 8]
    mov rdi, [rbp + OF_RDI]
    mov rsi, [rbp + OF_RSI]
    mov rdx, [rbp + OF_RDX]
    mov r10, [rbp + OF_R10]
    mov r8, [rbp + OF_R8]
    mov r9d, MARK
    syscall
    back kernel

# Fills the struct stat at rbx, newfstatat(rdi, rsi, rbx, r10d), where nothing has been done yet: goes to slow if the flags are
# odd.
describe:
    invoke fill
    refuse_odd_flags
    back describe

# The same with any flags.
fill:
    mov rdx, rbx
    mov r9d, MARK
    mov eax, 262
    syscall
    back fill

    # Goes to slow unless no fact can stand elsewhere than on its inode.
    .macro begin_open
    test dword ptr [rip + SLATE + STATE], ALMIGHTY
    jz slow
    invoke is_certain
    lea rbx, [rbp + STAT]
    .endm

    # Makes the call if nothing is known of any inode.
    .macro go_if_empty
    test dword ptr [rip + SLATE + STATE], EMPTY
    jnz go
    .endm

    # The same as begin_open, and goes there unless who calls is root.
    .macro begin_change
    cmp qword ptr [rip + others], 0
    jne slow
    begin_open
    .endm

# creat(path, mode)
answer_creat:
    enter
    mov r14d, O_CREAT | O_TRUNC | O_WRONLY
    mov r13, rdi
    mov r12, AT_FDCWD
    jmp 1f
# open(path, flags, mode)
answer_open:
    enter
    mov r14d, esi
    mov r13, rdi
    mov r12, AT_FDCWD
    jmp 1f
# openat(directory, path, flags, mode)
answer_openat:
    enter
    mov r14d, edx
    mov r13, rsi
    mov r12, rdi
1:
    test r14d, CHANGES
    jz slow
    test r14d, BEYOND
    jnz slow
    # What somebody else makes is his.
    test r14d, O_CREAT
    jz 1f
    cmp qword ptr [rip + others], 0
    jne slow
1:
    begin_open
    go_if_empty
    mov eax, r14d
    and eax, O_CREAT | O_EXCL
    cmp eax, O_CREAT | O_EXCL
    je make
    xor r15d, r15d
    test r14d, O_NOFOLLOW
    jz 2f
    mov r15d, NOFOLLOW
2:
    mov rdi, r12
    mov rsi, r13
    mov r10d, r15d
    invoke describe
    test eax, eax
    jz 3f
    test r14d, O_CREAT
    jz go
    cmp eax, ENOENT
    jne go
    jmp make_or_slow
3:
    # Only an empty file may stand for a device.
    mov eax, [rbx + MODE]
    and eax, S_IFMT
    cmp eax, S_IFREG
    jne go
    cmp qword ptr [rbx + SIZE], 0
    jne go
    mov edx, r15d
    invoke bears_no_more
    jmp go

# mkdir(path, mode)
answer_mkdir:
    enter
    mov r13, rdi
    mov r12, AT_FDCWD
    jmp 1f
# mkdirat(directory, path, mode)
answer_mkdirat:
    enter
    mov r13, rsi
    mov r12, rdi
    jmp 1f
# symlink(target, path)
answer_symlink:
    enter
    mov r13, rsi
    mov r12, AT_FDCWD
    jmp 1f
# symlinkat(target, directory, path)
answer_symlinkat:
    enter
    mov r13, rdx
    mov r12, rsi
1:
    begin_change
    go_if_empty

# Makes the call if its directory, of the path r13 from r12, passes nothing on to what is made in it. To look at the path
# first tells that it can be read.
make:
    mov rdi, r12
    mov rsi, r13
    mov r10d, NOFOLLOW
    invoke describe
    cmp eax, ENOENT
    jne go
    jmp 1f
# The same where it follows a link, and there must be none.
make_or_slow:
    mov rdi, r12
    mov rsi, r13
    mov r10d, NOFOLLOW
    invoke describe
    cmp eax, ENOENT
    jne slow
1:
    xor ecx, ecx
    mov edx, -1
2:
    movzx eax, byte ptr [r13 + rcx]
    test al, al
    jz 3f
    cmp al, '/'
    cmove edx, ecx
    inc ecx
    cmp ecx, LONGEST
    jb 2b
    jmp slow
3:
    lea eax, [rdx + 1]
    cmp eax, ecx
    je slow                             # ends with a slash
    lea rsi, [rbp + PATH]
    mov word ptr [rsi], '.'
    test edx, edx
    js 5f
    mov word ptr [rsi], '/'
    jz 5f
    xor ecx, ecx
4:
    mov al, [r13 + rcx]
    mov [rsi + rcx], al
    inc ecx
    cmp ecx, edx
    jb 4b
    mov byte ptr [rsi + rcx], 0
5:
    mov r13, rsi
    mov rdi, r12
    xor r10d, r10d
    invoke describe
    test eax, eax
    jnz slow
    mov eax, [rbx + MODE]
    and eax, S_IFMT | S_ISGID
    cmp eax, S_IFDIR
    jne slow
    mov rdi, r12
    mov rsi, r13
    xor edx, edx
    invoke list
    invoke but_label
    test rax, rax
    jnz slow
go:
    invoke kernel
    jmp done

# fchown(descriptor, uid, gid)
answer_fchown:
    enter
    lea r13, [rip + nothing]
    mov r12, rdi
    mov r14d, EMPTY_PATH
    jmp 2f
# chown(path, uid, gid)
answer_chown:
    enter
    xor r14d, r14d
    jmp 1f
# lchown(path, uid, gid)
answer_lchown:
    enter
    mov r14d, NOFOLLOW
1:
    mov r13, rdi
    mov r12, AT_FDCWD
2:
    mov eax, esi
    mov ecx, edx
    jmp give
# fchownat(directory, path, uid, gid, flags)
answer_fchownat:
    enter
    mov r13, rsi
    mov r12, rdi
    mov r14d, r8d
    mov eax, edx
    mov ecx, r10d
give:
    mov r15d, eax
    shl rcx, 32
    or r15, rcx
    jmp change

# fchmod(descriptor, mode)
answer_fchmod:
    enter
    lea r13, [rip + nothing]
    mov r12, rdi
    mov r14d, EMPTY_PATH
    mov eax, esi
    jmp 1f
# chmod(path, mode)
answer_chmod:
    enter
    mov r13, rdi
    mov r12, AT_FDCWD
    xor r14d, r14d
    mov eax, esi
    jmp 1f
# fchmodat(directory, path, mode)
answer_fchmodat:
    enter
    mov r13, rsi
    mov r12, rdi
    xor r14d, r14d
    mov eax, edx
1:
    test eax, SET_ID
    jnz slow
    mov r15, NONE
    jmp change

# utimensat(directory, path, times, flags)
answer_utimensat:
    enter
    mov r13, rsi
    mov r12, rdi
    mov r14d, r10d
    mov r15, NONE
    test rsi, rsi
    jnz change
    test r14d, r14d
    jnz slow
    lea r13, [rip + nothing]
    mov r14d, EMPTY_PATH
    jmp change

# setxattr(path, name, value, size, flags), lsetxattr, fsetxattr(descriptor, …): an access list that says no more than a mode,
# which cp(1) and its like give to every copy, where there is none.
answer_setxattr:
    enter
    cmp qword ptr [rbp + OF_R10], LIST_OF_A_MODE
    jne slow
    mov ebx, 3                          # from setxattr(2) to getxattr(2)
    mov rsi, [rbp + OF_RSI]
    invoke has_none
    mov ecx, LIST_NAME
    invoke names_list
    # Whether the value can be read, at both ends.
    mov rsi, [rbp + OF_RDX]
    invoke reads
    lea rsi, [rsi + LIST_OF_A_MODE - 1]
    invoke reads
    # Owner, group and others, and nobody else.
    mov rsi, [rbp + OF_RDX]
    cmp word ptr [rsi + 4], 0x01
    jne slow
    cmp word ptr [rsi + 12], 0x04
    jne slow
    cmp word ptr [rsi + 20], 0x20
    jne slow
    jmp 1f
# removexattr(path, name), lremovexattr, fremovexattr(descriptor, name): a list where there is none.
answer_removexattr:
    enter
    mov ebx, -6                         # from removexattr(2) to getxattr(2)
    mov rsi, [rbp + OF_RSI]
    invoke has_none
    mov ecx, ANY_LIST
    invoke names_list
1:
    invoke place
    mov r12, rdi
    mov r13, rsi
    mov r14d, edx
    mov r15, NONE
    jmp change

# Goes to slow unless the kernel has read the name at rsi, and the inode at hand has no such attribute.
has_none:
    invoke ask
    cmp rax, ENODATA
    je 1f
    cmp rax, EOPNOTSUPP
    jne slow
1:
    back has_none

# Goes to slow if what stands at rsi cannot be read.
reads:
    invoke ask
    cmp rax, EFAULT
    je slow
    back reads

# Asks for the length of the attribute with the name at rsi, by the call ebx numbers behind the one at hand.
ask:
    mov rcx, [rbp + OF_SITE]
    mov eax, [rcx + 8]
    add eax, ebx
    mov rdi, [rbp + OF_RDI]
    xor edx, edx
    xor r10d, r10d
    mov r9d, MARK
    syscall
    refuse_odd_flags
    back ask

# Goes to slow unless the call at hand names a list by the first ecx bytes.
names_list:
    mov rsi, [rbp + OF_RSI]
    lea rdi, [rip + access_list]
    repe cmpsb
    jne slow
    back names_list

# Makes the call if the inode is root's to the kernel too, and nothing stands on it but an owner: of the path r13 from r12,
# with the flags r14d. Whom it is to be given to is r15, user and group.
change:
    test r14d, ~(NOFOLLOW | EMPTY_PATH)
    jnz slow
    begin_change
    mov [rbp + GIVEN], r15
    mov rdi, r12
    mov rsi, r13
    mov r10d, r14d
    invoke describe
    test eax, eax
    jnz slow
    mov eax, [rbx + UID]
    or eax, [rbx + GID]
    jnz slow
    # Whether root or nobody is named.
    lea eax, [r15 + 1]
    shr r15, 32
    inc r15d
    or eax, r15d
    cmp eax, 2
    sbb r15d, r15d
    test dword ptr [rip + SLATE + STATE], EMPTY
    jnz 2f
    mov eax, [rbx + MODE]
    and eax, S_IFMT
    cmp eax, S_IFREG
    je 1f
    cmp eax, S_IFDIR
    je 1f
    cmp eax, S_IFLNK
    jne slow
2:
    test r15d, r15d
    jnz go
    jmp slow
1:
    test r15d, r15d
    jz give_away
    mov edx, r14d
    invoke bears_no_more
    test eax, eax
    jz go
    cmp qword ptr [rbp + GIVEN], NONE
    je go
    jmp give_away

# Goes to slow if an attribute stands on the inode of the path r13 from r12, with the flags edx, but an owner; whether that does,
# to eax.
bears_no_more:
    mov [rbp + KEPT + 48], rdx
    mov rdi, r12
    mov rsi, r13
    invoke list
    invoke but_label
    mov rdx, [rbp + KEPT + 48]
    test rax, rax
    jz 1f
    cmp rax, OWNER_NAME
    jne slow
    lea r10, [rip + owner]
    lea r8, [rbp + READ]
    xor r9d, r9d
    xor eax, eax
    invoke value
    test rax, rax
    js slow
    mov eax, 1
1:
    back bears_no_more

# Writes on the inode of the path r13 from r12, with the flags r14d, whose it is: the user and group at GIVEN. It is a file or
# a directory of ours. All calls are about the very inode, which a descriptor holds that no watch is told of, and which no
# other thread may see. At r15d: that, or -1.
give_away:
    test dword ptr [rbx + MODE], SET_ID
    jnz slow
    mov r15d, -1
    cmp byte ptr [r13], 0
    je 1f
    # The only thread? As many links as threads, and two.
    mov edi, AT_FDCWD
    lea rsi, [rip + threads]
    xor r10d, r10d
    invoke describe
    test eax, eax
    jnz slow
    cmp qword ptr [rbx + LINKS], 3
    jne slow
    mov rdi, r12
    mov rsi, r13
    mov edx, O_PATH | O_CLOEXEC
    test r14d, NOFOLLOW
    jz 2f
    or edx, O_NOFOLLOW
2:
    xor r10d, r10d
    mov r9d, MARK
    mov eax, 257                        # openat
    syscall
    test eax, eax
    js slow
    mov r15d, eax
    mov edi, eax
    lea rsi, [rip + nothing]
    mov r10d, EMPTY_PATH
    invoke describe
    test eax, eax
    jnz keep
    mov eax, [rbx + UID]
    or eax, [rbx + GID]
    jnz keep
    mov eax, [rbx + MODE]
    test eax, SET_ID
    jnz keep
    and eax, S_IFMT
    cmp eax, S_IFREG
    je 3f
    cmp eax, S_IFDIR
    jne keep
3:
    # By such a descriptor no attributes can be had, but by its name, if that is what it seems.
    mov r12, [rbx]
    mov r14, [rbx + 8]
    lea r13, [rbp + PATH]
    mov eax, r15d
    invoke name
    mov edi, AT_FDCWD
    mov rsi, r13
    xor r10d, r10d
    invoke describe
    test eax, eax
    jnz keep
    cmp [rbx], r12
    jne keep
    cmp [rbx + 8], r14
    jne keep
    mov r12, AT_FDCWD
    xor r14d, r14d
1:
    mov rdi, r12
    mov rsi, r13
    mov edx, r14d
    invoke list
    invoke but_label
    xor r8d, r8d
    mov ebx, XATTR_CREATE
    test rax, rax
    jz 4f
    cmp rax, OWNER_NAME
    jne keep
    mov ebx, XATTR_REPLACE
    cmp dword ptr [rbp + GIVEN], -1
    je 2f
    cmp dword ptr [rbp + GIVEN + 4], -1
    jne 4f
2:
    mov rdi, r12
    mov rsi, r13
    mov edx, r14d
    lea r8, [rbp + READ]
    lea r10, [rip + owner]
    lea rax, [r8 + OWNER]
    mov r9d, OWNER_SIZE
    invoke value
    test rax, rax
    js keep
    mov rdx, rax
    lea rsi, [rbp + READ]
    invoke message
    jc keep
4:
    mov eax, [rbp + GIVEN]
    cmp eax, -1
    cmove eax, r8d
    shr r8, 32
    mov ecx, [rbp + GIVEN + 4]
    cmp ecx, -1
    cmove ecx, r8d
    mov edi, eax
    or edi, ecx
    jz 5f
    lea r8, [rbp + READ]
    lea rdi, [r8 + OWNER]
    mov [r8 + VALUE], rdi
    mov edx, 0x08
    invoke put
    mov eax, ecx
    mov edx, 0x10
    invoke put
    sub rdi, [r8 + VALUE]
    mov [r8 + VALUE_SIZE], edi
    mov [r8 + VALUE_SIZE + 4], ebx
    mov rdi, r12
    mov rsi, r13
    movabs rdx, {mark} << 32
    or rdx, r14
    lea r10, [rip + owner]
    mov r9d, 16
    mov eax, 463                        # setxattrat
    syscall
    test rax, rax
    jnz keep
    jmp 6f
5:
    cmp ebx, XATTR_CREATE
    je 6f
    mov rdi, r12
    mov rsi, r13
    mov edx, r14d
    lea r10, [rip + owner]
    mov r9d, MARK
    mov eax, 466                        # removexattrat
    syscall
    test rax, rax
    jnz keep
6:
    # The kernel's own share, of which who watches is told: root, whose it is there, is given it.
    mov rdi, r12
    test r15d, r15d
    cmovns edi, r15d
    lea rsi, [rip + nothing]
    xor edx, edx
    cmp dword ptr [rbp + GIVEN], -1
    sete dl
    neg edx
    xor r10d, r10d
    cmp dword ptr [rbp + GIVEN + 4], -1
    sete r10b
    neg r10d
    mov r8d, EMPTY_PATH
    mov r9d, MARK
    mov eax, 260                        # fchownat
    syscall
    test eax, eax
    jnz keep
    # Whoever has begun to write there meanwhile may not know of this.
    mov eax, [rip + SLATE + STATE]
    and eax, ENABLED | QUIET
    cmp eax, ENABLED | QUIET
    jne keep
    cmp qword ptr [rip + SLATE + WRITERS], 0
    jne keep
    invoke drop
    xor eax, eax
    jmp done

# Leaves it to the tracer, which does all of it anew.
keep:
    invoke drop
    jmp slow

# Closes the descriptor r15d, if it is one.
drop:
    test r15d, r15d
    js 1f
    mov edi, r15d
    mov eax, 3                          # close
    syscall
1:
    back drop

# Puts the name of the descriptor eax at r13.
name:
    movabs rcx, '/' | 'p' << 8 | 'r' << 16 | 'o' << 24 | 'c' << 32 | '/' << 40 | 's' << 48 | 'e' << 56
    mov [r13], rcx
    mov dword ptr [r13 + 8], 'l' | 'f' << 8 | '/' << 16 | 'f' << 24
    mov word ptr [r13 + 12], 'd' | '/' << 8
    # How many digits it has.
    mov ecx, 10
    lea rsi, [r13 + 14]
    mov edi, eax
1:
    inc rsi
    xor edx, edx
    div ecx
    test eax, eax
    jnz 1b
    mov byte ptr [rsi], 0
    mov eax, edi
2:
    dec rsi
    xor edx, edx
    div ecx
    add dl, '0'
    mov [rsi], dl
    test eax, eax
    jnz 2b
    back name

# getxattr(path, name, value, size), lgetxattr, fgetxattr(descriptor, …), listxattr(path, names, size), llistxattr,
# flistxattr: what is not there to the kernel is not there at all if nothing is packed in an attribute of ours, and the
# inode is the same before and after.
answer_xattr:
    enter
    invoke is_certain
    go_if_empty
    lea rbx, [rbp + STAT]
    invoke place
    mov r10d, edx
    invoke describe
    test eax, eax
    jnz slow
    identify_stat
    and eax, S_IFMT
    cmp eax, S_IFCHR
    je slow
    mov rcx, [rbp + OF_SITE]
    cmp dword ptr [rcx + 8], 194
    jb 6f
    # A list of nothing but ours is empty, and nothing of it may come to the caller's memory.
    invoke place
    invoke list
    test rax, rax
    jz 6f
    js slow
    mov r12, rax
    lea r8, [rbp + READ]
    xor r9d, r9d
    xor eax, eax
    lea r10, [rip + owner]
    invoke value
    test rax, rax
    js 5f
    sub r12, OWNER_NAME
5:
    xor r9d, r9d
    xor eax, eax
    lea r10, [rip + owner_and_mode]
    invoke value
    test rax, rax
    js 5f
    sub r12, STAT_NAME
5:
    test r12, r12
    jnz slow
    jmp 4f
6:
    invoke kernel
    mov r12, rax
    cmp rax, EOPNOTSUPP
    je 1f
    mov rcx, [rbp + OF_SITE]
    cmp dword ptr [rcx + 8], 194
    jae 2f
    cmp rax, ENODATA
    jne slow
1:
    mov rcx, [rbp + OF_SITE]
    cmp dword ptr [rcx + 8], 194
    jae 3f
    # The kernel has read the name. Those of users may be ours, and trusted ones are not the kernel's to tell.
    mov rcx, [rbp + OF_RSI]
    cmp byte ptr [rcx], 's'
    jne slow
    cmp byte ptr [rcx + 1], 'y'         # system.
    je 3f
    cmp byte ptr [rcx + 1], 'e'         # security.
    jne slow
    jmp 3f
2:
    test rax, rax
    jnz slow
3:
    cmp dword ptr [rbx + UID], 0
    jne 4f
    invoke place
    invoke list
    test rax, rax
    jz 4f
    js slow
    lea r8, [rbp + READ]
    xor r9d, r9d
    xor eax, eax
    lea r10, [rip + others_names]
    invoke value
    cmp rax, ENODATA
    jne slow
4:
    mov [rbp + KEPT], r13
    mov [rbp + KEPT + 8], r14
    mov [rbp + KEPT + 16], r15
    invoke place
    mov r10d, edx
    invoke describe
    test eax, eax
    jnz slow
    identify_stat
    same_as_before
    invoke is_certain
    mov rax, r12
    jmp done

    # What may stand for a device, by its inode number: one in so many.
    .macro may_be_device ino
    movabs rax, {factor}
    imul rax, \ino
    shr rax, 64 - {device_bits}
    lea rcx, [rip + SLATE + DEVICES]
    bt [rcx], rax
    .endm

# getdents64(directory, buffer, size): an empty file that bears a line may stand for a device. Then the listener is asked.
answer_getdents64:
    enter
    # What it writes is aligned as this is, which flags may demand.
    test esi, 7
    jnz slow
    invoke is_certain
    go_if_empty
    invoke kernel
    test rax, rax
    jle done
    mov r12, rax
    mov r13, [rbp + OF_RSI]
    lea r14, [r13 + rax]
    lea rbx, [rbp + STAT]
1:
    cmp byte ptr [r13 + 18], DT_REG
    je 3f
2:
    movzx eax, word ptr [r13 + 16]
    add r13, rax
    test eax, eax
    jz 5f
    cmp r13, r14
    jb 1b
5:
    mov rax, r12
    jmp done
3:
    may_be_device [r13]
    jnc 2b
    mov rdi, [rbp + OF_RDI]
    lea rsi, [r13 + 19]
    mov r10d, NOFOLLOW | NO_AUTOMOUNT
    invoke fill
    cmp eax, ENOENT
    je 2b
    test eax, eax
    jnz 4f
    mov eax, [rbx + MODE]
    and eax, S_IFMT
    cmp eax, S_IFREG
    jne 2b
    cmp qword ptr [rbx + SIZE], 0
    jne 2b
    mov edx, NOFOLLOW
    lea r10, [rip + owner_and_mode]
    lea r8, [rbp + READ]
    xor r9d, r9d
    xor eax, eax
    invoke value
    cmp rax, ENODATA
    je 2b
    cmp rax, EOPNOTSUPP
    je 2b
    mov rdx, rbx
    mov r10d, NOFOLLOW
    xor r9d, r9d
    mov eax, 262
    nop                                 # no site
    syscall
    cmp eax, ENOENT
    je 2b
    test eax, eax
    jnz 4f
    mov eax, [rbx + MODE]
    shr eax, 12
4:
    # Else unknown: who lists it asks for it.
    test eax, eax
    jns 6f
    xor eax, eax
6:
    mov [r13 + 18], al
    jmp 2b

# mmap(address, size, protection, flags, descriptor, offset) by a loader: rewrites the sites of a library as soon as its text
# is there, where nobody can run it yet. That of one that is known to have sites may be written meanwhile; where it may not,
# nothing is rewritten.
answer_mmap:
    enter
    mov eax, [rbp + OF_RDX]
    and eax, PROT_WRITE | PROT_EXEC
    cmp eax, PROT_EXEC
    jne slow
    mov eax, [rbp + OF_R10]
    and eax, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS
    cmp eax, MAP_PRIVATE
    jne slow
    lea rbx, [rbp + STAT]
    mov rdi, [rbp + OF_R8]
    lea rsi, [rip + nothing]
    mov r10d, EMPTY_PATH
    invoke describe
    mov r13, [rbx + 8]
    mov rdx, [rbx + SIZE]
    mov [rbp + KEPT], rdx
    test eax, eax
    jnz slow
    movabs rax, {factor}
    imul rax, r13
    shr rax, 64 - {library_bits}
    imul eax, eax, {library_size}
    lea r14, [rip + SLATE + LIBRARIES]
    add r14, rax
    cmp [r14], r13
    jne slow
    mov edx, PROT_WRITE
    invoke map
    mov r12, rax
    xor r15d, r15d
    cmp rax, -4095
    jae slow
1:
    mov eax, [r14 + 8 + r15 * 8]        # where in the file
    test eax, eax
    jz 6f
    lea rcx, [rax + SITE_SIZE]
    cmp rcx, [rbp + KEPT]
    ja 6f
    sub rax, [rbp + OF_R9]
    jb 6f
    lea rcx, [rax + SITE_SIZE]
    cmp rcx, [rbp + OF_RSI]
    ja 6f
    cmp rax, 4
    jb 6f
    lea r13, [r12 + rax]
    mov ecx, [r14 + 12 + r15 * 8]       # and what stands before it, or it is no site
    cmp [r13 - 4], ecx
    jne 6f
    cmp byte ptr [r13], 0xb8
    jne 6f
    cmp word ptr [r13 + 5], 0x050f
    jne 6f
    mov eax, [r13 + 1]
    lea r9, [rip + remainroot_inside_calls]
    xor ecx, ecx
2:
    cmp [r9 + rcx * 8], eax
    je 3f
    inc ecx
    cmp ecx, {calls}
    jb 2b
    jmp 6f
3:
    bt qword ptr [rip + wanted], rcx
    jnc 6f
    mov r9d, [r9 + rcx * 8 + 4]
    lea rcx, [rip + remainroot_inside_begin]
    add r9, rcx
    # lea rcx, [rip + 5]; jmp entry; where the syscall stands; its number.
    movabs rdx, 0xe9000000050d8d48
    lea rdi, [rip + remainroot_inside_begin + {thunks}]
    lea rcx, [rip + remainroot_inside_begin + {page}]
4:
    xor eax, eax
    lock cmpxchg [rdi], rdx
    je 5f
    add rdi, THUNK_SIZE
    cmp rdi, rcx
    jb 4b
    jmp 7f
5:
    sub r9, rdi
    sub r9, 12
    mov [rdi + 8], r9d
    lea rcx, [r13 + 5]
    mov [rdi + 12], rcx
    mov ecx, [r13 + 1]
    mov [rdi + 20], ecx
    sub rdi, r13
    sub rdi, 5
    movsxd rcx, edi
    cmp rcx, rdi
    jne 6f                              # too far
    mov byte ptr [r13], 0xe9
    mov [r13 + 1], edi
6:
    inc r15d
    cmp r15d, {library_sites}
    jb 1b
7:
    mov rdi, r12
    mov rsi, [rbp + OF_RSI]
    mov edx, [rbp + OF_RDX]
    invoke protect
    mov rax, r12
    jmp done

# The mapping that is asked for, with what edx allows as well.
map:
    mov rdi, [rbp + OF_RDI]
    mov rsi, [rbp + OF_RSI]
    or edx, [rbp + OF_RDX]
    mov r10, [rbp + OF_R10]
    mov r8, [rbp + OF_R8]
    mov r9, [rbp + OF_R9]
    mov eax, 9
    nop                                 # no site
    syscall
    back map

# mprotect(rdi, rsi, edx)
protect:
    mov r9d, MARK
    mov eax, 10
    syscall
    back protect

# Has the site's own call made, with nothing done: flags and words are packed.
aside:
    unpack
    set_flags
    mov eax, [rcx + 8]
    mov rcx, [rcx]
    jmp rcx

slow:
    mov rcx, [rbp + OF_SITE]
    mov eax, [rcx + 8]
    mov [rbp + RESULT], rax
    mov rcx, [rcx]
    mov [rbp + RETURN], rcx
    jmp leave

# The result is in rax.
done:
    mov [rbp + RESULT], rax
    mov rcx, [rbp + OF_SITE]
    mov rcx, [rcx]
    lea rcx, [rcx + 2]
    mov [rbp + RETURN], rcx
    mov eax, [rbp + HELD_FLAGS]
    movzx ecx, al
    shl ecx, 11
    movzx eax, ah
    lea ecx, [rcx + rax + ALWAYS_SET - 2] # bit 1 is set in ah
    mov [rbp + OF_R11], rcx
leave:
    # Once the area is given back nothing in it may be read: each has a way out of its own, which needs no register for that.
    mov r11, rbp
    lea rcx, [rip + AREAS]
    sub r11, rcx
    shr r11, {area_shift} - WAY_OUT_SHIFT
    lea rcx, [rip + ways_out]
    add r11, rcx
    mov r8, [rbp + OF_R8]
    mov r10, [rbp + OF_R10]
    mov rdx, [rbp + OF_RDX]
    mov rsi, [rbp + OF_RSI]
    mov rdi, [rbp + OF_RDI]
    mov r9, [rbp + OF_R9]
    mov rbx, [rbp + OF_RBX]
    mov r12, [rbp + OF_R12]
    mov r13, [rbp + OF_R13]
    mov r14, [rbp + OF_R14]
    mov r15, [rbp + OF_R15]
    mov rcx, [rbp + RETURN]
    mov eax, [rbp + HELD_FLAGS]
    set_flags
    mov rax, [rbp + RESULT]
    jmp r11

    .balign 1 << WAY_OUT_SHIFT
ways_out:
    .set THIS, AREAS
    .rept {areas}
    mov r11, [rip + THIS + OF_R11]
    mov rbp, [rip + THIS + OF_RBP]
    mov qword ptr [rip + THIS + TAKEN], 0
    jmp rcx
    .balign 1 << WAY_OUT_SHIFT
    .set THIS, THIS + AREA
    .endr
    .org remainroot_inside_begin + {code}
remainroot_inside_end:

# What a new image runs before its own first instruction: it takes the file from the tracer, maps it, at this address and no
# other, and leaves all registers at zero, as exec does. Nobody need wake up for it. Where that fails it makes a call that
# stops, so that the tracer knows.
    .globl remainroot_arrival_begin, remainroot_arrival_start, remainroot_arrival_process
    .globl remainroot_arrival_descriptor, remainroot_arrival_says, remainroot_arrival_failed, remainroot_arrival_end
remainroot_arrival_begin:
base:
    .quad 0                             # an address: its last byte is 0
first:
    .quad 0
device:
    .quad 0
inode:
    .quad 0
wanted_there:
    .quad 0
others_there:
    .quad 0
remainroot_arrival_start:
remainroot_arrival_process:
    mov edi, 0                          # the tracer; this and other numbers are written when they are known
    mov eax, 434                        # pidfd_open
    syscall
    test eax, eax
    js 2f
    mov ebx, eax
    mov edi, eax
remainroot_arrival_descriptor:
    mov esi, 0
    mov eax, 438                        # pidfd_getfd
    syscall
    mov r8d, eax
    mov edi, ebx
    mov eax, 3                          # close
    syscall
    test r8d, r8d
    js 2f
    # In another pid namespace that is another process.
    mov edi, r8d
    lea rsi, [rip + base + 7]
    lea rdx, [rsp - 256]
    mov r10d, EMPTY_PATH
    movabs r9, {whole_mark}
    mov eax, 262                        # newfstatat
    syscall
    mov r9, rdx
    mov rdx, -1
    test eax, eax
    jnz 1f
    mov rax, [r9]
    cmp rax, [rip + device]
    jne 1f
    mov rax, [r9 + 8]
    cmp rax, [rip + inode]
    jne 1f
    xor r9d, r9d
    movabs rax, {mark} << 32
    or r8, rax
    mov r10d, MAP_PRIVATE | MAP_FIXED_NOREPLACE
    mov edx, PROT_READ | PROT_EXEC
    mov esi, {length}
    mov rdi, [rip + base]
    mov eax, 9                          # mmap
    syscall
    mov rdx, rax
    sub rdx, rdi
    jnz 1f
    # What is written to is a mapping of its own before it is, so that fork copies no other.
    mov esi, {begin} + {page}
    mov edx, PROT_READ | PROT_WRITE | PROT_EXEC
    movabs r9, {whole_mark}
    mov eax, 10                         # mprotect
    syscall
    mov edx, eax
    test eax, eax
    jnz 1f
    # Who is root and wants what all do changes nothing, so that the page stays the file's.
    mov rcx, [rip + others_there]
    test rcx, rcx
    jz 4f
    mov [rdi + {begin} + {others_at}], rcx
4:
    mov rcx, [rip + wanted_there]
    cmp rcx, [rdi + {begin} + {wanted_at}]
    je 1f
    mov [rdi + {begin} + {wanted_at}], rcx
1:
    mov edi, r8d
    mov eax, 3                          # close
    syscall
    test rdx, rdx
    jz 3f
2:
remainroot_arrival_says:
    mov eax, 0
    nop                                 # no site
remainroot_arrival_failed:
    syscall
3:
    xor ebx, ebx
    xor eax, eax
    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor edi, edi
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    jmp qword ptr [rip + first]
remainroot_arrival_end:
    .popsection
