# What runs inside a tracee, see worker/inside.rs: one page, followed by the pages of the slate (ownership/slate.rs).
#
# A call site `mov eax, NUMBER; syscall` begins with a jump to a thunk instead, which leads here with the address of its
# two words in rcx: where the site's `syscall` stands, and NUMBER. The kernel makes the very call, marked so that no
# filter stops it, where what it answers can be corrected, or is known to be right. In all doubt the site's own
# `syscall` is left to do it, which a filter sees.
#
# All registers are as the kernel would leave them: rcx holds where it returns to and r11 the flags. Below the stack
# pointer 128 bytes are the caller's.
    .pushsection .rodata.inside, "a", @progbits
    .balign 4096
    .globl remainroot_inside_begin, remainroot_inside_end
    .globl remainroot_inside_newfstatat, remainroot_inside_stat, remainroot_inside_statx
    .globl remainroot_inside_open, remainroot_inside_openat, remainroot_inside_mkdir, remainroot_inside_mkdirat
    .globl remainroot_inside_symlink, remainroot_inside_symlinkat, remainroot_inside_chown, remainroot_inside_lchown
    .globl remainroot_inside_fchown, remainroot_inside_fchownat, remainroot_inside_chmod, remainroot_inside_fchmod
    .globl remainroot_inside_fchmodat, remainroot_inside_utimensat
remainroot_inside_begin:
closed:
    .quad 0                             # not zero: the sites' own calls are to be made
others:
    .quad 0                             # not zero: somebody here is not root
nothing:
    .quad 0                             # an empty path

    # The slate and its state.
    .set SLATE, remainroot_inside_begin + 4096
    .set STATE, 8
    .set ENTRIES, 4096
    .set ENABLED, 1
    .set QUIET, 2
    .set ALMIGHTY, 4
    # What an entry says, above the permission bits.
    .set SHOWS_UID, 0x10000
    .set SHOWS_GID, 0x20000
    .set SHOWS_MODE, 0x40000
    .set IF_QUIET, 0x80000
    # Registers of the caller's, from rbp.
    .set OF_R8, 0
    .set OF_R10, 8
    .set OF_RDX, 16
    .set OF_RSI, 24
    .set OF_RDI, 32
    .set OF_SITE, 104
    # Room below them: a struct stat, and a path before that.
    .set ROOM, 512
    .set LONGEST, 256
    # In struct stat.
    .set MODE, 24
    .set UID, 28
    .set GID, 32
    .set SIZE, 48

    .set MARK, {mark}
    .set AT_FDCWD, -100
    .set NOFOLLOW, 0x100
    .set EMPTY_PATH, 0x1000
    .set ENOENT, -2
    .set EOPNOTSUPP, -95
    .set S_IFMT, 0xf000
    .set S_IFREG, 0x8000
    .set S_IFDIR, 0x4000
    .set S_IFLNK, 0xa000
    .set S_ISGID, 0x400
    .set SET_ID, 0xc00
    .set O_CREAT, 0x40
    .set O_EXCL, 0x80
    .set O_NOFOLLOW, 0x20000
    .set CHANGES, 0x400243              # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE
    .set BEYOND, 0x600000               # O_PATH, O_TMPFILE

    .macro enter
    lea rsp, [rsp - 128]
    push rcx
    pushfq
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    push r9
    push rdi
    push rsi
    push rdx
    push r10
    push r8
    mov rbp, rsp
    cmp qword ptr [rip + closed], 0
    jne slow
    .endm

    # Undoes it but for rcx and the flags, which stay on the stack.
    .macro restore
    mov rsp, rbp
    pop r8
    pop r10
    pop rdx
    pop rsi
    pop rdi
    pop r9
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
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
    movzx eax, word ptr [rbx + 28]
    .endm

    # Corrects what the kernel has said in the structure at rbx, and leaves; the offsets are of owner, group and mode.
    .macro correct identify, uid, gid, mode
    \identify
    and eax, S_IFMT
    mov r12d, eax
    cmp eax, S_IFREG
    je 1f
    cmp eax, S_IFDIR
    je 1f
    cmp eax, S_IFLNK
    jne slow
1:
    lea rdi, [rip + SLATE]
    test dword ptr [rdi + STATE], ENABLED
    jz slow
    mov rdx, [rdi]                      # odd while it changes
    test dl, 1
    jnz slow
    movabs rax, {factor}
    imul rax, r13
    shr rax, 64 - {bits}
    shl rax, 5
    lea rsi, [rdi + rax + ENTRIES]
    mov ecx, {ways}
2:
    cmp [rsi], r13
    jne 3f
    cmp [rsi + 8], r14
    jne 3f
    cmp [rsi + 16], r15d
    je 4f
3:
    add rsi, 32
    dec ecx
    jnz 2b

    # No entry: it is root's, whose id is the only one that there is, if it bears nothing, nothing is known of any inode
    # that stands elsewhere, and the kernel says the same of it again.
    test dword ptr [rdi + STATE], QUIET
    jz slow
    cmp r12d, S_IFLNK
    je 6f
    call place
    call list
    test rax, rax
    jnz slow
    mov r10, r13
    mov r11, r14
    mov r12d, r15d
    push r10
    push r11
    call kernel
    pop r11
    pop r10
    test eax, eax
    jnz slow
    mov rdi, r10
    \identify
    cmp r13, rdi
    jne slow
    cmp r14, r11
    jne slow
    cmp r15d, r12d
    jne slow
6:
    mov eax, [rip + SLATE + STATE]
    and eax, ENABLED | QUIET
    cmp eax, ENABLED | QUIET
    jne slow
    xor eax, eax
    mov [rbx + \uid], eax
    mov [rbx + \gid], eax
    jmp done

4:
    mov eax, [rsi + 20]
    mov r8, [rsi + 24]
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
    xor eax, eax
    jmp done
    .endm

# newfstatat(directory, path, buffer, flags)
remainroot_inside_newfstatat:
    enter
    mov rbx, rdx
    jmp stat
# stat(path, buffer), lstat(path, buffer), fstat(descriptor, buffer)
remainroot_inside_stat:
    enter
    mov rbx, rsi
stat:
    call kernel
    test eax, eax
    jnz done
    correct identify_stat, UID, GID, MODE

# statx(directory, path, flags, mask, buffer)
remainroot_inside_statx:
    enter
    mov rbx, r8
    call kernel
    test eax, eax
    jnz done
    mov eax, [rbx]
    and eax, 0x19b                      # type, mode, uid, gid, ctime, ino
    cmp eax, 0x19b
    jne slow
    correct identify_statx, 20, 24, 28

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
    mov rsi, rdi
    mov edi, AT_FDCWD
    xor edx, edx
    cmp eax, 4                          # stat
    je 1f
    mov edx, NOFOLLOW                   # lstat
1:
    ret
2:
    and edx, NOFOLLOW | EMPTY_PATH
    ret
3:
    lea rsi, [rip + nothing]
    mov edx, EMPTY_PATH
    ret

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
    ret

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
    ret

# Fills the struct stat at rbx: newfstatat(rdi, rsi, rbx, r10d).
describe:
    mov rdx, rbx
    mov r9d, MARK
    mov eax, 262
    syscall
    ret

    # Goes to slow unless who calls is root, and no fact can stand elsewhere than on its inode; makes room.
    .macro begin_change
    cmp qword ptr [rip + others], 0
    jne slow
    mov eax, [rip + SLATE + STATE]
    and eax, ENABLED | QUIET | ALMIGHTY
    cmp eax, ENABLED | QUIET | ALMIGHTY
    jne slow
    sub rsp, ROOM
    lea rbx, [rbp - 160]
    .endm

# open(path, flags, mode)
remainroot_inside_open:
    enter
    mov r14d, esi
    mov r13, rdi
    mov r12, AT_FDCWD
    jmp 1f
# openat(directory, path, flags, mode)
remainroot_inside_openat:
    enter
    mov r14d, edx
    mov r13, rsi
    mov r12, rdi
1:
    test r14d, CHANGES
    jz slow
    test r14d, BEYOND
    jnz slow
    begin_change
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
    call describe
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
    mov rdi, r12
    mov rsi, r13
    mov edx, r15d
    call list
    test rax, rax
    jnz slow
    jmp go

# mkdir(path, mode)
remainroot_inside_mkdir:
    enter
    mov r13, rdi
    mov r12, AT_FDCWD
    jmp 1f
# mkdirat(directory, path, mode)
remainroot_inside_mkdirat:
    enter
    mov r13, rsi
    mov r12, rdi
    jmp 1f
# symlink(target, path)
remainroot_inside_symlink:
    enter
    mov r13, rsi
    mov r12, AT_FDCWD
    jmp 1f
# symlinkat(target, directory, path)
remainroot_inside_symlinkat:
    enter
    mov r13, rdx
    mov r12, rsi
1:
    begin_change

# Makes the call if its directory, of the path r13 from r12, passes nothing on to what is made in it. To look at the path
# first tells that it can be read.
make:
    mov rdi, r12
    mov rsi, r13
    mov r10d, NOFOLLOW
    call describe
    cmp eax, ENOENT
    jne go
    jmp 1f
# The same where it follows a link, and there must be none.
make_or_slow:
    mov rdi, r12
    mov rsi, r13
    mov r10d, NOFOLLOW
    call describe
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
    mov rsi, rsp
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
    call describe
    test eax, eax
    jnz slow
    mov eax, [rbx + MODE]
    and eax, S_IFMT | S_ISGID
    cmp eax, S_IFDIR
    jne slow
    mov rdi, r12
    mov rsi, r13
    xor edx, edx
    call list
    test rax, rax
    jnz slow
go:
    call kernel
    jmp done

# fchown(descriptor, uid, gid)
remainroot_inside_fchown:
    enter
    lea r13, [rip + nothing]
    mov r12, rdi
    mov r14d, EMPTY_PATH
    jmp 2f
# chown(path, uid, gid)
remainroot_inside_chown:
    enter
    xor r14d, r14d
    jmp 1f
# lchown(path, uid, gid)
remainroot_inside_lchown:
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
remainroot_inside_fchownat:
    enter
    mov r13, rsi
    mov r12, rdi
    mov r14d, r8d
    mov eax, edx
    mov ecx, r10d
give:
    # Ids are 0 or -1.
    inc eax
    cmp eax, 1
    ja slow
    inc ecx
    cmp ecx, 1
    ja slow
    jmp change

# fchmod(descriptor, mode)
remainroot_inside_fchmod:
    enter
    lea r13, [rip + nothing]
    mov r12, rdi
    mov r14d, EMPTY_PATH
    mov eax, esi
    jmp 1f
# chmod(path, mode)
remainroot_inside_chmod:
    enter
    mov r13, rdi
    mov r12, AT_FDCWD
    xor r14d, r14d
    mov eax, esi
    jmp 1f
# fchmodat(directory, path, mode)
remainroot_inside_fchmodat:
    enter
    mov r13, rsi
    mov r12, rdi
    xor r14d, r14d
    mov eax, edx
1:
    test eax, SET_ID
    jnz slow
    jmp change

# utimensat(directory, path, times, flags)
remainroot_inside_utimensat:
    enter
    mov r13, rsi
    mov r12, rdi
    mov r14d, r10d
    test rsi, rsi
    jnz change
    test r14d, r14d
    jnz slow
    lea r13, [rip + nothing]
    mov r14d, EMPTY_PATH

# Makes the call if the inode is root's to the kernel too, and nothing stands on it: of the path r13 from r12, with the
# flags r14d.
change:
    test r14d, ~(NOFOLLOW | EMPTY_PATH)
    jnz slow
    begin_change
    mov rdi, r12
    mov rsi, r13
    mov r10d, r14d
    call describe
    test eax, eax
    jnz slow
    mov eax, [rbx + UID]
    or eax, [rbx + GID]
    jnz slow
    mov eax, [rbx + MODE]
    and eax, S_IFMT
    cmp eax, S_IFLNK
    je go
    cmp eax, S_IFREG
    je 1f
    cmp eax, S_IFDIR
    jne slow
1:
    mov rdi, r12
    mov rsi, r13
    mov edx, r14d
    call list
    test rax, rax
    jz go

slow:
    restore
    popfq
    pop rcx
    mov eax, [rcx + 8]
    mov rcx, [rcx]
    lea rsp, [rsp + 128]
    jmp rcx

# The result is in rax.
done:
    restore
    mov r11, [rsp]
    popfq
    pop rcx
    mov rcx, [rcx]
    lea rcx, [rcx + 2]
    lea rsp, [rsp + 128]
    jmp rcx
    .org remainroot_inside_begin + {thunks}
remainroot_inside_end:
    .popsection
