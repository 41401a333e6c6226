# The flags of chattr(1), by every call that tells or sets them. In a directory with "hosts", a file of root's.
umask 022
own() { lsattr -d "$1" 2>&1 | cut -c1-22; }
try() { "$@" 2>&1 | sed 's/.*: //'; }
touch f g
mkdir d
own f; try chattr +i f; own f
try chmod 600 f; try chown 7 f; try touch -c -d @5 f
try chattr -i f; own f; try chown 7:8 f
try chattr +a f; own f; try chmod 600 f; try touch -c -d @5 f; try touch -c f; stat -c '%u:%g %a' f
try chattr +d f; own f; try chattr -a f; own f; try chattr = f; own f
try chattr +dA d; try chattr +i d; own d; try chmod 700 d; try chattr -i d; own d
own hosts; try chattr +d hosts; own hosts; try chattr +i hosts; own hosts
try chmod 600 hosts; try chattr -i hosts; try chmod 600 hosts; stat -c %a hosts; try chattr -d hosts; own hosts
for path in hosts-fifo /proc/version /dev/null absent; do try chattr +i $path; own $path; done
mkdir e; echo > e/old; try chattr +i e; try chattr +i f
for path in f e/old e; do try rm -r $path; try mv $path moved; try ln $path linked; done
try sh -c 'echo > f'; try sh -c 'echo >> f'; try sh -c ': < f'; try truncate -s 0 f; try touch e/new; try mkdir e/new
try touch e/old; try mv hosts-open e/; try ln -s x e/new; try ln -s x e/old; try mknod e/new p; try rm absent e/absent
try mv g f; try mv f f; try setfattr -n user.a -v b f; try chattr -i e; try chattr -i f; try mv f e/f; try mv e/f f
try chattr +a f; try chattr +a e; try sh -c 'echo > f'; try sh -c 'echo x >> f'; try truncate -s 0 f; try rm f
try mv f g; try ln f g2; try touch e/new; try rm e/new; try mv e/new new; stat -c '%n %s' f; ls e
try chattr -a f; try chattr -a e; try rm -r e
try chattr +ia g
setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'chattr -i g; chattr +d f' 2>&1
chown 1000 f
setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'chattr +d f; chattr +i f' 2>&1
own f
command -v python3 >/dev/null && python3 -c '
import ctypes, fcntl, os, struct
library = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    result = library.syscall(*arguments)
    return result if result >= 0 else -ctypes.get_errno()
GET, SET, HERE = 468, 469, -100
told = ctypes.create_string_buffer(24)
def tell(path): print(path, call(GET, HERE, path, told, 24, 0), told.raw[:8].hex())
tell(b"g"), tell(b"f"), tell(b"hosts")
for xflags in 8, 0, 0x18, 0x90, 0:
    wanted = ctypes.create_string_buffer(struct.pack("<QIIII", xflags, 0, 0, 0, 0), 24)
    print(call(SET, HERE, b"f", wanted, 24, 0), call(SET, HERE, b"hosts", wanted, 24, 0))
    tell(b"f"), tell(b"hosts")
print(call(SET, HERE, b"f", wanted, 23, 0), call(SET, HERE, b"f", wanted, 24, 1), call(SET, HERE, b"f", 16, 24, 0))
print(call(SET, HERE, b"absent", wanted, 24, 0), call(GET, HERE, b"g", 16, 24, 0))
file, extended = os.open("g", 0), bytearray(28)
fcntl.ioctl(file, 0x801c581f, extended)
print(extended[:4].hex())
struct.pack_into("<I", extended, 0, 0x80)
fcntl.ioctl(file, 0x401c5820, extended)
fcntl.ioctl(file, 0x801c581f, extended)
print(extended[:4].hex())
def attributes(path):
    statx = ctypes.create_string_buffer(256)
    call(332, HERE, path, 0, 0xfff, statx)
    return hex(struct.unpack_from("<Q", statx.raw, 8)[0] & 0x74)
print(attributes(b"g"), attributes(b"f"))
for request in 0x40086602, 0x401c5820:
    try: fcntl.ioctl(file, request, 99)
    except OSError as error: print(error.errno)
'
try chattr -iad f; try chattr -iad g; own f; own g
