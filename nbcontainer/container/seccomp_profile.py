"""The default seccomp profile: what a container's programs may ask of the kernel. Everything else is refused.

The same set as Docker's current default (moby, profiles/seccomp), grouped by what the calls are for, less io_uring,
which Docker has since taken out. `security.seccomp` turns it into an OCI `linux.seccomp` section.
"""

from __future__ import annotations

#: Allowed for every program.
ALWAYS = """
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek close close_range dup dup2
    dup3 fcntl fcntl64 ioctl flock fsync fdatasync sync syncfs sync_file_range fallocate fadvise64 fadvise64_64
    readahead copy_file_range sendfile sendfile64 splice tee vmsplice pipe pipe2 cachestat
    open openat openat2 creat access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat
    statx statfs statfs64 fstatfs fstatfs64 getdents getdents64 getcwd chdir fchdir chmod fchmod fchmodat fchmodat2
    chown chown32 lchown lchown32 fchown fchown32 fchownat link linkat symlink symlinkat unlink unlinkat rename renameat
    renameat2 mkdir mkdirat rmdir mknod mknodat readlink readlinkat truncate truncate64 ftruncate ftruncate64 umask
    utime utimes futimesat utimensat utimensat_time64 name_to_handle_at fanotify_mark
    getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr lremovexattr
    fremovexattr inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
    io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64
    select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl
    epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4
    brk mmap mmap2 munmap mremap mprotect madvise mincore mlock mlock2 mlockall munlock munlockall msync
    remap_file_pages memfd_create memfd_secret membarrier pkey_alloc pkey_free pkey_mprotect map_shadow_stack
    process_mrelease
    execve execveat exit exit_group fork vfork wait4 waitid waitpid kill tkill tgkill pause restart_syscall
    getpid getppid gettid getpgid getpgrp setpgid getsid setsid getpriority setpriority prctl prlimit64 getrlimit
    setrlimit ugetrlimit getrusage times sysinfo uname getcpu pidfd_open pidfd_send_signal ioprio_get ioprio_set
    getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getgroups getgroups32 getresuid getresuid32
    getresgid getresgid32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32
    setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32 capget capset seccomp
    landlock_create_ruleset landlock_add_rule landlock_restrict_self
    sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler
    sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval
    sched_rr_get_interval_time64 sched_yield
    futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue get_robust_list set_robust_list rseq
    set_tid_address get_thread_area set_thread_area
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn
    time gettimeofday nanosleep alarm getitimer setitimer adjtimex clock_adjtime clock_adjtime64 clock_getres
    clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64
    socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt send sendto
    sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 socketcall
    ipc msgget msgctl msgsnd msgrcv semget semctl semop semtimedop semtimedop_time64 shmget shmctl shmat shmdt mq_open
    mq_unlink mq_notify mq_getsetattr mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    getrandom
""".split()

#: Allowed since Linux 4.8, which checks ptrace's seccomp rules after the tracer has run.
SINCE_4_8 = ["process_vm_readv", "process_vm_writev", "ptrace"]

#: Allowed on some machines only, by `platform.machine()`.
BY_MACHINE = {
    "x86_64": ["arch_prctl", "modify_ldt"],
    "aarch64": [
        "arm_fadvise64_64",
        "arm_sync_file_range",
        "sync_file_range2",
        "breakpoint",
        "cacheflush",
        "set_tls",
    ],
}

#: Allowed to a container that has the capability.
BY_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": ["open_by_handle_at"],
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount
        open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare
    """.split(),
    "CAP_SYS_BOOT": ["reboot"],
    "CAP_SYS_CHROOT": ["chroot"],
    "CAP_SYS_MODULE": ["delete_module", "init_module", "finit_module"],
    "CAP_SYS_PACCT": ["acct"],
    "CAP_SYS_PTRACE": ["kcmp", "pidfd_getfd", "process_madvise", *SINCE_4_8],
    "CAP_SYS_RAWIO": ["iopl", "ioperm"],
    "CAP_SYS_TIME": ["settimeofday", "stime", "clock_settime", "clock_settime64"],
    "CAP_SYS_TTY_CONFIG": ["vhangup"],
    "CAP_SYS_NICE": ["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"],
    "CAP_SYSLOG": ["syslog"],
    "CAP_BPF": ["bpf"],
    "CAP_PERFMON": ["perf_event_open"],
}

#: AF_VSOCK reaches the hypervisor: every other address family may be asked for.
AF_VSOCK = 40
#: personality(2): the domains a program may choose.
PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)
#: clone(2): CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, which take CAP_SYS_ADMIN.
CLONE_NAMESPACES = 0x7E020000

#: The architectures whose calls a machine also runs.
ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}
