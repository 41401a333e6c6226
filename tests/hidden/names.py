# Sets, reads, lists and removes attributes that bear the names of remainroot's own, on files of all kinds, by path, by link and
# by descriptor, often enough to be answered in the process, and as a user.
import os,errno,stat
def t(f,*a,**k):
    try: r=f(*a,**k); return r
    except OSError as e: return errno.errorcode[e.errno]
N=["user.rootlesscontainers","user.containers.override_stat","user.remainroot","user.remainroot.xattrs","user.remainroot.none","user.x"]
open("f","w").close(); os.mkdir("d"); os.symlink("f","l"); os.mkfifo("p"); os.mkdir("s"); os.chmod("s",0o1777); open("ro","w").close()
os.chown("f",7,8); os.chmod("f",0o644)
for p in ("f","d","l","p","s","nope","/proc/self/status"):
  for n in N:
    L=(p=="l")
    for fs in (True,False):
      k=dict(follow_symlinks=fs)
      print(p,n,fs,t(os.getxattr,p,n,**k),t(os.setxattr,p,n,b"one",**k),t(os.setxattr,p,n,b"two",os.XATTR_CREATE,**k),t(os.getxattr,p,n,**k),
        t(os.setxattr,p,n,b"three",os.XATTR_REPLACE,**k),sorted(t(os.listxattr,p,**k)),t(os.getxattr,p,n,**k),t(os.removexattr,p,n,**k),t(os.removexattr,p,n,**k),t(os.setxattr,p,n,b"x",os.XATTR_REPLACE,**k),t(os.getxattr,p,n,**k), sorted(t(os.listxattr,p,**k)))
fd=os.open("f",os.O_RDONLY)
for n in N:
    print(n,t(os.setxattr,fd,n,b"v"*300),t(os.getxattr,fd,n),t(os.setxattr,fd,n,b""),t(os.getxattr,fd,n), sorted(os.listxattr(fd)))
print(os.stat("f").st_uid,os.stat("f").st_gid)
for i in range(100): assert t(os.getxattr,"f",N[0])==b"", i; assert sorted(os.listxattr("f"))==sorted(N)
for n in N: print(t(os.setxattr,"f",n,b"a"*70000),t(os.setxattr,"f",n,b"a",4))
os.chown("d",0,0); os.chmod("d",0o755); os.chmod("s",0o1777)
for n in N: os.setxattr("d",n,b"kept")
os.setgroups([]); os.setgid(1000); os.setuid(1000)
for p in ("f","d","s","ro"):
  for n in N[:-1]: print("user",p,n,t(os.getxattr,p,n),t(os.setxattr,p,n,b"1"),t(os.removexattr,p,n),sorted(t(os.listxattr,p)))
